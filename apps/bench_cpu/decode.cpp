// SPDX-License-Identifier: MIT
#include <algorithm>
#include <chrono>
#include <filesystem>

#include "apps/bench_cpu/bench.h"
#include "data/file.h"
#include "data/sample_decoder.h"
#include "data/transforms.h"
#include "kernels/require.h"
#include "runtime/seconds.h"

namespace convoy::bench {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;
using File = std::vector<std::uint8_t>;

// A damaged file is nothing to measure on.
bool is_sound_jpeg(const File& file) try {
  if (!data::is_jpeg(file)) return false;
  data::decode_image(file, "file");
  return true;
} catch (const Error&) {
  return false;
}

std::vector<File> sound_jpegs(const std::string& folder) {
  std::vector<fs::path> paths;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file()) paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  std::vector<File> files;
  for (const fs::path& path : paths) {
    File file = data::read_file(path, 1 << 26);
    if (is_sound_jpeg(file)) files.push_back(std::move(file));
  }
  if (files.empty()) fail_data("{}: expected JPEG files, found none", folder);
  return files;
}

// libjpeg-turbo on the whole picture, at the smallest size that it has fast code for at which the
// box covers the row.
void decode_whole(data::JpegDecoder& jpeg, const File& file, const data::Framing& f, File& pixels) {
  jpeg.open(file, "whole");
  int eighths = 1;
  while (eighths < 8 &&
         (f.box.height * eighths < 8 * f.height || f.box.width * eighths < 8 * f.width)) {
    eighths *= 2;
  }
  const data::ImageExtent extent = jpeg.scaled(eighths);
  pixels.resize(std::max(pixels.size(), static_cast<std::size_t>(extent.count())));
  jpeg.start(data::whole(extent), eighths);
  jpeg.read(pixels.data());
}

}  // namespace

DecodeSpeed decode_speed(const std::string& folder, double seconds) {
  const std::vector<File> files = sound_jpegs(folder);
  const data::ImageExtent row{224, 224, 3};
  const data::Augmentation crops{.scale_min = 0.08, .ratio_min = 0.75, .ratio_max = 4.0 / 3};
  data::SampleDecoder decoder;
  data::JpegDecoder jpeg({});
  File out(static_cast<std::size_t>(row.count())), pixels;
  double framed = 0, whole = 0;
  std::int64_t pictures = 0;
  for (std::int64_t epoch = 0; framed + whole < seconds; ++epoch) {
    for (std::size_t i = 0; i < files.size(); ++i) {
      const data::SampleDraw draw{.epoch = epoch, .index = static_cast<std::int64_t>(i)};
      auto start = Clock::now();
      const data::ImageExtent picture = decoder.open({.bytes = files[i]}, "framed");
      const data::Framing f = data::random_resized_crop(picture, row, crops, draw);
      decoder.frame(f, row, data::Scaling::dct, out.data());
      framed += seconds_since(start);
      start = Clock::now();
      decode_whole(jpeg, files[i], f, pixels);
      whole += seconds_since(start);
      ++pictures;
    }
  }
  const auto count = static_cast<double>(pictures);
  return {static_cast<std::int64_t>(files.size()), count / framed, count / whole};
}

}  // namespace convoy::bench
