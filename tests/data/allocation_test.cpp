// SPDX-License-Identifier: MIT
// Every malloc of this program is counted, those inside of libraries too: a program of its own.
#include <malloc.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>

#include "data/augment.h"
#include "data/loader.h"
#include "data/sample_decoder.h"
#include "data/transforms.h"
#include "tests/data/jpeg_files.h"

namespace {

std::atomic<long> allocations = 0;
std::atomic<long> live = 0, peak = 0;  // bytes

void* counted(void* memory) {
  ++allocations;
  live += static_cast<long>(malloc_usable_size(memory));
  peak = std::max(peak.load(), live.load());
  return memory;
}

void returned(void* memory) { live -= static_cast<long>(malloc_usable_size(memory)); }

}  // namespace

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
// The sanitizers' own malloc says when it is called.
extern "C" {
void __sanitizer_malloc_hook(const volatile void* memory, std::size_t) {
  counted(const_cast<void*>(memory));
}
void __sanitizer_free_hook(const volatile void* memory) { returned(const_cast<void*>(memory)); }
}
#else
// The C library's, under its other names. operator new calls malloc.
extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);
void __libc_free(void*);
void* malloc(std::size_t bytes) { return counted(__libc_malloc(bytes)); }
void* calloc(std::size_t count, std::size_t bytes) { return counted(__libc_calloc(count, bytes)); }
void* realloc(void* memory, std::size_t bytes) {
  returned(memory);
  return counted(__libc_realloc(memory, bytes));
}
void* aligned_alloc(std::size_t align, std::size_t bytes) {
  return counted(__libc_memalign(align, bytes));
}
void free(void* memory) {
  returned(memory);
  __libc_free(memory);
}
}
#endif

namespace convoy::data {
namespace {

using testing::Bytes;
using testing::exif;
using testing::speckled;
using testing::with_segment;
using testing::write_jpeg;

TEST(Allocations, AreCounted) {
  const long before = allocations;
  std::vector<int> some(1000);
  some[7] = 1;
  EXPECT_EQ(allocations, before + 1);
  const Bytes file = write_jpeg(speckled(32, 32));
  const long between = allocations;
  decode_image(file, "x");
  EXPECT_GT(allocations, between + 1) << "libjpeg's are seen too";
}

void frame_all(SampleDecoder& decoder, Augmenter& augmenter, const std::vector<Stored>& samples,
               std::int64_t epoch, std::vector<std::uint8_t>& out) {
  const Augmentation a{.scale_min = 0.08, .ratio_min = 0.75, .ratio_max = 4.0 / 3};
  const ImageExtent row{48, 48, 3};
  static const std::string kName = "a name that is longer than a string holds by itself";
  for (std::size_t i = 0; i < samples.size(); ++i) {
    const SampleDraw draw{.epoch = epoch, .index = static_cast<std::int64_t>(i)};
    const Scaling scaling = epoch % 2 == 0 ? Scaling::exact : Scaling::dct;
    const ImageExtent picture = decoder.open(samples[i], kName);
    decoder.frame(random_resized_crop(picture, row, a, draw), row, scaling, out.data());
    augmenter.run({out.data(), row}, draw);
    decoder.open(samples[i], kName);
    decoder.frame(centre_crop(picture, row, 0.875), row, scaling, out.data());
  }
}

TEST(Allocations, FramingASampleAllocatesNothing) {
  const Image pixels = speckled(200, 300), grey = speckled(70, 80, 1);
  const std::vector<Bytes> files = {
      write_jpeg(speckled(375, 500)),
      write_jpeg(speckled(500, 333), {.progressive = true}),
      write_jpeg(speckled(300, 300, 1), {.space = JCS_GRAYSCALE}),
      write_jpeg(speckled(90, 130, 4), {.space = JCS_CMYK}),
      with_segment(write_jpeg(speckled(240, 320), {.h = 2, .v = 2}), 0xe1, exif(6)),
  };
  std::vector<Stored> samples = {{pixels.pixels, pixels.extent}, {grey.pixels, grey.extent}};
  for (const Bytes& file : files) samples.push_back({file});
  SampleDecoder decoder;
  Augmenter augmenter({.jitter = {0.4, 0.4, 0.4, 0.1},
                       .rand_augment = {2, 9},
                       .erasing = {.probability = 0.5},
                       .cutout = 12});
  std::vector<std::uint8_t> out(48 * 48 * 3);
  for (std::int64_t epoch = 0; epoch < 60; ++epoch)
    frame_all(decoder, augmenter, samples, epoch, out);
  const long before = allocations;
  for (std::int64_t epoch = 60; epoch < 100; ++epoch)
    frame_all(decoder, augmenter, samples, epoch, out);
  EXPECT_EQ(allocations, before);
}

// What the header states, where a decoder may believe it: bytes of RGB.
std::int64_t stated_bytes(const Bytes& file, const DecodeLimits& limits) try {
  if (is_jpeg(file)) return JpegDecoder(limits).open(file, "x").count();
  if (file.size() < 24 || file[1] != 'P') return 0;
  const auto side = [&](std::size_t at) {
    return std::int64_t{file[at]} << 24 | file[at + 1] << 16 | file[at + 2] << 8 | file[at + 3];
  };
  const std::int64_t height = side(20), width = side(16);
  const bool believed =
      height <= limits.max_side && width <= limits.max_side && height * width <= limits.max_pixels;
  return believed ? 3 * height * width : 0;
} catch (const Error&) {
  return 0;
}

// A small file cannot make a decoder take more than its picture is worth.
TEST(Allocations, DecodingTakesAFewTimesThePictureAtMost) {
  const auto folder = testing::shared_data("torture");
  SKIP_WITHOUT(folder, "torture");
  int files = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file() || entry.file_size() > (1 << 24)) continue;
    const Bytes file = read_file(entry.path(), 1 << 24);
    for (const Damage damage : {Damage::refuse, Damage::accept}) {
      const DecodeLimits limits{.damage = damage};
      std::int64_t picture = stated_bytes(file, limits);
      const long before = live;
      peak = live.load();
      try {
        picture = std::max(picture, decode_image(file, "x", limits).extent.count());
      } catch (const Error&) {
      }
      EXPECT_LE(peak - before, 4 * picture + std::ssize(file) + (4 << 20)) << entry.path();
      EXPECT_EQ(live, before) << entry.path();
      ++files;
    }
  }
  EXPECT_GT(files, 600);
}

