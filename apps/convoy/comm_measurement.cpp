// SPDX-License-Identifier: MIT
#include "apps/convoy/comm_measurement.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <functional>
#include <vector>

#include "kernels/half.h"
#include "runtime/seconds.h"

namespace convoy::apps {
namespace {

using Clock = std::chrono::steady_clock;

constexpr Collective kCollectives[] = {
    {"all_reduce", false, false, true, [](int n) { return 2.0 * (n - 1) / n; }},
    {"reduce_scatter", false, true, true, [](int n) { return 1.0 * (n - 1) / n; }},
    {"all_gather", true, false, false, [](int n) { return 1.0 * (n - 1) / n; }},
    {"broadcast", false, false, false, [](int) { return 1.0; }}};

// Numbers whose sums every dtype holds exactly, in any order.
int value_of(int rank, std::int64_t index) { return static_cast<int>((index + 3 * rank) % 4); }

std::vector<std::byte> stored(DType dtype, std::int64_t count,
                              const std::function<int(std::int64_t)>& value) {
  std::vector<std::byte> bytes(count * size_of(dtype));
  const auto put = [&](auto number, std::int64_t i) {
    std::memcpy(bytes.data() + i * sizeof number, &number, sizeof number);
  };
  for (std::int64_t i = 0; i < count; ++i) {
    const auto number = static_cast<float>(value(i));
    if (dtype == DType::f32) put(number, i);
    if (dtype == DType::f16) put(from_float<F16>(number), i);
    if (dtype == DType::bf16) put(from_float<BF16>(number), i);
    if (dtype == DType::i64) put(static_cast<std::int64_t>(value(i)), i);
  }
  return bytes;
}

// Whole parts only where there are parts.
std::int64_t whole_count(const Collective& collective, int world_size, DType dtype,
                         std::int64_t bytes) {
  const std::int64_t count = bytes / static_cast<std::int64_t>(size_of(dtype));
  return collective.is_cut() ? count / world_size * world_size : count;
}

}  // namespace

const Collective* find_collective(std::string_view name) {
  for (const Collective& each : kCollectives) {
    if (name == each.name) return &each;
  }
  return nullptr;
}

CommMeasurement::CommMeasurement(dist::Communicator& ranks, const Collective& collective,
                                 const CommOptions& options, std::int64_t bytes)
    : ranks_(ranks),
      collective_(collective),
      options_(options),
      parts_(whole_count(collective, ranks.world_size(), options.dtype, bytes),
             ranks.world_size()) {}

std::int64_t CommMeasurement::bytes() const {
  return parts_.count() * static_cast<std::int64_t>(size_of(options_.dtype));
}

Figures CommMeasurement::run(bool in_place) {
  prepare(in_place);
  for (int i = 0; i < options_.warmup; ++i) start().wait();
  settle();
  const auto begin = Clock::now();
  dist::Work last;
  for (int i = 0; i < options_.iters; ++i) last = start();
  last.wait();
  backend(options_.device).synchronize(current_stream(options_.device));
  Figures figures;
  figures.seconds = mean_over_ranks(seconds_since(begin)) / options_.iters;
  figures.algbw = static_cast<double>(bytes()) / figures.seconds * 1e-9;
  figures.busbw = figures.algbw * collective_.bus_factor(ranks_.world_size());
  if (options_.check) figures.wrong = count_wrong(in_place);
  return figures;
}

void CommMeasurement::prepare(bool in_place) {
  const std::int64_t count = parts_.count();
  const int rank = ranks_.rank();
  const auto bytes =
      stored(options_.dtype, count, [&](std::int64_t i) { return value_of(rank, i); });
  const Tensor whole = from_host(bytes.data(), {count}, {options_.dtype, options_.device});
  in_ = collective_.sends_part ? dist::view(whole, mine()) : whole;
  const Range received = collective_.receives_part ? mine() : Range{0, count};
  out_ = in_place || collective_.is_rooted()
             ? dist::view(whole, received)
             : zeros({received.count()}, {options_.dtype, options_.device});
}

dist::Work CommMeasurement::start() {
  if (collective_.is_rooted()) return ranks_.broadcast(out_, options_.root);
  if (collective_.sends_part) return ranks_.all_gather(in_, out_, parts_);
  if (collective_.receives_part) return ranks_.reduce_scatter(in_, out_, parts_);
  return ranks_.all_reduce(in_, out_, parts_);
}

void CommMeasurement::settle() {
  backend(options_.device).synchronize(current_stream(options_.device));
  ranks_.barrier();
}

std::int64_t CommMeasurement::sum_over_ranks(std::int64_t value) {
  const Tensor sum = from_vector<std::int64_t>({value}, {1}, options_.device);
  ranks_.all_reduce(sum).wait();
  return to_vector<std::int64_t>(sum)[0];
}

double CommMeasurement::mean_over_ranks(double seconds) {
  return static_cast<double>(sum_over_ranks(static_cast<std::int64_t>(seconds * 1e9))) * 1e-9 /
         ranks_.world_size();
}

int CommMeasurement::expected(std::int64_t index) const {
  if (collective_.is_rooted()) return value_of(options_.root, index);
  if (!collective_.sums) {
    const std::int64_t part = std::max<std::int64_t>(parts_.part(), 1);
    return value_of(static_cast<int>(index / part), index);
  }
  int sum = 0;
  for (int rank = 0; rank < ranks_.world_size(); ++rank) sum += value_of(rank, index);
  return sum;
}

// On fresh numbers, once.
std::int64_t CommMeasurement::count_wrong(bool in_place) {
  prepare(in_place);
  start().wait();
  std::vector<std::byte> found(out_.count() * size_of(options_.dtype));
  to_host(out_, found.data());
  const std::int64_t first = collective_.receives_part ? mine().begin : 0;
  const auto right =
      stored(options_.dtype, out_.count(), [&](std::int64_t i) { return expected(first + i); });
  std::int64_t wrong = 0;
  for (std::size_t at = 0; at < found.size(); at += size_of(options_.dtype)) {
    wrong += std::memcmp(&found[at], &right[at], size_of(options_.dtype)) != 0;
  }
  return sum_over_ranks(wrong);
}

}  // namespace convoy::apps
