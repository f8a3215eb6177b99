// SPDX-License-Identifier: MIT
#include "apps/trainer/autotune.h"

#include <algorithm>
#include <chrono>
#include <limits>

#include "apps/trainer/setup.h"
#include "apps/trainer/step.h"
#include "kernels/gpu/variants.h"
#include "kernels/operands.h"
#include "kernels/require.h"
#include "kernels/vendor/names.h"
#include "runtime/autograd.h"
#include "runtime/device.h"
#include "runtime/ops.h"

namespace convoy::apps {
namespace {

using Clock = std::chrono::steady_clock;

// Enough runs that the clock's and the launch's share is small, of which the best third counts.
constexpr double kSecondsPerRound = 0.01;
constexpr int kRounds = 5, kMostRuns = 200;
// A variant must be this much faster than plan's own choice.
constexpr double kClearly = 0.97;

// An op on memory of its own, of numbers that are finite in every dtype.
template <class Op>
class OwnOperands {
 public:
  OwnOperands(Op op, const Device& device) : op_(op) {
    for_each_operand(op_, [&](auto& place, std::int64_t bytes) {
      memory_.push_back(full({bytes}, 0x3c, {.dtype = DType::u8, .device = device}));
      place = static_cast<std::remove_reference_t<decltype(place)>>(memory_.back().data());
    });
  }
  const Op& op() const { return op_; }

