// SPDX-License-Identifier: MIT
#pragma once
// One collective at one size, timed and checked as nccl-tests does: algbw is bytes over time, busbw
// what each link must have carried (nccl-tests' doc/PERFORMANCE.md).
//
//   CommMeasurement measurement(ranks, *find_collective("all_reduce"), options, 1 << 20);
//   const Figures apart = measurement.run(false), in_place = measurement.run(true);

#include <cstdint>
#include <string_view>

#include "dist/communicator.h"

namespace convoy::apps {

// One collective of nccl-tests: what goes in, what must come out, and how its bandwidth counts.
struct Collective {
  const char* name;
  bool sends_part, receives_part;  // of the whole; else all of it
  bool sums;
  double (*bus_factor)(int world_size);
  bool is_cut() const { return sends_part || receives_part; }
  bool is_rooted() const { return name == std::string_view("broadcast"); }
};
// Null where there is none of that name.
const Collective* find_collective(std::string_view name);

struct CommOptions {
  DType dtype = DType::f32;
  Device device;
  int iters = 20, warmup = 5;
  int root = 0;       // of broadcast
  bool check = true;  // results, against what they must be
};

struct Figures {
  double seconds = 0, algbw = 0, busbw = 0;  // GB/s
  std::int64_t wrong = -1;                   // -1: not looked at
};

// Every rank makes one and runs it.
class CommMeasurement {
 public:
  // Of so many bytes, or a few less: the ranks' parts are of one length.
  CommMeasurement(dist::Communicator& ranks, const Collective& collective,
                  const CommOptions& options, std::int64_t bytes);

  std::int64_t bytes() const;
  // As nccl-tests counts: what a rank has where that is less than the whole.
  std::int64_t count() const { return collective_.is_cut() ? parts_.part() : parts_.count(); }
  Figures run(bool in_place);

 private:
  Range mine() const { return parts_.of(ranks_.rank()); }
  void prepare(bool in_place);
  dist::Work start();
  void settle();
  std::int64_t sum_over_ranks(std::int64_t value);
  double mean_over_ranks(double seconds);
  int expected(std::int64_t index) const;
  std::int64_t count_wrong(bool in_place);

  dist::Communicator& ranks_;
  const Collective& collective_;
  const CommOptions options_;
  const dist::Partition parts_;
  Tensor in_, out_;
};

}  // namespace convoy::apps
