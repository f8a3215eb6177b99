// SPDX-License-Identifier: MIT
#include "data/idx.h"

#include <algorithm>
#include <array>
#include <utility>

#include "data/file.h"
#include "data/gzip.h"
#include "data/memory_dataset.h"
#include "kernels/require.h"

namespace convoy::data {
namespace {

constexpr std::uint64_t kMaxBytes = 1ULL << 34;  // of a file, and of what it expands to
constexpr std::size_t kMaxDims = 4;

// The bytes of a file, unpacked on the way where it is gzipped.
class Source {
 public:
  Source(std::span<const std::uint8_t> file, const std::string& name) : file_(file), name_(name) {
    if (is_gzip(file)) gzip_ = std::make_unique<GzipReader>(file, name);
  }

  void read(std::span<std::uint8_t> out, const char* what) {
    const std::size_t got = gzip_ ? gzip_->read(out) : copy(out);
    if (got != out.size()) {
      fail_data("{}: {} expects {} bytes at byte {}, the file has {} there", name_, what,
                out.size(), at_, got);
    }
    at_ += got;
  }

  // Called once the header is known: may `bytes` follow it?
  void expect_room(std::uint64_t bytes) const {
    if (!gzip_ && at_ + bytes != file_.size()) {
      fail_data("{}: its header of {} bytes states {} bytes of values, the file has {}", name_, at_,
                bytes, file_.size() - at_);
    }
    if (gzip_ && bytes > std::min(gzip_->most_it_can_hold(), kMaxBytes)) {
      fail_data(
          "{}: its header states {} bytes of values, a gzip file of {} bytes holds at most {}",
          name_, bytes, file_.size(), std::min(gzip_->most_it_can_hold(), kMaxBytes));
    }
  }

  void expect_end() {
    if (gzip_) gzip_->expect_end();
  }

 private:
  std::size_t copy(std::span<std::uint8_t> out) {
    const auto part = std::min<std::size_t>(out.size(), file_.size() - at_);
    std::copy_n(file_.begin() + static_cast<std::ptrdiff_t>(at_), part, out.begin());
    return part;
  }

