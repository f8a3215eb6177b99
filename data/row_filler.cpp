// SPDX-License-Identifier: MIT
#include "data/row_filler.h"

#include <algorithm>

#include "kernels/require.h"

namespace convoy::data {
namespace {

Framing framing_of(const ImageExtent& image, const LoaderOptions& options, const SampleDraw& draw) {
  if (!options.training) return centre_crop(image, options.row, options.crop_pct);
  if (!options.augmentation.crops()) return plain_resize(image, options.row);
  if (options.augmentation.random_window) return random_window(image, options.row, draw);
  return random_resized_crop(image, options.row, options.augmentation, draw);
}

std::span<std::uint8_t> image_of(const Batch& batch, std::size_t r) {
  const std::size_t bytes = batch.images.size() / batch.labels.size();
  return batch.images.subspan(r * bytes, bytes);
}

void clear(const Batch& batch, std::size_t r) {
  std::ranges::fill(image_of(batch, r), std::uint8_t{0});
  batch.labels[r] = kNoLabel;
  batch.row[r] = {};
  batch.indices[r] = -1;
}

}  // namespace

void RowFiller::put_image(std::span<std::uint8_t> out, const SampleDraw& draw) {
  const LoaderOptions& options = plan_.options;
  watch_.enter(WorkerPhase::reading, draw.index);
  plan_.dataset->sample_name(draw.index, name_);
  const ImageExtent picture = decoder_.open(plan_.dataset->stored(draw.index, stored_), name_);
  watch_.enter(WorkerPhase::decoding, draw.index);
  // Evaluation decodes at full size: what it sees is what Pillow decodes, within one level.
  const Scaling scaling = options.training ? Scaling::dct : Scaling::exact;
  decoder_.frame(framing_of(picture, options, draw), options.row, scaling, out.data());
  if (options.training) augmenter_.run({out.data(), options.row}, draw);
}

void RowFiller::put(const Batch& batch, std::size_t r, const SampleDraw& draw) {
  const LoaderOptions& options = plan_.options;
  if (options.pixels) put_image(image_of(batch, r), draw);
  batch.labels[r] = plan_.dataset->label(draw.index);
  batch.row[r] = options.training ? draw_row(options.augmentation, draw) : ImageRow{};
  batch.indices[r] = draw.index;
}

// The place's sample or, of a bad one, that which takes its place.
void RowFiller::fill(const Batch& batch, int r, std::int64_t epoch, std::int64_t position,
                     Skipped& skipped) {
  constexpr std::int64_t kMostInARow = 100;
  const auto at = static_cast<std::size_t>(r);
  const std::int64_t place = position + plan_.first_row() + r;
  if (place >= plan_.sampler.samples_per_epoch()) return clear(batch, at);
  std::int64_t index = plan_.sampler.at(epoch, place);
  const std::int64_t samples = plan_.dataset->size();
  for (std::int64_t tries = 1;; ++tries) {
    try {
      return put(batch, at, {plan_.options.seed, epoch, index});
    } catch (const Error& error) {
      const bool skips = plan_.options.bad_samples == BadSamples::skip;
      if (!skips || error.kind() != ErrorKind::data) throw;
      skipped.emplace_back(index, error.what());
      if (!plan_.options.training) return clear(batch, at);
      if (tries == std::min(kMostInARow, samples)) {
        fail_data("{} samples in a row cannot be read, the last: {}", tries, error.what());
      }
      index = (index + 1) % samples;
    }
  }
}

}  // namespace convoy::data
