// SPDX-License-Identifier: MIT
#include "apps/trainer/resident.h"

#include "apps/trainer/setup.h"
#include "kernels/require.h"

namespace convoy::apps {

Tensor upload_images(const DataConfig& config, const DataSource& source, const Device& device) {
  constexpr std::int64_t kRows = 1024;
  const data::ImageExtent& e = source.input.extent;
  const data::Dataset& dataset = *source.dataset;
  require(dataset.extent() == e, "resident images: expects {}, found {}", e, dataset.extent());
  data::LoaderOptions options = loading(config, source.input, device);
  options.batch_size = kRows;
  options.bad_samples = data::BadSamples::error;
  data::Loader loader(source.dataset, options);
  const Tensor images = empty({dataset.size(), e.height, e.width, e.channels}, {DType::u8, device});
  const Stream stream = current_stream(device);
  while (const data::Batch* batch = loader.next()) {
    auto* to = static_cast<std::byte*>(images.data()) + batch->position * e.count();
    backend(device).copy(to, batch->images.data(),
                         static_cast<std::size_t>(batch->valid * e.count()), stream);
    batch->read_by(stream);
  }
  return images;
}

}  // namespace convoy::apps