  std::span<const std::uint8_t> file_;
  const std::string& name_;
  std::unique_ptr<GzipReader> gzip_;
  std::size_t at_ = 0;  // in unpacked bytes
};

std::size_t bytes_per_value(std::uint8_t type) {
  switch (type) {
    case 0x08:
    case 0x09:
      return 1;
    case 0x0b:
      return 2;
    case 0x0c:
    case 0x0d:
      return 4;
    case 0x0e:
      return 8;
    default:
      return 0;
  }
}

void check_magic(const std::array<std::uint8_t, 4>& magic, const std::string& name) {
  if (magic[0] != 0 || magic[1] != 0) {
    const bool swapped = magic[2] == 0 && magic[3] == 0 && bytes_per_value(magic[1]) != 0;
    fail_data("{}: byte 0 of an IDX file expects 00 00, found {:02x} {:02x}{}", name, magic[0],
              magic[1], swapped ? ": the magic number's bytes are swapped (little-endian)" : "");
  }
  if (bytes_per_value(magic[2]) == 0) {
    fail_data("{}: byte 2, the type, expects 08, 09, 0b, 0c, 0d or 0e, found {:02x}", name,
              magic[2]);
  }
  if (magic[3] == 0 || magic[3] > kMaxDims) {
    fail_data("{}: byte 3, the number of dimensions, expects 1 to {}, found {}", name, kMaxDims,
              magic[3]);
  }
}

// Grows with the data that really comes: a header alone never makes it allocate much.
std::vector<std::uint8_t> read_values(Source& source, std::uint64_t bytes) {
  constexpr std::uint64_t kStep = 64ULL << 20;
  std::vector<std::uint8_t> values;
  while (values.size() < bytes) {
    const std::size_t done = values.size();
    values.resize(done +
                  std::min<std::uint64_t>(bytes - done, std::max<std::uint64_t>(done, kStep)));
    source.read(std::span(values).subspan(done), "the values");
  }
  return values;
}

void expect_kind(const IdxArray& array, std::size_t dims, const char* what,
                 const std::string& name) {
  if (array.type != 0x08) {
    fail_data("{}: {} expect type 08 (u8) at byte 2, found {:02x}", name, what, array.type);
  }
  if (array.dims.size() != dims) {
    fail_data("{}: {} expect {} dimension{} at byte 3, found {}", name, what, dims,
              dims == 1 ? "" : "s", array.dims.size());
  }
}

IdxArray read_idx(const std::filesystem::path& path) {
  return parse_idx(read_file(path, kMaxBytes), path.string());
}

std::filesystem::path find(const std::filesystem::path& folder, const std::string& stem) {
  for (const char* ending : {"", ".gz"}) {
    if (std::filesystem::exists(folder / (stem + ending))) return folder / (stem + ending);
  }
  fail_data("{}: expected {} or {}.gz there, found neither", folder.string(), stem, stem);
}

}  // namespace

IdxArray parse_idx(std::span<const std::uint8_t> file, const std::string& name) {
  Source source(file, name);
  std::array<std::uint8_t, 4> magic{};
  source.read(magic, "the magic number");
  check_magic(magic, name);

  IdxArray array;
  array.type = magic[2];
  std::uint64_t bytes = bytes_per_value(array.type);
  for (int d = 0; d < magic[3]; ++d) {
    std::array<std::uint8_t, 4> field{};
    source.read(field, "a dimension");
    const std::uint32_t extent = std::uint32_t{field[0]} << 24 | std::uint32_t{field[1]} << 16 |
                                 std::uint32_t{field[2]} << 8 | field[3];
    if (extent == 0) fail_data("{}: dimension {} at byte {} is 0", name, d, 4 + 4 * d);
    if (__builtin_mul_overflow(bytes, std::uint64_t{extent}, &bytes)) {
      fail_data("{}: the product of the dimensions overflows at dimension {}, {}", name, d, extent);
    }
    array.dims.push_back(extent);
  }
  source.expect_room(bytes);
  array.bytes = read_values(source, bytes);
  source.expect_end();
  return array;
}

std::unique_ptr<Dataset> open_idx(const std::filesystem::path& images,
                                  const std::filesystem::path& labels,
                                  std::vector<std::string> class_names) {
  IdxArray pictures = read_idx(images);
  expect_kind(pictures, 3, "images", images.string());
  const IdxArray classes = read_idx(labels);
  expect_kind(classes, 1, "labels", labels.string());
  if (pictures.dims[0] != classes.dims[0]) {
    fail_data("{} has {} images, {} has {} labels: expected as many", images.string(),
              pictures.dims[0], labels.string(), classes.dims[0]);
  }
  const auto bad = std::find_if(classes.bytes.begin(), classes.bytes.end(),
                                [&](std::uint8_t c) { return c >= class_names.size(); });
  if (bad != classes.bytes.end()) {
    const auto at = bad - classes.bytes.begin();
    fail_data("{}: label {} at byte {} expects 0 to {}, found {}", labels.string(), at, 8 + at,
              class_names.size() - 1, *bad);
  }
  MemorySamples samples;
  samples.extent = {pictures.dims[1], pictures.dims[2], 1};
  samples.pixels = std::move(pictures.bytes);
  samples.labels.assign(classes.bytes.begin(), classes.bytes.end());
  samples.class_names = std::move(class_names);
  samples.source = images.string();
  return std::make_unique<MemoryDataset>(std::move(samples));
}

std::unique_ptr<Dataset> open_mnist(const std::filesystem::path& folder, const std::string& split,
                                    std::vector<std::string> class_names) {
  require(split == "train" || split == "test", "mnist: split expects train or test, found {}",
          split);
  if (!std::filesystem::is_directory(folder)) {
    fail_data("{}: expected a directory with MNIST's IDX files, found none", folder.string());
  }
  const std::string prefix = split == "train" ? "train" : "t10k";
  const std::filesystem::path images = find(folder, prefix + "-images-idx3-ubyte");
  return open_idx(images, find(folder, prefix + "-labels-idx1-ubyte"), std::move(class_names));
}

}  // namespace convoy::data
