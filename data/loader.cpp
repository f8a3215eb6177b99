// SPDX-License-Identifier: MIT
#include "data/loader.h"

#include <algorithm>
#include <utility>

#include "data/row_threads.h"
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

bool is_copy(const Framing& f, const ImageExtent& image, const ImageExtent& row) {
  return image == row && f == Framing{whole(image), row.height, row.width, 0, 0};
}

}  // namespace

Loader::Loader(std::shared_ptr<const Dataset> dataset, const LoaderOptions& options)
    : dataset_(std::move(dataset)),
      options_(completed(options, *dataset_)),
      sampler_({.size = dataset_->size(),
                .batch_size = options_.batch_size,
                .shuffle = options_.training,
                .drop_last = options_.training,
                .seed = options_.seed}) {
  const auto rows = static_cast<std::size_t>(options_.batch_size);
  batch_.rows = options_.batch_size;
  batch_.extent = options_.row;
  batch_.images.resize(rows * static_cast<std::size_t>(options_.row.count()));
  batch_.labels.resize(rows);
  batch_.row.resize(rows);
  batch_.indices.resize(rows);
  skipped_in_row_.resize(rows);
  start(0);
}

void Loader::start(std::int64_t epoch, std::int64_t position) {
  require(epoch >= 0 && position >= 0 && position % options_.batch_size == 0,
          "loader: position expects a multiple of the batch size {}, found {} of epoch {}",
          options_.batch_size, position, epoch);
  if (order_.empty() || epoch != epoch_) order_ = sampler_.order(epoch);
  epoch_ = epoch;
  position_ = position;
}

const Batch* Loader::next() {
  if (position_ >= sampler_.samples_per_epoch()) return nullptr;
  batch_.epoch = epoch_;
  batch_.position = position_;
  for_each_row(batch_.rows, dataset_->decodes() ? options_.threads : 1,
               [this](std::int64_t r) { fill(r); });
  for (Skipped& row : skipped_in_row_) {
    skipped_.insert(row.begin(), row.end());
    row.clear();
  }
  batch_.valid = batch_.rows - std::count(batch_.labels.begin(), batch_.labels.end(), kNoLabel);
  position_ += batch_.rows;
  return &batch_;
}

void Loader::clear(std::size_t r) {
  const auto bytes = static_cast<std::size_t>(options_.row.count());
  std::fill_n(batch_.images.data() + r * bytes, bytes, std::uint8_t{0});
  batch_.labels[r] = kNoLabel;
  batch_.row[r] = {};
  batch_.indices[r] = -1;
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

// Row r depends on the sample at its position alone, so rows may be filled in any order.
void Loader::fill(std::int64_t r) {
  const auto at = static_cast<std::size_t>(r);
  if (position_ + r >= sampler_.samples_per_epoch()) return clear(at);
  std::int64_t index = order_[static_cast<std::size_t>(position_ + r)];
  const Sample sample = read(index, skipped_in_row_[at]);
  if (index < 0) return clear(at);
  const SampleDraw draw{options_.seed, epoch_, index};
  const ImageExtent& extent = sample.image.extent;
  require(extent.channels == options_.row.channels, "{}: expected {} channels, found {}",
          dataset_->sample_name(index), options_.row.channels, extent.channels);
  std::uint8_t* out = batch_.images.data() + at * static_cast<std::size_t>(options_.row.count());
  const Framing framing = framing_of(extent, options_, draw);
  if (is_copy(framing, extent, options_.row)) {
    std::copy(sample.image.pixels.begin(), sample.image.pixels.end(), out);
  } else {
    resize_bilinear(sample.image, framing, options_.row.height, options_.row.width, out);
  }
  batch_.labels[at] = sample.label;
  batch_.row[at] = options_.training ? draw_row(options_.augmentation, draw) : ImageRow{};
  batch_.indices[at] = index;
}

}  // namespace convoy::data
