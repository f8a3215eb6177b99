// SPDX-License-Identifier: MIT
#include "data/loader_options.h"

#include <utility>

#include "kernels/require.h"

namespace convoy::data {
namespace {

ImageExtent row_extent(ImageExtent row, const ImageExtent& own) {
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
  return row;
}

void check_batches(const LoaderOptions& o, std::int64_t samples) {
  if (o.batch_size < 1) {
    fail_usage("loader: batch size expects 1 or more, found {}", o.batch_size);
  }
  if (o.training && samples < o.batch_size) {
    fail_usage(
        "loader: training expects at least one batch of {} samples, the data set has {}: use a "
        "smaller batch size",
        o.batch_size, samples);
  }
  if (o.rank < 0 || o.rank >= o.world) {
    fail_usage("loader: expects a rank of 0 to {}, found {}", o.world - 1, o.rank);
  }
  if (o.batch_size < o.world) {
    fail_usage("loader: batches of {} samples leave some of {} ranks without any: use larger ones",
               o.batch_size, o.world);
  }
}

// Of pictures that the device has.
void check_shifts_only(const LoaderOptions& o, const ImageExtent& stored) {
  if (stored != o.row) {
    fail_usage(
        "loader: pictures that stay on the device (--resident) expect to be stored at the size "
        "that "
        "the model sees, {}; found {}: convoy pack --format raw --size {} makes them so",
        o.row, stored.height == 0 ? "files" : to_text(stored), o.row.width);
  }
  if (o.augmentation.crops() || o.augmentation.changes_pixels()) {
    fail_usage(
        "loader: pictures that stay on the device (--resident) are shifted and mirrored there: "
        "found other augmentation; leave it out, or leave out --resident");
  }
}

LoaderOptions completed(LoaderOptions o, const Dataset& dataset) {
  o.row = row_extent(o.row, dataset.extent());
  check_batches(o, dataset.size());
  if (o.workers < 0 || o.depth < 1) {
    fail_usage("loader: expects 0 workers or more and a depth of 1 or more, found {} and {}",
               o.workers, o.depth);
  }
  if (!(o.crop_pct > 0 && o.crop_pct <= 1)) {
    fail_usage("loader: crop_pct expects more than 0 and at most 1, found {}", o.crop_pct);
  }
  if (!(o.deadline_s >= 0)) {
    fail_usage("loader: deadline expects 0 seconds or more, found {}", o.deadline_s);
  }
  if (o.shuffle_window < 0) {
    fail_usage("loader: shuffle window expects 0 samples or more, found {}", o.shuffle_window);
  }
  check(o.augmentation);
  if (!o.pixels) check_shifts_only(o, dataset.extent());
  return o;
}

}  // namespace

LoadingPlan::LoadingPlan(std::shared_ptr<const Dataset> data, const LoaderOptions& told)
    : dataset(std::move(data)),
      options(completed(told, *dataset)),
      sampler({.size = dataset->size(),
               .batch_size = options.batch_size,
               .shuffle = options.training,
               .drop_last = options.training,
               .seed = options.seed,
               .window = options.shuffle_window}) {}

}  // namespace convoy::data
