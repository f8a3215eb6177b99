// SPDX-License-Identifier: MIT
#pragma once
// Batches that workers fill ahead of the one that is being used (data/prefetch_ring.h), from one on
// up to the end of the epoch or, in training, without end.
//
//   Prefetch prefetch(plan, epoch, position);
//   PrefetchedBatch& next = prefetch.next();     // in order; errors are in it
//
// A watchdog looks at the workers where a deadline is set: a sample that takes longer ends the
// loading with an error that names worker, phase and sample. The worker itself cannot be taken out
// of a read that does not return: it is left behind with what it works on.

#include <cstdint>
#include <exception>
#include <memory>
#include <thread>
#include <vector>

#include "data/batch.h"
#include "data/row_filler.h"

namespace convoy::data {

// Since the loader was made. Workers that wait for the consumer cost nothing; a consumer that waits
// for workers is what prefetching is there to avoid.
struct LoaderStats {
  std::int64_t batches = 0, bytes = 0;  // delivered; bytes of pictures
  double starved_s = 0;                 // that next() waited for workers
  double blocked_s = 0;                 // that workers waited for a free slot, all of them together
  double filling_s = 0;                 // that they read, decoded and framed
  LoaderStats& operator+=(const LoaderStats& other);
  LoaderStats operator-(const LoaderStats& earlier) const;
};

struct PrefetchedBatch {
  PrefetchedBatch(const LoadingPlan& plan);
  BatchMemory memory;
  std::vector<std::exception_ptr> errors;  // of each row
  std::vector<Skipped> skipped;            // each row's own, so that workers share nothing
};

class Prefetch {
 public:
  Prefetch(std::shared_ptr<const LoadingPlan> plan, std::int64_t epoch, std::int64_t position);
  ~Prefetch();
  Prefetch(const Prefetch&) = delete;
  Prefetch& operator=(const Prefetch&) = delete;

  // The next batch; that before is given back once what reads it has passed. Throws Error of kind
  // data when a worker does not come back from a sample.
  PrefetchedBatch& next();
  LoaderStats stats() const;

 private:
  struct Shared;
  static void work(const std::shared_ptr<Shared>& shared, std::size_t worker);
  void give_back();
  void fill_here();
  void watch(const std::stop_token& stop);

  std::shared_ptr<Shared> shared_;  // with workers that are left behind
  std::vector<int> used_;           // slots that are not given back yet, oldest first
  std::unique_ptr<RowFiller> own_;  // without workers
  LoaderStats stats_;
  std::vector<std::thread> workers_;
  std::jthread watchdog_;
};

}  // namespace convoy::data
