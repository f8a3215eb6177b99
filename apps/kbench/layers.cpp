// SPDX-License-Identifier: MIT
#include "apps/kbench/layers.h"

#include <algorithm>

namespace convoy::kbench {
namespace {

struct Window {
  std::int64_t size, stride = 1, padding = 0;
};

ConvLayer layer(std::string name, const Shape& x, std::int64_t out, const Window& w,
                std::int64_t groups = 1) {
  return {std::move(name), conv2d_geometry(x, {out, w.size, w.size, x[3] / groups},
                                           {.stride = {w.stride, w.stride},
                                            .padding = {w.padding, w.padding},
                                            .groups = groups})};
}

// Adds the layer, or counts it where its geometry is there already.
void add(std::vector<ConvLayer>& layers, const ConvLayer& l) {
  const auto same =
      std::find_if(layers.begin(), layers.end(), [&](const auto& other) { return other.g == l.g; });
  if (same == layers.end()) return layers.push_back(l);
  ++same->count;
}

// He et al., arXiv:1512.03385, table 1; the stride in the 3 x 3 convolution.
std::vector<ConvLayer> resnet50(std::int64_t batch) {
  std::vector<ConvLayer> layers = {layer("conv1", {batch, 224, 224, 3}, 64, {7, 2, 3})};
  const int blocks[] = {3, 4, 6, 3};
  std::int64_t channels = 64, size = 56;
  for (int stage = 0; stage < 4; ++stage) {
    const std::int64_t planes = 64 << stage;
    for (int block = 0; block < blocks[stage]; ++block) {
      const std::int64_t stride = stage > 0 && block == 0 ? 2 : 1, out = size / stride;
      const std::string at = fmt::format("layer{}.{}.", stage + 1, block);
      const Shape x{batch, size, size, channels};
      add(layers, layer(at + "conv1", x, planes, {1}));
      add(layers, layer(at + "conv2", {batch, size, size, planes}, planes, {3, stride, 1}));
      add(layers, layer(at + "conv3", {batch, out, out, planes}, 4 * planes, {1}));
      if (block == 0) add(layers, layer(at + "downsample", x, 4 * planes, {1, stride}));
      channels = 4 * planes, size = out;
    }
  }
  return layers;
}

ConvLayer times(int count, ConvLayer l) {
  l.count = count;
  return l;
}

// airbench94 (Jordan, arXiv:2404.00498): a whitening layer, then three groups of two convolutions,
// each group's first with a max pooling by 2 behind it. group3.conv1 is group2.conv2 once more.
std::vector<ConvLayer> cifar_recipe(std::int64_t batch) {
  return {layer("whiten", {batch, 32, 32, 3}, 24, {2}),
          layer("group1.conv1", {batch, 31, 31, 24}, 64, {3, 1, 1}),
          layer("group1.conv2", {batch, 15, 15, 64}, 64, {3, 1, 1}),
          layer("group2.conv1", {batch, 15, 15, 64}, 256, {3, 1, 1}),
          times(2, layer("group2.conv2", {batch, 7, 7, 256}, 256, {3, 1, 1})),
          layer("group3.conv2", {batch, 3, 3, 256}, 256, {3, 1, 1})};
}

// Three stages of three blocks of two convolutions, the shortcuts without any.
std::vector<ConvLayer> resnet20(std::int64_t batch) {
  return {layer("conv1", {batch, 32, 32, 3}, 16, {3, 1, 1}),
          times(6, layer("layer1", {batch, 32, 32, 16}, 16, {3, 1, 1})),
          layer("layer2.0.conv1", {batch, 32, 32, 16}, 32, {3, 2, 1}),
          times(5, layer("layer2", {batch, 16, 16, 32}, 32, {3, 1, 1})),
          layer("layer3.0.conv1", {batch, 16, 16, 32}, 64, {3, 2, 1}),
          times(5, layer("layer3", {batch, 8, 8, 64}, 64, {3, 1, 1}))};
}

ConvLayer from_axes(const Request& r) {
  const std::int64_t c = r.size("c", 64), taps = r.size("r", 3), groups = r.size("groups", 1);
  const std::int64_t height = r.size("h", 56), width = r.size("w", height);
  const std::int64_t stride = r.size("stride", 1), padding = r.size("pad", taps / 2, 0);
  const std::int64_t n = r.size("n", 32, 0), k = r.size("k", c), line = r.size("s", taps);
  require_countable({n, height + 2 * padding, width + 2 * padding, std::max(c, k)});
  require_countable({k, taps, line, c});
  return {"axes",
          conv2d_geometry(
              {n, height, width, c}, {k, taps, line, c / groups},
              {.stride = {stride, stride}, .padding = {padding, padding}, .groups = groups})};
}

}  // namespace

std::vector<ConvLayer> conv_layers(const Request& request) {
  const bool of_axes = std::any_of(request.sizes.begin(), request.sizes.end(),
                                   [](const auto& size) { return size.first != "n"; });
  if (of_axes) return {from_axes(request)};
  if (request.shapes == "cifar") return cifar_recipe(request.size("n", 1024));
  if (request.shapes == "resnet20") return resnet20(request.size("n", 128));
  return resnet50(request.size("n", 256));
}

}  // namespace convoy::kbench
