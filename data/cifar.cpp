// SPDX-License-Identifier: MIT
#include "data/cifar.h"

#include <charconv>
#include <map>
#include <utility>

#include "data/catalog.h"
#include "data/file.h"
#include "kernels/require.h"

namespace convoy::data {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kSide = 32, kPlane = kSide * kSide, kPixels = 3 * kPlane;
constexpr std::size_t kRecord10 = 1 + kPixels, kRecord100 = 2 + kPixels;
constexpr std::uint64_t kMaxBytes = 1ULL << 34;
constexpr int kTrainBatches = 5;

struct Layout {
  std::size_t record, labels;
  int classes;
  std::size_t usual;  // records a file of the published set has
};

CifarVariant told_by_size(std::size_t size, const std::string& name) {
  const bool ten = size % kRecord10 == 0, hundred = size % kRecord100 == 0;
  if (ten && hundred) {
    fail_data(
        "{}: {} bytes are whole records of both CIFAR-10 ({} bytes) and CIFAR-100 ({}): say "
        "which it is",
        name, size, kRecord10, kRecord100);
  }
  if (!ten && !hundred) {
    fail_data("{}: expected a multiple of {} bytes (CIFAR-10) or {} (CIFAR-100), found {}", name,
              kRecord10, kRecord100, size);
  }
  return ten ? CifarVariant::cifar10 : CifarVariant::cifar100;
}

void check_size(std::span<const std::uint8_t> file, const Layout& layout, const std::string& name) {
  if (file.size() % layout.record == 0) return;
  const std::size_t other = layout.labels == 1 ? kRecord100 : kRecord10;
  fail_data("{}: expected a multiple of {} bytes (records of CIFAR-{}), found {}: {} too many{}",
            name, layout.record, layout.classes, file.size(), file.size() % layout.record,
            file.size() % other == 0
                ? fmt::format("; it is whole records of CIFAR-{}", layout.labels == 1 ? 100 : 10)
                : "");
}

void check_label(std::uint8_t label, int classes, const char* what, std::size_t at,
                 const std::string& name) {
  if (label < classes) return;
  fail_data("{}: {} label at byte {} expects 0 to {}, found {}", name, what, at, classes - 1,
            label);
}

void interleave(const std::uint8_t* planes, std::uint8_t* pixels) {
  for (std::size_t i = 0; i < kPlane; ++i) {
    for (std::size_t c = 0; c < 3; ++c) pixels[3 * i + c] = planes[c * kPlane + i];
  }
}

std::vector<std::string> read_names(const fs::path& path, int classes) {
  std::vector<std::string> names;
  if (fs::exists(path)) {
    const std::vector<std::uint8_t> text = read_file(path, 1 << 20);
    std::string line;
    for (const std::uint8_t c : text) {
      if (c == '\n') {
        if (!line.empty()) names.push_back(std::exchange(line, {}));
      } else if (c != '\r') {
        line += static_cast<char>(c);
      }
    }
    if (!line.empty()) names.push_back(line);
    if (names.size() != static_cast<std::size_t>(classes)) {
      fail_data("{}: expected {} class names, one a line, found {}", path.string(), classes,
                names.size());
    }
  } else if (classes == 10) {
    names = cifar10_names();
  } else {
    for (int c = 0; c < classes; ++c) names.push_back(fmt::format("class_{}", c));
  }
  return names;
}

// data_batch_<number>.bin, in the order of their numbers.
std::vector<fs::path> train_batches(const fs::path& folder) {
  const std::string prefix = "data_batch_", ending = ".bin";
  std::map<int, fs::path> found;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(prefix) || !name.ends_with(ending)) continue;
    int number = 0;
    const char* end = name.data() + name.size() - ending.size();
    if (std::from_chars(name.data() + prefix.size(), end, number).ptr == end) {
      found[number] = entry.path();
    }
  }
  std::vector<fs::path> paths;
  for (auto& [number, path] : found) paths.push_back(path);
  return paths;
}

std::string listed(const std::vector<fs::path>& paths) {
  std::string text;
  for (const fs::path& path : paths) text += (text.empty() ? "" : ", ") + path.filename().string();
  return text;
}