// JPEG files of one size, so that each worker has soon seen the largest.
class Files : public Dataset {
 public:
  std::int64_t size() const override { return 24; }
  const std::vector<std::string>& class_names() const override { return names_; }
  ImageExtent extent() const override { return {0, 0, 3}; }
  Stored stored(std::int64_t, std::vector<std::uint8_t>& scratch) const override {
    scratch.assign(file_.begin(), file_.end());
    return {scratch};
  }
  std::int32_t label(std::int64_t) const override { return 0; }
  void sample_name(std::int64_t, std::string& out) const override {
    out = "a name that is longer than a string holds by itself";
  }

 private:
  Bytes file_ = write_jpeg(speckled(240, 320));
  std::vector<std::string> names_{"a"};
};

long allocations_of(Loader& loader, std::int64_t epoch) {
  const long before = allocations;
  loader.start(epoch);
  while (loader.next() != nullptr) {
  }
  return allocations - before;
}

// A worker's buffers grow until it has had the largest crop, and which worker has that when is the
// scheduler's choice. So the steady state is waited for: 30 epochs, 720 samples, without one.
TEST(Allocations, ALoaderInSteadyStateAllocatesNothing) {
  for (const int workers : {0, 2}) {
    Loader loader(std::make_shared<Files>(),
                  {.batch_size = 4,
                   .row = {48, 48, 3},
                   .training = true,
                   .augmentation = {.padding = 4, .hflip = 0.5, .scale_min = 0.08},
                   .shuffle_window = 16,
                   .workers = workers,
                   .depth = 3,
                   .deadline_s = 60});
    long last = 0;
    int steady = 0;
    for (std::int64_t epoch = 0; epoch < 600 && steady < 30; ++epoch) {
      const long now = allocations_of(loader, epoch);
      if (now > 0) last = epoch;
      steady = now == 0 ? steady + 1 : 0;
    }
    EXPECT_EQ(steady, 30) << workers << " workers: the last allocation is of epoch " << last;
  }
}

}  // namespace
}  // namespace convoy::data
