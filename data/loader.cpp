// SPDX-License-Identifier: MIT
#include "data/loader.h"

#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <deque>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

#include "data/prefetch_ring.h"
#include "kernels/require.h"

namespace convoy::data {
namespace {

LoaderOptions completed(LoaderOptions options, const Dataset& dataset) {
  const ImageExtent own = dataset.extent();
  ImageExtent& row = options.row;
  if (row.channels == 0) row.channels = own.channels;
  if (row.height == 0 && row.width == 0) {
    if (own.height == 0) {
      fail_usage("loader: the images differ in size: give the size that they are brought to");
    }
    row.height = own.height;
    row.width = own.width;
  }
  if (row.height < 1 || row.width < 1 || row.channels != own.channels) {
    fail_usage("loader: rows expect at least 1 x 1 pixels and the data set's {} channels, found {}",
               own.channels, row);
  }
  if (options.batch_size < 1) {
    fail_usage("loader: batch size expects 1 or more, found {}", options.batch_size);
  }
  if (options.training && dataset.size() < options.batch_size) {
    fail_usage(
        "loader: training expects at least one batch of {} samples, the data set has {}: use a "
        "smaller batch size",
        options.batch_size, dataset.size());
  }
  if (options.workers < 0 || options.depth < 1) {
    fail_usage("loader: expects 0 workers or more and a depth of 1 or more, found {} and {}",
               options.workers, options.depth);
  }
  if (!(options.crop_pct > 0 && options.crop_pct <= 1)) {
    fail_usage("loader: crop_pct expects more than 0 and at most 1, found {}", options.crop_pct);
  }
  check(options.augmentation);
  return options;
}

Framing framing_of(const ImageExtent& image, const LoaderOptions& options, const SampleDraw& draw) {
  if (!options.training) return centre_crop(image, options.row, options.crop_pct);
  if (!options.augmentation.crops()) return plain_resize(image, options.row);
  return random_resized_crop(image, options.row, options.augmentation, draw);
}

// Of threads that are started while it lives.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_;
};

bool is_copy(const Framing& f, const ImageExtent& image, const ImageExtent& row) {
  return image == row && f == Framing{whole(image), row.height, row.width, 0, 0};
}

}  // namespace

// A batch in memory, and what became of its rows.
struct Loader::Slot {
  explicit Slot(const LoaderOptions& options)
      : errors(static_cast<std::size_t>(options.batch_size)), skipped(errors.size()) {
    batch.rows = options.batch_size;
    batch.extent = options.row;
    batch.images.resize(errors.size() * static_cast<std::size_t>(options.row.count()));
    batch.labels.resize(errors.size());
    batch.row.resize(errors.size());
    batch.indices.resize(errors.size());
  }
  Batch batch;
  std::vector<std::exception_ptr> errors;  // of each row
  std::vector<Skipped> skipped;            // each row's own, so that workers share nothing
};

// Batches from one on, up to the end of the epoch or, in training, without end; and the workers.
class Loader::Prefetch {
 public:
  Prefetch(const Loader& loader, std::int64_t epoch, std::int64_t position)
      : loader_(loader),
        first_(position / loader.options_.batch_size),
        epoch_(epoch),
        ring_(loader.options_.depth, static_cast<int>(loader.options_.batch_size), batches()) {
    for (int i = 0; i < loader.options_.depth; ++i) slots_.emplace_back(loader.options_);
    const SignalsBlocked blocked;  // they are for the thread that asked for the batches
    try {
      for (int i = 0; i < loader.options_.workers; ++i) workers_.emplace_back([this] { work(); });
    } catch (const std::system_error&) {
      // No more threads to be had: as many as there are, or next() itself.
    }
  }
  ~Prefetch() { ring_.stop(); }
  Prefetch(const Prefetch&) = delete;
  Prefetch& operator=(const Prefetch&) = delete;

  // The next batch. Gives the one before back.
  Slot& next(LoaderStats& stats) {
    if (held_) ring_.release(*held_);
    held_.reset();
    const auto start = Clock::now();
    for (std::int64_t r = 0; workers_.empty() && r < loader_.options_.batch_size; ++r) {
      deliver(*ring_.claim());
    }
    held_ = ring_.take();
    if (!workers_.empty()) stats.starved_s += seconds_since(start);
    return slots_[static_cast<std::size_t>(held_->slot)];
  }
  double blocked_s() const { return 1e-9 * static_cast<double>(blocked_ns_.load()); }

 private:
  using Ring = PrefetchRing<>;
  using Clock = std::chrono::steady_clock;

  static double seconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
  }
  Ring::Count batches() const {
    if (loader_.options_.training) return Ring::Count{1} << 62;
    return static_cast<Ring::Count>(loader_.batches_per_epoch() - first_);
  }

  void work() {
    for (;;) {
      const auto start = Clock::now();
      const auto row = ring_.claim();
      blocked_ns_ += (Clock::now() - start) / std::chrono::nanoseconds(1);
      if (!row) return;
      deliver(*row);
    }
  }
  // Errors are contents of their row: a batch is delivered whatever happens.
  void deliver(const Ring::Row& row) {
    Slot& slot = slots_[static_cast<std::size_t>(row.slot)];
    const auto r = static_cast<std::size_t>(row.row);
    slot.errors[r] = nullptr;
    try {
      const std::int64_t batch = first_ + static_cast<std::int64_t>(row.batch);
      const std::int64_t per_epoch = loader_.batches_per_epoch();
      loader_.fill(slot, row.row, epoch_ + batch / per_epoch,
                   batch % per_epoch * loader_.options_.batch_size);
    } catch (...) {
      slot.errors[r] = std::current_exception();
    }
    ring_.deliver(row);
  }

  const Loader& loader_;
  std::int64_t first_, epoch_;  // the first batch, counted from the beginning of its epoch
  Ring ring_;
  std::deque<Slot> slots_;
  std::optional<Ring::Batch> held_;
  std::atomic<std::int64_t> blocked_ns_ = 0;
  std::vector<std::jthread> workers_;  // joined first
};