std::vector<fs::path> files_of(const fs::path& folder, CifarVariant variant, bool train,
                               MemorySamples& samples) {
  if (!fs::is_directory(folder)) {
    fail_data("{}: expected a directory with CIFAR's .bin files, found none", folder.string());
  }
  if (variant == CifarVariant::cifar100) return {folder / (train ? "train.bin" : "test.bin")};
  if (!train) return {folder / "test_batch.bin"};
  std::vector<fs::path> paths = train_batches(folder);
  if (paths.empty()) {
    fail_data("{}: expected data_batch_1.bin to data_batch_5.bin, found none of them{}",
              folder.string(),
              fs::exists(folder / "data_batch_1")
                  ? ": data_batch_1 is the Python version, Convoy reads the binary one"
                  : "");
  }
  if (paths.size() < kTrainBatches) {
    samples.warnings.push_back(fmt::format("{}: {} of {} training batches are there: {}",
                                           folder.string(), paths.size(), kTrainBatches,
                                           listed(paths)));
  }
  return paths;
}

}  // namespace

void append_cifar(std::span<const std::uint8_t> file, const std::string& name, CifarVariant variant,
                  MemorySamples& samples) {
  if (file.empty()) fail_data("{}: expected CIFAR records, found an empty file", name);
  if (file.size() >= 2 && file[0] == 0x80 && file[1] == 0x02) {
    fail_data(
        "{}: starts with 80 02, which is a Python pickle: this is the Python version, Convoy "
        "reads the binary one (cifar-10-binary.tar.gz)",
        name);
  }
  if (variant == CifarVariant::automatic) variant = told_by_size(file.size(), name);
  const Layout layout =
      variant == CifarVariant::cifar10
          ? Layout{kRecord10, 1, 10, 10000}
          : Layout{kRecord100, 2, 100, name.ends_with("train.bin") ? 50000u : 10000u};
  check_size(file, layout, name);
  const std::size_t count = file.size() / layout.record;
  if (count != layout.usual) {
    samples.warnings.push_back(
        fmt::format("{}: expected {} records, found {}", name, layout.usual, count));
  }
  const std::size_t before = samples.labels.size();
  samples.pixels.resize(samples.pixels.size() + count * kPixels);
  samples.labels.resize(before + count);
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t at = i * layout.record;
    if (layout.labels == 2) check_label(file[at], 20, "coarse", at, name);
    const std::size_t label_at = at + layout.labels - 1;
    check_label(file[label_at], layout.classes, layout.labels == 2 ? "fine" : "the", label_at,
                name);
    samples.labels[before + i] = file[label_at];
    interleave(&file[label_at + 1], &samples.pixels[(before + i) * kPixels]);
  }
}

std::unique_ptr<Dataset> open_cifar(const std::filesystem::path& folder, CifarVariant variant,
                                    const std::string& split) {
  require(split == "train" || split == "test", "cifar: split expects train or test, found {}",
          split);
  require(variant != CifarVariant::automatic, "open_cifar: expected cifar10 or cifar100");
  const bool train = split == "train", ten = variant == CifarVariant::cifar10;
  MemorySamples samples;
  samples.extent = {kSide, kSide, 3};
  const fs::path test = folder / (ten ? "test_batch.bin" : "test.bin");
  const std::vector<fs::path> paths = files_of(folder, variant, train, samples);
  std::vector<std::uint8_t> held_out;
  if (train && fs::exists(test)) held_out = read_file(test, kMaxBytes);
  for (const fs::path& path : paths) {
    const std::vector<std::uint8_t> file = read_file(path, kMaxBytes);
    if (train && !held_out.empty() && file == held_out) {
      fail_data("{} and {} hold the same bytes: expected training and test data to differ",
                path.string(), test.string());
    }
    append_cifar(file, path.string(), variant, samples);
  }
  samples.class_names = ten ? read_names(folder / "batches.meta.txt", 10)
                            : read_names(folder / "fine_label_names.txt", 100);
  samples.source = paths.size() == 1 ? paths[0].string() : (folder / "data_batch").string();
  return std::make_unique<MemoryDataset>(std::move(samples));
}

}  // namespace convoy::data
