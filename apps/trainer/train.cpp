// SPDX-License-Identifier: MIT
#include "apps/trainer/train.h"

#include <chrono>
#include <optional>

#include "apps/trainer/autotune.h"
#include "apps/trainer/progress.h"
#include "apps/trainer/ranks.h"
#include "apps/trainer/resident.h"
#include "apps/trainer/run_log.h"
#include "apps/trainer/setup.h"
#include "apps/trainer/step.h"
#include "apps/trainer/step_log.h"
#include "kernels/require.h"
#include "nn/fusion.h"
#include "runtime/profiler.h"
#include "runtime/seconds.h"

namespace convoy::apps {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::int64_t kProfiledSteps = 10;

class Trainer {
 public:
  Trainer(const TrainConfig& config, Ranks& ranks);
  TrainResult run();

 private:
  void start();
  void open_output();
  void resume(const fs::path& checkpoint);
  void resume_averages(const fs::path& checkpoint);
  void evaluate_all();
  EvalResult evaluate_one(const std::string& title);
  nn::Ema* ema() { return ema_ ? &*ema_ : nullptr; }
  Trained trained() const;
  void train_epoch();
  StepMetrics train_step();
  std::string figures(double learning_rate) const;
  void reopen_epoch();
  void end_epoch();
  void save();
  Stop wish() const;
  bool steps_left() const { return config_.max_steps == 0 || state_.step < config_.max_steps; }
  std::int64_t batches_per_epoch() const;
  double epoch_position() const;