Loader::Loader(std::shared_ptr<const Dataset> dataset, const LoaderOptions& options)
    : dataset_(std::move(dataset)),
      options_(completed(options, *dataset_)),
      sampler_({.size = dataset_->size(),
                .batch_size = options_.batch_size,
                .shuffle = options_.training,
                .drop_last = options_.training,
                .seed = options_.seed}) {}

Loader::~Loader() = default;

void Loader::start(std::int64_t epoch, std::int64_t position) {
  require(epoch >= 0 && position >= 0 && position % options_.batch_size == 0,
          "loader: position expects a multiple of the batch size {}, found {} of epoch {}",
          options_.batch_size, position, epoch);
  if (!follows(epoch, position)) stop();
  epoch_ = epoch;
  position_ = position;
}

// Whether the workers are at that batch, or on their way to it.
bool Loader::follows(std::int64_t epoch, std::int64_t position) const {
  if (epoch == epoch_ && position == position_) return true;
  const bool at_end = position_ >= sampler_.samples_per_epoch();
  return options_.training && at_end && epoch == epoch_ + 1 && position == 0;
}

void Loader::stop() {
  stats_ = stats();
  prefetch_.reset();
}

LoaderStats Loader::stats() const {
  LoaderStats stats = stats_;
  if (prefetch_) stats.blocked_s += prefetch_->blocked_s();
  return stats;
}

const Batch* Loader::next() {
  if (position_ >= sampler_.samples_per_epoch()) return nullptr;
  if (!prefetch_) prefetch_ = std::make_unique<Prefetch>(*this, epoch_, position_);
  Slot& slot = prefetch_->next(stats_);
  for (const std::exception_ptr& error : slot.errors) {
    if (!error) continue;
    const std::exception_ptr thrown = error;
    stop();
    std::rethrow_exception(thrown);
  }
  for (Skipped& row : slot.skipped) {
    skipped_.insert(row.begin(), row.end());
    row.clear();
  }
  Batch& batch = slot.batch;
  batch.epoch = epoch_;
  batch.position = position_;
  batch.valid = batch.rows - std::count(batch.labels.begin(), batch.labels.end(), kNoLabel);
  position_ += batch.rows;
  ++stats_.batches;
  return &batch;
}

void Loader::clear(Batch& batch, std::size_t r) const {
  const auto bytes = static_cast<std::size_t>(options_.row.count());
  std::fill_n(batch.images.data() + r * bytes, bytes, std::uint8_t{0});
  batch.labels[r] = kNoLabel;
  batch.row[r] = {};
  batch.indices[r] = -1;
}

// The sample at `index`, or the one that takes its place: `index` becomes that one's, or -1.
Sample Loader::read(std::int64_t& index, Skipped& skipped) const {
  constexpr int kMostInARow = 100;
  for (int tries = 1;; ++tries) {
    try {
      return dataset_->get(index);
    } catch (const Error& error) {
      if (options_.bad_samples == BadSamples::error || error.kind() != ErrorKind::data) throw;
      skipped.emplace_back(index, error.what());
      index = options_.training ? (index + 1) % dataset_->size() : -1;
      if (index < 0) return {};
      if (tries == std::min<std::int64_t>(kMostInARow, dataset_->size())) {
        fail_data("{} samples in a row cannot be read, the last: {}", tries, error.what());
      }
    }
  }
}

// Row r of the batch at `position` depends on its sample alone, so rows are filled in any order.
void Loader::fill(Slot& slot, int r, std::int64_t epoch, std::int64_t position) const {
  const auto at = static_cast<std::size_t>(r);
  Batch& batch = slot.batch;
  if (position + r >= sampler_.samples_per_epoch()) return clear(batch, at);
  std::int64_t index = sampler_.order(epoch)(position + r);
  const Sample sample = read(index, slot.skipped[at]);
  if (index < 0) return clear(batch, at);
  const SampleDraw draw{options_.seed, epoch, index};
  const ImageExtent& extent = sample.image.extent;
  require(extent.channels == options_.row.channels, "{}: expected {} channels, found {}",
          dataset_->sample_name(index), options_.row.channels, extent.channels);
  std::uint8_t* out = batch.images.data() + at * static_cast<std::size_t>(options_.row.count());
  const Framing framing = framing_of(extent, options_, draw);
  if (is_copy(framing, extent, options_.row)) {
    std::copy(sample.image.pixels.begin(), sample.image.pixels.end(), out);
  } else {
    resize_bilinear(sample.image, framing, options_.row.height, options_.row.width, out);
  }
  batch.labels[at] = sample.label;
  batch.row[at] = options_.training ? draw_row(options_.augmentation, draw) : ImageRow{};
  batch.indices[at] = index;
}

}  // namespace convoy::data
