// SPDX-License-Identifier: MIT
// JPEG through libjpeg-turbo's libjpeg interface. libjpeg reports errors by longjmp, which must not
// pass a C++ object with a destructor: so the calls into it are C-style functions over one struct,
// and memory of ours is allocated between them.
#include "data/jpeg_decoder.h"

#include "data/jpeg_memory.h"  // before jerror.h, which needs jpeglib.h
// clang-format off
#include <jerror.h>
// clang-format on

#include <algorithm>
#include <csetjmp>

#include "data/exif.h"
#include "data/image_formats.h"
#include "kernels/require.h"

namespace convoy::data {

struct JpegDecoderState {
  explicit JpegDecoderState(const DecodeLimits& l)
      : limits(l), memory(static_cast<std::size_t>(l.max_decoder_bytes)) {}

  DecodeLimits limits;
  JpegMemory memory;
  jpeg_decompress_struct info{};
  jpeg_error_mgr errors{};
  jpeg_progress_mgr progress{};
  std::jmp_buf jump{};
  char text[JMSG_LENGTH_MAX] = {};  // what went wrong
  std::span<const std::uint8_t> file;
  std::string name;
  int orientation = 1;
  Box part;
};

namespace {

using State = JpegDecoderState;

State& state_of(j_common_ptr info) { return *static_cast<State*>(info->client_data); }

[[noreturn]] void leave(j_common_ptr info) {
  State& s = state_of(info);
  if (info->err->msg_code == JERR_OUT_OF_MEMORY) {
    std::snprintf(s.text, sizeof s.text, "limit of %lld bytes of memory passed",
                  static_cast<long long>(s.limits.max_decoder_bytes));
  } else {
    info->err->format_message(info, s.text);
  }
  std::longjmp(s.jump, 1);
}

// Warnings that say nothing about the pixels: unusual Adobe and JFIF markers, a damaged colour
// profile, and stray bytes between the header's segments.
bool is_harmless(const jpeg_decompress_struct& info) {
  const int code = info.err->msg_code;
  const bool in_header = info.input_scan_number == 0;
  return code == JWRN_ADOBE_XFORM || code == JWRN_JFIF_MAJOR || code == JWRN_BOGUS_ICC ||
         (code == JWRN_EXTRANEOUS_DATA && in_header);
}

void on_message(j_common_ptr info, int level) {
  const State& s = state_of(info);
  const bool warning = level < 0;
  if (warning && s.limits.damage == Damage::refuse && !is_harmless(s.info)) leave(info);
}

// Called for every row of blocks. A legal file can hold thousands of scans, each a pass over the
// whole picture.
void on_progress(j_common_ptr info) {
  State& s = state_of(info);
  const long long scans = s.info.input_scan_number;
  const long long pixels = 1LL * s.info.image_width * s.info.image_height;
  const long long most = 20LL * s.limits.max_pixels;
  if (scans <= s.limits.max_scans && scans * pixels <= most) return;
  std::snprintf(s.text, sizeof s.text, "limit of %d scans (%lld pixels in all) passed",
                s.limits.max_scans, most);
  std::longjmp(s.jump, 1);
}

bool create(State* s) {
  s->info.err = jpeg_std_error(&s->errors);
  s->errors.error_exit = leave;
  s->errors.emit_message = on_message;
  s->info.client_data = s;
  if (setjmp(s->jump)) return false;
  jpeg_create_decompress(&s->info);
  s->info.client_data = s;
  s->progress.progress_monitor = on_progress;
  s->info.progress = &s->progress;
  // The source is made here, in libjpeg's own memory, so that it outlives every picture.
  static const std::uint8_t kNothing[1] = {};
  jpeg_mem_src(&s->info, kNothing, sizeof kNothing);
  s->memory.attach(s->info);
  return true;
}

bool read_header(State* s) {
  if (setjmp(s->jump)) return false;
  jpeg_abort_decompress(&s->info);
  s->memory.reset(s->info);
  jpeg_mem_src(&s->info, s->file.data(), static_cast<unsigned long>(s->file.size()));
  jpeg_read_header(&s->info, TRUE);
  const bool four = s->info.jpeg_color_space == JCS_CMYK || s->info.jpeg_color_space == JCS_YCCK;
  s->info.out_color_space = four ? JCS_CMYK : JCS_RGB;
  return true;
}

// Where a progressive file left coefficients open, libjpeg smooths over the blocks' borders, and
// what it does at the edge of a part is not what it does inside of the whole.
bool smooths(const jpeg_decompress_struct& info) {
  if (!info.progressive_mode || info.coef_bits == nullptr) return false;
  for (int c = 0; c < info.num_components; ++c) {
    const int* bits = info.coef_bits[c];
    if (std::any_of(bits + 1, bits + DCTSIZE2, [](int b) { return b != 0; })) return true;
  }
  return false;
}

// libjpeg-turbo 2.1 miscounts the columns of a component that the inverse transform enlarges in
// part and interpolation in part (4:1:0 at less than full size).
bool can_crop(const jpeg_decompress_struct& info) {
  return std::all_of(info.comp_info, info.comp_info + info.num_components, [&](const auto& c) {
    return c.DCT_scaled_size == info.min_DCT_scaled_size ||
           c.h_samp_factor * c.DCT_scaled_size == info.max_h_samp_factor * info.min_DCT_scaled_size;
  });
}

// Reads all scans but the last, so that what is left is rows.
bool start_part(State* s, const Box* wanted, int eighths) {
  if (setjmp(s->jump)) return false;
  jpeg_decompress_struct& info = s->info;
  info.scale_num = static_cast<unsigned>(eighths);
  info.scale_denom = DCTSIZE;
  jpeg_start_decompress(&info);
  const std::int64_t width = info.output_width, height = info.output_height;
  s->part = {0, 0, height, width};
  if (smooths(info)) return true;
  // Rows and columns of chroma are interpolated from their neighbours on both sides: the border of
  // what is decoded must be farther out than that.
  const std::int64_t reach = 2 * info.max_h_samp_factor;
  const std::int64_t step =
      eighths * (info.num_components == 1 ? 1 : std::int64_t{info.max_h_samp_factor});
  std::int64_t left = std::max<std::int64_t>(0, wanted->x - reach) / step * step;
  std::int64_t right = std::min(width, wanted->x + wanted->width + reach);
  if (!can_crop(info)) {
    left = 0;
    right = width;
  }
  s->part = {wanted->y, left, wanted->height, right - left};
  if (s->part.width == width) return true;
  auto crop_x = static_cast<JDIMENSION>(left), crop_width = static_cast<JDIMENSION>(right - left);
  jpeg_crop_scanline(&info, &crop_x, &crop_width);
  if (crop_x != left || crop_width != right - left) {
    info.err->msg_code = JERR_BAD_CROP_SPEC;
    info.err->error_exit(reinterpret_cast<j_common_ptr>(&info));
  }
  return true;
}

// Of a file whose rows have not all been read: is the end-of-image marker what libjpeg has come to,
// or farther behind? Entropy-coded data cannot hold its two bytes.
bool has_end_marker(State& s) {
  if (s.info.unread_marker == JPEG_EOI || jpeg_input_complete(&s.info)) return true;
  const std::uint8_t* const from = s.info.src->next_input_byte;
  for (const std::uint8_t* at = s.file.data() + s.file.size(); at - 2 >= from; --at) {
    if (at[-2] == 0xff && at[-1] == JPEG_EOI) return true;
  }
  return false;
}

// Files with four components hold inverted ink, as Adobe writes it.
void from_inverted_cmyk(const std::uint8_t* cmyk, std::int64_t count, std::uint8_t* rgb) {
  for (; count > 0; --count, cmyk += 4, rgb += 3) {
    for (int c = 0; c < 3; ++c) {
      rgb[c] = static_cast<std::uint8_t>((cmyk[c] * cmyk[3] + 127) / 255);
    }
  }
}

bool read_rows(State* s, std::uint8_t* pixels) {
  if (setjmp(s->jump)) return false;
  jpeg_decompress_struct& info = s->info;
  const bool four = info.out_color_space == JCS_CMYK;
  const Box& part = s->part;
  JSAMPARRAY cmyk = nullptr;
  if (four) {
    cmyk = info.mem->alloc_sarray(reinterpret_cast<j_common_ptr>(&info), JPOOL_IMAGE,
                                  static_cast<JDIMENSION>(4 * part.width), 1);
  }
  if (part.y > 0) jpeg_skip_scanlines(&info, static_cast<JDIMENSION>(part.y));
  while (info.output_scanline < part.y + part.height) {
    JSAMPROW row = pixels + (info.output_scanline - part.y) * part.width * 3;
    if (four) {
      jpeg_read_scanlines(&info, cmyk, 1);
      from_inverted_cmyk(cmyk[0], part.width, row);
    } else {
      jpeg_read_scanlines(&info, &row, 1);
    }
  }
  if (info.output_scanline == info.output_height) {
    // Looks for the end-of-image marker: a file cut off behind the last row is damaged too.
    jpeg_finish_decompress(&info);
  } else if (s->limits.damage == Damage::refuse && !has_end_marker(*s)) {
    info.err->msg_code = JWRN_JPEG_EOF;
    info.err->error_exit(reinterpret_cast<j_common_ptr>(&info));
  }
  return true;
}

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

void expect(bool success, const State& s) {
  if (!success) fail_data("{}: damaged or unsupported JPEG: {}", s.name, s.text);
}

}  // namespace

JpegDecoder::JpegDecoder(const DecodeLimits& limits)
    : state_(std::make_unique<JpegDecoderState>(limits)) {
  if (!create(state_.get())) fail("jpeg: cannot make a decoder: {}", state_->text);
}

JpegDecoder::~JpegDecoder() {
  state_->memory.detach(state_->info);
  jpeg_destroy_decompress(&state_->info);
}

ImageExtent JpegDecoder::open(std::span<const std::uint8_t> file, const std::string& name) {
  state_->file = file;
  state_->name = name;
  expect(read_header(state_.get()), *state_);
  check_header(state_->info, file.size(), name, state_->limits);
  state_->orientation = jpeg_orientation(file);
  return scaled(DCTSIZE);
}

int JpegDecoder::orientation() const { return state_->orientation; }

ImageExtent JpegDecoder::scaled(int eighths) const {
  const auto side = [&](std::int64_t full) { return (full * eighths + DCTSIZE - 1) / DCTSIZE; };
  return {side(state_->info.image_height), side(state_->info.image_width), 3};
}

Box JpegDecoder::start(const Box& wanted, int eighths) {
  const ImageExtent all = scaled(eighths);
  require(eighths >= 1 && eighths <= DCTSIZE && lies_in(wanted, all),
          "{}: expected a part of {} at 1 to 8 eighths, found {} x {} at ({}, {}) and {}",
          state_->name, all, wanted.height, wanted.width, wanted.y, wanted.x, eighths);
  expect(start_part(state_.get(), &wanted, eighths), *state_);
  return state_->part;
}

void JpegDecoder::read(std::uint8_t* pixels) { expect(read_rows(state_.get(), pixels), *state_); }

Image decode_jpeg(std::span<const std::uint8_t> file, const std::string& name,
                  const DecodeLimits& limits) {
  JpegDecoder decoder(limits);
  const ImageExtent extent = decoder.open(file, name);
  const Box all = decoder.start(whole(extent), DCTSIZE);
  Image image({all.height, all.width, 3});
  decoder.read(image.pixels.data());
  return image;
}

}  // namespace convoy::data
