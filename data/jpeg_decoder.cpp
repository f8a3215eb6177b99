// SPDX-License-Identifier: MIT
// JPEG through libjpeg-turbo's libjpeg interface. libjpeg reports errors by longjmp, which must not
// pass a C++ object with a destructor: so both calls into it are C-style functions over one plain
// struct, and memory is allocated between them.
#include <cstdio>  // before jpeglib.h, which needs FILE
// clang-format off
#include <jpeglib.h>
#include <jerror.h>
// clang-format on

#include <csetjmp>
#include <cstdlib>
#include <memory>

#include "data/image_formats.h"
#include "kernels/require.h"

namespace convoy::data {
namespace {

struct Decoder {
  jpeg_decompress_struct info;
  jpeg_error_mgr errors;
  jpeg_progress_mgr progress;
  std::jmp_buf jump;
  char text[JMSG_LENGTH_MAX];  // what went wrong
  bool accept_damage;
  int max_scans;
  long long max_scan_pixels;
};

Decoder& decoder_of(j_common_ptr info) { return *static_cast<Decoder*>(info->client_data); }

[[noreturn]] void leave(j_common_ptr info) {
  info->err->format_message(info, decoder_of(info).text);
  std::longjmp(decoder_of(info).jump, 1);
}

// Warnings that say nothing about the pixels: unusual Adobe and JFIF markers, a damaged colour
// profile, and stray bytes between the header's segments.
bool is_harmless(j_common_ptr info) {
  const int code = info->err->msg_code;
  const bool in_header = decoder_of(info).info.input_scan_number == 0;
  return code == JWRN_ADOBE_XFORM || code == JWRN_JFIF_MAJOR || code == JWRN_BOGUS_ICC ||
         (code == JWRN_EXTRANEOUS_DATA && in_header);
}

void on_message(j_common_ptr info, int level) {
  const bool warning = level < 0;
  if (warning && !decoder_of(info).accept_damage && !is_harmless(info)) leave(info);
}

// Called for every row of blocks. A legal file can hold thousands of scans, each a pass over the
// whole picture.
void on_progress(j_common_ptr info) {
  Decoder& d = decoder_of(info);
  const int scans = d.info.input_scan_number;
  const long long pixels = 1LL * d.info.image_width * d.info.image_height;
  if (scans <= d.max_scans && scans * pixels <= d.max_scan_pixels) return;
  std::snprintf(d.text, sizeof d.text, "limit of %d scans (%lld pixels in all) passed", d.max_scans,
                d.max_scan_pixels);
  std::longjmp(d.jump, 1);
}

bool read_header(Decoder* d, const std::uint8_t* file, std::size_t size, long max_bytes) {
  d->info.err = jpeg_std_error(&d->errors);
  d->errors.error_exit = leave;
  d->errors.emit_message = on_message;
  d->info.client_data = d;
  if (setjmp(d->jump)) return false;
  jpeg_create_decompress(&d->info);
  d->info.client_data = d;
  d->progress.progress_monitor = on_progress;
  d->info.progress = &d->progress;
  d->info.mem->max_memory_to_use = max_bytes;
  jpeg_mem_src(&d->info, file, static_cast<unsigned long>(size));
  jpeg_read_header(&d->info, TRUE);
  const bool four = d->info.jpeg_color_space == JCS_CMYK || d->info.jpeg_color_space == JCS_YCCK;
  d->info.out_color_space = four ? JCS_CMYK : JCS_RGB;
  return true;
}

bool read_pixels(Decoder* d, std::uint8_t* pixels, std::size_t row_bytes) {
  if (setjmp(d->jump)) return false;
  jpeg_start_decompress(&d->info);
  while (d->info.output_scanline < d->info.output_height) {
    JSAMPROW row = pixels + d->info.output_scanline * row_bytes;
    jpeg_read_scanlines(&d->info, &row, 1);
  }
  // Looks for the end-of-image marker: a file cut off behind the last row is damaged too.
  jpeg_finish_decompress(&d->info);
  return true;
}

struct Destroy {
  void operator()(Decoder* d) const {
    jpeg_destroy_decompress(&d->info);
    std::free(d);
  }
};

// A block of 64 pixels takes a bit at least in Huffman codes, so a small file with a huge header
// is known for what it is before memory is asked for.
void check_header(const jpeg_decompress_struct& info, std::size_t bytes, const std::string& name,
                  const DecodeLimits& limits) {
  check_extent(info.image_height, info.image_width, name, limits);
  if (info.arith_code) {
    fail_data("{}: expected a baseline or progressive JPEG, found arithmetic coding", name);
  }
  if (info.num_components == 2 || info.num_components > 4) {
    fail_data("{}: expected a JPEG of 1, 3 or 4 components, found {}", name, info.num_components);
  }
  const std::uint64_t pixels = std::uint64_t{info.image_width} * info.image_height;
  const std::uint64_t holds = std::uint64_t{bytes} * 8 * 64;
  if (pixels > holds && limits.damage == Damage::refuse) {
    fail_data("{}: JPEG header states {} x {} pixels, a file of {} bytes holds at most {}", name,
              info.image_width, info.image_height, bytes, holds);
  }
}

// Files with four components hold inverted ink, as Adobe writes it.
Image from_inverted_cmyk(const Image& cmyk) {
  Image rgb({cmyk.extent.height, cmyk.extent.width, 3});
  const std::uint8_t* from = cmyk.pixels.data();
  for (std::size_t i = 0; i < rgb.pixels.size(); i += 3, from += 4) {
    for (std::size_t c = 0; c < 3; ++c) {
      rgb.pixels[i + c] = static_cast<std::uint8_t>((from[c] * from[3] + 127) / 255);
    }
  }
  return rgb;
}

}  // namespace

Image decode_jpeg(std::span<const std::uint8_t> file, const std::string& name,
                  const DecodeLimits& limits) {
  const std::unique_ptr<Decoder, Destroy> d(static_cast<Decoder*>(std::calloc(1, sizeof(Decoder))));
  require(d != nullptr, "{}: no memory for a JPEG decoder", name);
  d->accept_damage = limits.damage == Damage::accept;
  d->max_scans = limits.max_scans;
  d->max_scan_pixels = 20 * limits.max_pixels;
  if (!read_header(d.get(), file.data(), file.size(), limits.max_decoder_bytes)) {
    fail_data("{}: damaged or unsupported JPEG: {}", name, d->text);
  }
  check_header(d->info, file.size(), name, limits);
  const bool four = d->info.out_color_space == JCS_CMYK;
  Image image({d->info.image_height, d->info.image_width, four ? 4 : 3});
  const auto row_bytes = static_cast<std::size_t>(image.extent.width * image.extent.channels);
  if (!read_pixels(d.get(), image.pixels.data(), row_bytes)) {
    fail_data("{}: damaged or unsupported JPEG: {}", name, d->text);
  }
  return four ? from_inverted_cmyk(image) : image;
}

void check_extent(std::int64_t height, std::int64_t width, const std::string& name,
                  const DecodeLimits& limits) {
  if (height < 1 || width < 1 || height > limits.max_side || width > limits.max_side) {
    fail_data("{}: image sides expect 1 to {} pixels, the header states {} x {}", name,
              limits.max_side, width, height);
  }
  if (height * width > limits.max_pixels) {
    fail_data("{}: images expect at most {} pixels, the header states {} x {}", name,
              limits.max_pixels, width, height);
  }
}

}  // namespace convoy::data
