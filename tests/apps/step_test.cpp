// SPDX-License-Identifier: MIT
// A step that is captured and replayed does what an eager one does, bit for bit.
#include "apps/trainer/step.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <cstring>

#include "kernels/sim/devices.h"
#include "nn/layers.h"
#include "nn/lr_schedule.h"
#include "runtime/autograd.h"
#include "runtime/ops.h"
#include "runtime/step_reports.h"
#include "tests/kernels/sim/stream_modes.h"

namespace convoy::apps {
namespace {

// Before anybody counts the devices.
[[maybe_unused]] const int kTwo = setenv("CONVOY_SIM_DEVICES", "2", 1);

constexpr Device kSim{DeviceType::sim}, kCuda{DeviceType::cuda};
constexpr std::pair<sim::Async, std::uint64_t> kModes[] = {{sim::Async::eager, 0},
                                                           {sim::Async::late, 0},
                                                           {sim::Async::seeded, 1},
                                                           {sim::Async::seeded, 2}};
constexpr int kSteps = 20, kOverflow = 7, kClasses = 5, kSide = 6;

std::unique_ptr<nn::Module> small_net() {
  auto net = std::make_unique<nn::Sequential>();
  net->push<nn::Conv2d>(1, 4, 3, nn::Conv2dSettings{.padding = 1});
  net->push<nn::BatchNorm2d>(4);
  net->push<nn::ReLU>();
  net->push<nn::Dropout>(0.3);
  net->push<nn::Flatten>();
  net->push<nn::Linear>(4 * kSide * kSide, kClasses);
  nn::initialize(*net, 11);
  return net;
}

// Loads batches as a loader does: of two in page-locked memory the older is written anew once it
// has been read.
class Batches {
 public:
  explicit Batches(const Device& device) : device_(device) {}

  // Batch `number` of so many pictures; a class that does not exist makes the loss NaN on a GPU.
  const data::Batch& make(int number, std::int64_t rows, bool overflows) {
    std::unique_ptr<data::BatchMemory>& memory = memory_[++made_ % 2];
    if (!memory || memory->batch().rows != rows) {
      memory =
          std::make_unique<data::BatchMemory>(device_, rows, data::ImageExtent{kSide, kSide, 1});
    }
    memory->wait_until_free();
    data::Batch& b = memory->batch();
    b.position = number;
    std::uint32_t state = 977u * static_cast<std::uint32_t>(number) + 1;
    const auto next = [&] { return (state = state * 1664525u + 1013904223u) >> 24; };
    for (std::uint8_t& value : b.images) value = static_cast<std::uint8_t>(next());
    for (std::size_t i = 0; i < b.labels.size(); ++i) {
      b.labels[i] = static_cast<std::int32_t>(next() % kClasses);
      b.row[i] = {.offset_y = static_cast<std::int32_t>(next() % 3) - 1,
                  .flip = static_cast<std::int32_t>(next() % 2)};
    }
    if (overflows) b.labels.back() = 99;
    return b;
  }

 private:
  Device device_;
  std::array<std::unique_ptr<data::BatchMemory>, 2> memory_;
  std::size_t made_ = 0;
};

// Everything that a run leaves behind, as bits.
struct Trace {
  std::vector<std::uint64_t> reports;
  std::vector<std::vector<std::uint32_t>> tensors;
  std::vector<std::string> names;
  int forwards = 0;  // that the host went through
  StepState last;
};

void note_report(Trace& trace, const StepState& s) {
  const auto add = [&](auto value) {
    std::uint64_t bits = 0;
    std::memcpy(&bits, &value, sizeof value);
    trace.reports.push_back(bits);
  };
  add(s.step), add(s.learning_rate[0]), add(s.gradient_factor), add(s.clip_factor);
  add(s.gradient_norm), add(s.found_inf), add(s.first_bad), add(s.loss), add(s.correct[0]);
  add(s.correct[2]), add(s.updates), add(s.loss_scale), add(s.good_steps), add(s.skipped);
  add(s.skipped_in_a_row), add(s.ema_decay);
  trace.last = s;
}

void note_tensor(Trace& trace, const nn::NamedTensor& named) {
  const Tensor wide =
      named.tensor.dtype() == DType::f32 ? named.tensor : cast(named.tensor, DType::f32);
  std::vector<std::uint32_t> bits;
  for (const float value : to_vector<float>(wide))
    bits.push_back(std::bit_cast<std::uint32_t>(value));
  trace.tensors.push_back(bits);
  trace.names.push_back(named.name);
}

std::vector<double> values_of(const std::vector<nn::NamedTensor>& tensors) {
  std::vector<double> all;
  for (const nn::NamedTensor& t : tensors) {
    for (const float value : to_vector<float>(t.tensor)) all.push_back(value);
  }
  return all;
}

// What averages of weights are in double precision, and how far four roundings a step to f32 may
// carry them from that.
class Averages {
 public:
  explicit Averages(std::vector<double> start)
      : values_(std::move(start)), limit_(values_.size(), 0) {}
  void follow(const std::vector<double>& weights, int steps_before) {
    const double warm = 1 - 1 / std::cbrt((1.0 + steps_before) * (1.0 + steps_before));
    const double decay = static_cast<float>(steps_before == 0 ? 0 : std::min(kDecay, warm));
    for (std::size_t i = 0; i < values_.size(); ++i) {
      const double change = (1 - decay) * (weights[i] - values_[i]);
      values_[i] += change;
      limit_[i] += 0x1p-24 * (std::abs(values_[i]) + 4 * std::abs(change)) + 0x1p-149;
    }
  }
  void expect(const std::vector<double>& found) const {
    ASSERT_EQ(found.size(), values_.size());
    for (std::size_t i = 0; i < found.size(); ++i) ASSERT_NEAR(found[i], values_[i], limit_[i]);
  }
  static constexpr double kDecay = 0.7;