 private:
  Op op_;
  std::vector<Tensor> memory_;
};

// Of a number of runs, in seconds for each.
template <class Run>
double time_runs(const Device& device, int runs, Run run) {
  const Stream stream = current_stream(device);
  backend(device).synchronize(stream);
  const Clock::time_point start = Clock::now();
  for (int i = 0; i < runs; ++i) run(stream);
  backend(device).synchronize(stream);
  return std::chrono::duration<double>(Clock::now() - start).count() / runs;
}

template <class Op>
double time_of(const Op& recorded, const Device& device, const std::string& variant) {
  const OwnOperands<Op> own(recorded, device);
  const Plan how = plan_variant(own.op(), device, variant);
  const Tensor workspace = empty({static_cast<std::int64_t>(how.workspace_bytes)},
                                 {.dtype = DType::u8, .device = device});
  const auto once = [&](const Stream& stream) {
    run(own.op(), how, how.workspace_bytes > 0 ? workspace.data() : nullptr, stream);
  };
  const double first = time_runs(device, 1, once);
  if (device.type == DeviceType::sim || first > kSecondsPerRound) {
    return std::min(first, time_runs(device, 1, once));
  }
  const int runs = std::clamp(static_cast<int>(kSecondsPerRound / first), 1, kMostRuns);
  double best = std::numeric_limits<double>::infinity();
  for (int i = 0; i < kRounds; ++i) best = std::min(best, time_runs(device, runs, once));
  return best;
}

bool allowed(const char* variant, const std::vector<const char*>& all) {
  const bool is_vendor = vendor::is_vendor(variant);
  if (kernel_family() == KernelFamily::own) return !is_vendor;
  if (kernel_family() == KernelFamily::automatic || is_vendor) return true;
  return std::none_of(all.begin(), all.end(), vendor::is_vendor);
}

std::vector<std::string> candidates(const TunableOp& op, const Device& device) {
  std::vector<std::string> names;
  std::visit(
      [&](const auto& o) {
        const std::vector<const char*> all = variants(o, device);
        for (const char* variant : all) {
          if (allowed(variant, all)) names.emplace_back(variant);
        }
      },
      op);
  return names;
}

std::string chosen_by_plan(const TunableOp& op, const Device& device) {
  return std::visit([&](const auto& o) { return std::string(plan(o, device).variant); }, op);
}

}  // namespace

double time_variant(const TunableOp& op, const Device& device, const std::string& variant) {
  return std::visit([&](const auto& o) { return time_of(o, device, variant); }, op);
}

TuningTable tune(const std::map<std::string, TunableOp>& ops, const Device& device,
                 TuningTable known, std::FILE* progress) {
  std::size_t done = 0;
  for (const auto& [key, op] : ops) {
    ++done;
    const std::vector<std::string> names = candidates(op, device);
    if (known.contains(key) || names.size() < 2) continue;
    const std::string chosen = chosen_by_plan(op, device);
    std::string best = chosen;
    const double before = time_variant(op, device, chosen);
    double least = before * kClearly;
    for (const std::string& variant : names) {
      if (variant == chosen) continue;
      const double seconds = time_variant(op, device, variant);
      if (seconds < least) {
        least = seconds;
        best = variant;
      }
    }
    known[key] = best;
    if (progress != nullptr) {
      fmt::print(progress, "autotune {}/{}: {}: {} ({:.3f} ms, {} {:.3f} ms)\n", done, ops.size(),
                 key, best, 1e3 * (best == chosen ? before : least), chosen, 1e3 * before);
      std::fflush(progress);
    }
  }
  return known;
}

std::map<std::string, TunableOp> ops_of_run(const TrainConfig& config) {
  const Device device = parse_device(config.device);
  const std::optional<DType> half = half_dtype(config.precision, config.device);
  const DataSource data = open_data(config.data, Split::train);
  TrainConfig plain = config;  // pictures as they are: what they show does not matter
  plain.hflip = 0;
  plain.resident = false;
  data::Loader loader(data.dataset, train_loading(plain, data.input));
  const InputPipeline input(data.input, device, half.value_or(DType::f32));
  const auto model = make_model(config, data.dataset->num_classes(), data.input);
  nn::ParameterStore store(*model, device, {}, half);
  nn::Optimizer optimizer(store, optimizer_options(config));
  std::optional<nn::GradScaler> scaler;
  if (config.precision.amp) scaler.emplace(device, scaler_options(config));
  optimizer.set_steps(0);
  TrainStep step(*model, store, optimizer, scaler ? &*scaler : nullptr, input,
                 {.label_smoothing = config.smoothing, .clip_grad = config.clip_grad});
  start_recording_ops();
  model->train();
  loader.start(0);
  step.begin(0, 1);
  step.load(*loader.next());
  step.run();
  model->eval();
  const data::ImageExtent& e = data.input.extent;
  const NoGrad no_grad;
  (*model)(zeros({config.val_batch_size, e.height, e.width, e.channels},
                 {.dtype = half.value_or(DType::f32), .device = device}));
  backend(device).synchronize(current_stream(device));
  return stop_recording_ops();
}

std::filesystem::path tuning_file(const TrainConfig& config) {
  return std::filesystem::path(config.output) / "tuning.json";
}

void choose_kernels(const TrainConfig& config, Ranks& ranks) {
  const Device device = parse_device(config.device);
  if (config.autotune) require_clock("--autotune", device);
  KernelConfig kernel = config.kernel;
  if (config.autotune && !kernel.tuning_table.empty()) {
    require_writable("tuning-table", kernel.tuning_table);
    if (!std::filesystem::exists(kernel.tuning_table)) kernel.tuning_table.clear();
  } else if (kernel.tuning_table.empty() && !config.resume.empty() &&
             std::filesystem::exists(tuning_file(config))) {
    kernel.tuning_table = tuning_file(config).string();
  }
  set_kernels(kernel, device);
  if (!config.autotune) return ranks.require_same("tuning table", tuning_hash(tuning_table()));
  const std::string table = ranks.made_by_first("tuning table", [&] {
    return to_text(tune(ops_of_run(config), device, tuning_table(), stdout));
  });
  set_tuning_table(tuning_table_of(table));
  if (!config.kernel.tuning_table.empty() && ranks.first()) {
    write_tuning_table(config.kernel.tuning_table, tuning_table(), device);
  }
}

}  // namespace convoy::apps