  Ranks& ranks_;
  Device device_;
  DataSource train_data_;
  TrainConfig config_;
  DataSource val_data_;
  data::Loader train_loader_, val_loader_;
  InputPipeline input_;
  std::unique_ptr<nn::Module> model_;
  nn::ParameterStore store_;
  nn::Optimizer optimizer_;
  std::optional<nn::GradScaler> scaler_;  // with --amp
  std::optional<nn::Ema> ema_;            // with --model-ema
  std::optional<TrainStep> step_;
  nn::LrSchedule schedule_;
  nn::Plateau plateau_;
  CheckpointState state_;
  std::optional<RunLog> log_;
  std::optional<StepLog> steps_;
  Clock::time_point epoch_start_, step_start_;
  Stop stop_ = Stop::go_on;
  std::vector<std::int64_t> optimizer_bytes_;  // of each rank
  std::int64_t first_step_ = 0;                // done before this process
  double last_learning_rate_ = 0;
  double starved_before_s_ = 0;  // waiting for data in earlier epochs
  TrainResult result_;
  Clock::time_point run_start_ = Clock::now();
};

std::int64_t steps_per_epoch(const TrainConfig& c, std::int64_t batches) {
  return (batches + c.grad_accum_steps - 1) / c.grad_accum_steps;
}

Trainer::Trainer(const TrainConfig& config, Ranks& ranks)
    : ranks_(ranks),
      device_(ranks.device()),
      train_data_(open_data(config.data, Split::train)),
      config_(with_flip_for(config, *train_data_.dataset)),
      val_data_(open_data(config.data, Split::val, train_data_.dataset->class_names())),
      train_loader_(train_data_.dataset, ranks.share(train_loading(config_, train_data_.input))),
      val_loader_(val_data_.dataset, ranks.share(val_loading(config, val_data_.input))),
      input_(train_data_.input, device_,
             half_dtype(config.precision, config.device).value_or(DType::f32)),
      model_(make_model(config, train_data_.dataset->num_classes(), train_data_.input)),
      store_(*model_, device_, {}, half_dtype(config.precision, config.device)),
      optimizer_(ranks.share(*model_, store_), optimizer_options(config)),
      schedule_(make_schedule(config, steps_per_epoch(config, batches_per_epoch()))),
      plateau_({.decay_rate = config.decay_rate,
                .patience = static_cast<int>(config.decay_epochs),
                .maximize = true}),
      state_(start_state(config, train_data_)) {
  state_.batch_size = ranks.batch_size();
  if (config.precision.amp) scaler_.emplace(device_, scaler_options(config));
  if (config.model_ema) ema_.emplace(store_, ema_options(config));
  step_.emplace(
      *model_, store_, optimizer_, scaler_ ? &*scaler_ : nullptr, input_,
      StepOptions{
          .label_smoothing = config.smoothing,
          .clip_grad = config.clip_grad,
          .graph = use_graph(config, ranks),
          .mix = mix_of(config),
          .resident = config.resident ? upload_images(config.data, train_data_, device_) : Tensor(),
          .ranks = &ranks_,
          .ema = ema()});
  optimizer_.set_steps(0);
}

std::int64_t Trainer::batches_per_epoch() const {
  const std::int64_t all = train_loader_.batches_per_epoch();
  return config_.limit_train_batches > 0 ? std::min(config_.limit_train_batches, all) : all;
}

double Trainer::epoch_position() const {
  return static_cast<double>(state_.epoch) +
         static_cast<double>(state_.position) /
             static_cast<double>(batches_per_epoch() * ranks_.batch_size());
}

void Trainer::resume(const fs::path& checkpoint) {
  const CheckpointState saved = load_state(checkpoint);
  require_same_run(saved, state_);
  load_model(checkpoint, *model_, store_);
  if (!config_.no_resume_opt) load_optimizer(checkpoint, optimizer_);
  resume_averages(checkpoint);
  optimizer_.set_steps(saved.step, saved.report.skipped);
  if (scaler_) scaler_->restore(saved.report);
  state_.report = saved.report;
  state_.step = saved.step;
  state_.epoch = saved.epoch;
  state_.position = saved.position;
  state_.best_top1 = saved.best_top1;
  plateau_.state = state_.plateau = saved.plateau;
  result_.checkpoint = checkpoint;
  fmt::print("resumed from {} at step {}\n", checkpoint.string(), state_.step);
}

void Trainer::resume_averages(const fs::path& checkpoint) {
  if (ema_ && has_averages(checkpoint)) return load_averages(checkpoint, *model_, *ema_);
  if (ema_) ema_->restart();
  if (ema_.has_value() == has_averages(checkpoint)) return;
  fmt::print("{}\n", ema_ ? "the checkpoint has no averages: they begin with its weights"
                          : "without --model-ema the checkpoint's averages end here");
}

void Trainer::open_output() {
  const fs::path aside = set_other_work_aside(config_.output, result_.checkpoint);
  if (!aside.empty()) fmt::print("moved what was there of other work to {}\n", aside.string());
  log_.emplace(config_.output, config_, state_.step);
  if (tuning_table().empty()) return;
  write_tuning_table(tuning_file(config_), tuning_table(), device_);
  fmt::print("tuning table of {} ops, hash {}\n", tuning_table().size(), state_.tuning);
}

// Nothing of the output folder is touched before everything has been found good.
void Trainer::start() {
  fmt::print("{}", to_table(config_));
  require_fit(*model_, config_.model, train_data_.input.extent, device_);
  if (config_.resume == "auto") {
    if (has_checkpoints(config_.output)) resume(find_checkpoint(config_.output));
  } else if (!config_.resume.empty()) {
    resume(find_checkpoint(config_.resume));
  }
  ranks_.require_same("checkpoint", result_.checkpoint.filename().string());
  if (ranks_.first()) open_output();
  optimizer_bytes_ = ranks_.gather({optimizer_.optimizer_bytes()});
  steps_.emplace(device_, store_, log_ ? &*log_ : nullptr, state_.report, scaler_.has_value());
  fmt::print("{} on {}: {} parameters, {} training and {} held-out images of {} classes, {}\n",
             config_.model, backend(device_).description(), store_.count(),
             train_data_.dataset->size(), val_data_.dataset->size(),
             train_data_.dataset->num_classes(), data::to_text(train_data_.input.extent));
  if (const std::string ranks = ranks_.description(); !ranks.empty()) fmt::print("{}\n", ranks);
  std::fflush(stdout);
  take_signals();
  if (!config_.profile.empty() && ranks_.first()) Profiler::start();
}

void note_loading(StepMetrics& m, const data::LoaderStats& s) {
  m.data_ms = 1e3 * s.starved_s;
  m.blocked_ms = 1e3 * s.blocked_s;
  m.decode_ms = 1e3 * s.filling_s;
  m.bytes = s.bytes;
}

// One optimizer step over grad_accum_steps batches, fewer at the end of an epoch. Its time is that
// since the last one, since the host runs ahead of the device and waits between steps.
StepMetrics Trainer::train_step() {
  StepMetrics m;
  m.step = state_.step + 1;
  m.epoch = state_.epoch;
  m.optimizer_bytes = optimizer_bytes_;
  const std::int64_t left = batches_per_epoch() - state_.position / ranks_.batch_size();
  const int batches = static_cast<int>(std::min<std::int64_t>(config_.grad_accum_steps, left));
  m.batches = batches * ranks_.world_size();
  m.images = std::int64_t{batches} * ranks_.batch_size();
  m.learning_rate = nn::learning_rate_at(schedule_, epoch_position()) * plateau_.factor();
  step_->begin(m.learning_rate, batches);
  const data::LoaderStats before = train_loader_.stats();
  ranks_.enter("load");
  for (int i = 0; i < batches; ++i) step_->load(*train_loader_.next());
  step_->run();
  const int compared = config_.ranks.check_weight_hash_interval;
  if (compared > 0 && (state_.step + 1) % compared == 0) ranks_.require_same_weights(ema());
  note_loading(m, train_loader_.stats() - before);
  ++state_.step;
  state_.position += m.images;
  m.step_ms = 1e3 * seconds_since(step_start_);
  step_start_ = Clock::now();
  m.images_per_second = 1e3 * static_cast<double>(m.images) / m.step_ms;
  last_learning_rate_ = m.learning_rate;
  return m;
}

Stop Trainer::wish() const {
  if (signal_came()) return Stop::signal;
  const bool late = config_.max_time > 0 && seconds_since(run_start_) > 60 * config_.max_time;
  return late ? Stop::time_is_up : Stop::go_on;
}

std::string Trainer::figures(double learning_rate) const {
  const StepState& last = steps_->last();
  const StepSums& sums = steps_->sums();
  const std::string skipped =
      last.skipped > 0 ? fmt::format(" skipped {} (scale {})", last.skipped, last.loss_scale) : "";
  const auto images = static_cast<double>(std::max<std::int64_t>(sums.images, 1));
  const double seconds = std::max(seconds_since(epoch_start_), 1e-9);
  const double starved = train_loader_.stats().starved_s - starved_before_s_;
  return fmt::format("loss {:.4f} acc {:5.2f} lr {:.4f} {:.0f} img/s data {:.1f} %{}",
                     sums.loss / images, 100 * sums.correct / images, learning_rate,
                     images / seconds, 100 * starved / seconds, skipped);
}

void Trainer::train_epoch() {
  steps_->begin_epoch();
  epoch_start_ = step_start_ = Clock::now();
  model_->train();
  train_loader_.start(state_.epoch, state_.position);
  starved_before_s_ = train_loader_.stats().starved_s;
  const std::int64_t end = batches_per_epoch() * ranks_.batch_size();
  const std::int64_t step_images = std::int64_t{ranks_.batch_size()} * config_.grad_accum_steps;
  std::int64_t steps = (end - state_.position + step_images - 1) / step_images;
  if (config_.max_steps > 0) steps = std::min(steps, config_.max_steps - state_.step);
  Progress progress(fmt::format("train {}/{}", state_.epoch + 1, config_.epochs), steps,
                    config_.log_interval, stdout);
  std::int64_t done = 0;
  while (state_.position < end && steps_left() && stop_ == Stop::go_on) {
    steps_->add(train_step());
    progress.update(++done, figures(last_learning_rate_));
    stop_ = ranks_.agree(wish());
    if (state_.step == first_step_ + kProfiledSteps) Profiler::stop();
  }
  steps_->finish();
  ranks_.require_same_weights(ema());  // when they have come
  ranks_.share_statistics(ema());
  if (steps > 0 && stop_ != Stop::signal) progress.finish(figures(last_learning_rate_));
  // With a signal the epoch stays open, and a resumed run begins with its evaluation.
  if (state_.position >= end && stop_ != Stop::signal) {
    state_.position = 0;
    ++state_.epoch;
  }
}

EvalResult Trainer::evaluate_one(const std::string& title) {
  ranks_.enter_after_step("evaluation");
  return ranks_.sum(
      evaluate(*model_, val_loader_, input_,
               {.limit_batches = config_.limit_val_batches,
                .log_interval = config_.log_interval,
                .progress = stdout,
                .title = ranks_.world_size() > 1 ? fmt::format("{} of rank 0's", title) : title,
                .is_over = signal_came}));
}

void Trainer::evaluate_all() {
  result_.last = evaluate_one("eval");
  if (ema_) ema_->with_averages([&] { result_.ema = evaluate_one("eval of averages"); });
  if (result_.last.interrupted || (result_.ema && result_.ema->interrupted)) stop_ = Stop::signal;
}

// A run that is resumed evaluates it anew.
void Trainer::reopen_epoch() {
  if (state_.position != 0) return;
  --state_.epoch;
  state_.position = batches_per_epoch() * ranks_.batch_size();
}

void Trainer::end_epoch() {
  evaluate_all();
  if (stop_ == Stop::signal) return reopen_epoch();
  state_.best_top1 = std::max(state_.best_top1, result_.last.top1());
  if (schedule_.kind == nn::LrKind::plateau) {
    plateau_.update(result_.last.top1());
    state_.plateau = plateau_.state;
  }
  const StepSums& sums = steps_->sums();
  const auto images = static_cast<double>(sums.images);  // none: their figures are NaN
  if (!log_) return;
  log_->epoch({.epoch = state_.epoch - (state_.position == 0),
               .step = state_.step,
               .train_loss = sums.loss / images,
               .train_top1 = 100 * sums.correct / images,
               .val_loss = result_.last.loss(),
               .val_top1 = result_.last.top1(),
               .val_top5 = result_.last.top5(),
               .ema_top1 = result_.ema ? std::optional(result_.ema->top1()) : std::nullopt,
               .learning_rate = last_learning_rate_,
               .seconds = seconds_since(epoch_start_)});
}

Trained Trainer::trained() const { return {*model_, store_, optimizer_, ema_ ? &*ema_ : nullptr}; }

void Trainer::save() {
  ranks_.enter_after_step("saving");
  state_.report = steps_->last();
  if (!ranks_.first()) join_checkpoint(trained());
  // The others stay until it is saved, and hear of it where it fails.
  ranks_.made_by_first(fmt::format("checkpoint {} {}", state_.epoch, state_.step), [&] {
    result_.checkpoint =
        save_checkpoint(config_.output, state_, trained(), config_.checkpoint_hist);
    return result_.checkpoint.string();
  });
}

TrainResult Trainer::run() {
  start();
  first_step_ = state_.step;
  while (state_.epoch < config_.epochs && steps_left() && stop_ == Stop::go_on) {
    train_epoch();
    const bool last = state_.epoch >= config_.epochs || !steps_left();
    if (stop_ != Stop::signal &&
        (last || stop_ == Stop::time_is_up || state_.epoch % config_.val_interval == 0))
      end_epoch();
    save();
  }
  if (result_.last.count == 0 && stop_ == Stop::go_on) {
    fmt::print("nothing is left to train\n");
    evaluate_all();
  }
  report_skipped(train_loader_);
  report_skipped(val_loader_);
  for (const std::string& line : {without_vendor_line(), not_there_line()}) {
    if (!line.empty()) fmt::print(stderr, "convoy: note: {}\n", line);
  }
  if (!config_.profile.empty() && ranks_.first()) Profiler::write(config_.profile);
  result_.steps = state_.step;
  result_.interrupted = stop_ == Stop::signal;
  return result_;
}

}  // namespace

TrainResult train(const TrainConfig& config) {
  check(config);
  if (!config.profile.empty()) require_writable("profile", config.profile);
  if (config.threads > 0) set_compute_threads(config.threads);
  set_simulator(config.simulator);
  nn::set_fusion(!config.no_fuse);
  Ranks ranks(config);
  TrainResult result;
  ranks.run([&] {
    if (config.threads == 0) ranks.share_cores();
    TrainConfig own = config;
    own.batch_size = ranks.batch_size() / ranks.world_size();
    ranks.require_same_work(config);
    choose_kernels(own, ranks);
    result = Trainer(own, ranks).run();
  });
  return result;
}

}  // namespace convoy::apps