 private:
  std::vector<double> values_, limit_;
};

struct Settings {
  Device device = kSim;
  bool graph = false;
  int batches = 1;
  std::optional<DType> half = DType::f16;
  nn::OptimizerKind optimizer = nn::OptimizerKind::adamw;
  data::MixOptions mix = {};
  int breaks_at = 0;  // the step in front of which the second simulated device is lost
};

// Pictures of step `number`: another number twice at one place, once at another.
std::int64_t rows_of(int number) {
  if (number >= 10 && number < 14) return 3;
  return number == 16 ? 2 : 4;
}

Trace train(const Settings& settings) {
  Trace trace;
  const auto model = small_net();
  nn::ParameterStore store(*model, settings.device, {}, settings.half);
  nn::Optimizer optimizer(store, {.kind = settings.optimizer, .weight_decay = 0.01});
  std::optional<nn::GradScaler> scaler;
  if (settings.half)
    scaler.emplace(settings.device, nn::GradScalerOptions{.initial_scale = 256, .window = 4});
  const InputPipeline input({.extent = {kSide, kSide, 1}, .mean = {0.5f}, .std = {0.25f}},
                            settings.device, settings.half.value_or(DType::f32));
  optimizer.set_steps(0);
  nn::Ema ema(store, {.decay = Averages::kDecay, .warmup = true});
  TrainStep step(*model, store, optimizer, scaler ? &*scaler : nullptr, input,
                 {.label_smoothing = 0.1,
                  .clip_grad = 0.5,
                  .graph = settings.graph,
                  .mix = {settings.mix, 5},
                  .ema = &ema});
  const nn::LrSchedule schedule{
      .kind = nn::LrKind::cosine, .learning_rate = 0.02, .epochs = 1, .warmup_epochs = 0.2};
  const nn::ForwardObserver observer([&](const nn::Module& module, const Tensor&) {
    if (&module == model.get()) ++trace.forwards;
  });
  Averages averages(values_of(store.weights(*model)));
  StepReports reports(settings.device);
  Batches batches(settings.device);
  for (int i = 1; i <= kSteps; ++i) {
    if (reports.full()) note_report(trace, reports.wait());
    if (i == settings.breaks_at) on_sim::break_device(1, on_sim::kIllegalAddress);
    step.begin(nn::learning_rate_at(schedule, static_cast<double>(i) / kSteps), settings.batches);
    for (int b = 0; b < settings.batches; ++b) {
      step.load(batches.make(100 * b + i, rows_of(i), i == kOverflow));
    }
    step.run();
    reports.push(current_stream(settings.device));
    const bool follows = !settings.graph && settings.breaks_at == 0 && i != kOverflow;
    if (follows) averages.follow(values_of(store.weights(*model)), i - 1);
  }
  while (!reports.empty()) note_report(trace, reports.wait());
  const NoGrad inference;
  for (const auto& named : store.weights(*model)) note_tensor(trace, named);
  for (const auto& named : model->parameters()) note_tensor(trace, named);
  for (const auto& named : optimizer.state()) note_tensor(trace, named);
  for (const auto& named : ema.weights(*model)) note_tensor(trace, named);
  if (!settings.graph) averages.expect(values_of(ema.weights(*model)));
  return trace;
}

void expect_same(const Trace& eager, const Trace& replayed, const std::string& what) {
  EXPECT_EQ(eager.reports, replayed.reports) << what;
  ASSERT_EQ(eager.names, replayed.names);
  for (std::size_t i = 0; i < eager.names.size(); ++i) {
    EXPECT_EQ(eager.tensors[i], replayed.tensors[i]) << what << ": " << eager.names[i];
  }
}

class TrainStepOn : public ::testing::TestWithParam<Device> {
 protected:
  void SetUp() override {
    const auto devices = available_devices();
    if (std::find(devices.begin(), devices.end(), GetParam()) == devices.end()) {
      GTEST_SKIP() << "no GPU: " << why_no_gpu();
    }
    if (!has_graphs(GetParam())) GTEST_SKIP() << "CONVOY_ALLOCATOR=direct: no cache, no graphs";
  }
  std::size_t live_bytes() const { return allocator(GetParam()).stats().live_bytes; }
};
INSTANTIATE_TEST_SUITE_P(Devices, TrainStepOn, ::testing::Values(kSim, kCuda),
                         [](const auto& on) { return name(on.param.type); });

TEST_P(TrainStepOn, ReplayEqualsEagerBitForBit) {
  const std::size_t before = live_bytes();
  const Trace eager = train({.device = GetParam()});
  EXPECT_EQ(eager.forwards, kSteps);
  EXPECT_EQ(eager.last.skipped, 1);
  EXPECT_EQ(eager.last.updates, kSteps - 1);
  // Doubled at step 4, halved at 7, doubled at 11, 15 and 19.
  EXPECT_EQ(eager.last.loss_scale, 256 * 8);
  for (const auto& [async, seed] : kModes) {
    const testing::ScopedMode mode(async, seed);
    const Trace replayed = train({.device = GetParam(), .graph = true});
    expect_same(eager, replayed, testing::to_text(async, seed));
    // Of each shape one eager step and one capture; one more eager where a shape may be passing:
    // 4 rows, 3 rows (10 to 13), 4 rows, 2 rows (16), 4 rows.
    EXPECT_EQ(replayed.forwards, 2 + 3 + 2 + 1 + 1);
  }
  allocator(GetParam()).trim();
  EXPECT_EQ(live_bytes(), before);
  EXPECT_EQ(allocator(GetParam()).stats().cached_bytes, 0u) << "graphs give their pools back";
}

TEST_P(TrainStepOn, AccumulatedBatchesAreOneGraph) {
  const Settings f32{.device = GetParam(),
                     .batches = 2,
                     .half = std::nullopt,
                     .optimizer = nn::OptimizerKind::sgd};
  Settings with_graph = f32;
  with_graph.graph = true;
  const Trace eager = train(f32), replayed = train(with_graph);
  EXPECT_EQ(eager.forwards, 2 * kSteps);
  EXPECT_EQ(replayed.forwards, 2 * 9);
  expect_same(eager, replayed, "two batches a step");
}

// One error, from the first call that learns of it, and not a word from the destructors. The device
// is lost to this process: no other test uses it.
TEST_P(TrainStepOn, MixedBatchesReplayEqually) {
  const data::MixOptions mix{.mixup = 0.4, .cutmix = 1};
  const Trace eager = train({.device = GetParam(), .mix = mix});
  EXPECT_NE(eager.tensors, train({.device = GetParam()}).tensors);
  for (const auto& [async, seed] : kModes) {
    const testing::ScopedMode mode(async, seed);
    expect_same(eager, train({.device = GetParam(), .graph = true, .mix = mix}),
                testing::to_text(async, seed));
  }
}

TEST(TrainStep, ALostDeviceIsOneError) {
  const testing::ScopedMode mode(sim::Async::late);
  ::testing::internal::CaptureStderr();
  const std::string error = testing::error_of([] {
    train({.device = {DeviceType::sim, 1}, .graph = has_graphs(kSim), .breaks_at = 8});
  });
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
  EXPECT_TRUE(testing::contains(error, "sim:1 is of no use to this process any more")) << error;
  EXPECT_TRUE(!has_graphs(kSim) || testing::contains(error, "a graph's replay")) << error;
}

TEST(TrainStep, MissingAndSurplusBatchesAreNamed) {
  const auto model = small_net();
  nn::ParameterStore store(*model, kSim);
  nn::Optimizer optimizer(store, {});
  const InputPipeline input({.extent = {kSide, kSide, 1}, .mean = {0}, .std = {1}}, kSim);
  TrainStep step(*model, store, optimizer, nullptr, input, {});
  Batches batches(kSim);
  step.begin(0.1, 2);
  step.load(batches.make(1, 2, false));
  EXPECT_THROW(step.run(), Error);
  EXPECT_THROW(step.load(batches.make(2, 3, false)), Error) << "another shape within a step";
  step.load(batches.make(2, 2, false));
  EXPECT_THROW(step.load(batches.make(3, 2, false)), Error);
  EXPECT_THROW(step.begin(0.1, 0), Error);
  step_state(kSim).host() = {};
  step_state(kSim).upload_all(current_stream(kSim));
}

}  // namespace
}  // namespace convoy::apps
