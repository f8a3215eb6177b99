// SPDX-License-Identifier: MIT
#include <cstdio>  // before jpeglib.h, which needs FILE
// clang-format off
#include <jpeglib.h>
// clang-format on

#include <csetjmp>
#include <cstdlib>
#include <memory>

#include "data/image.h"
#include "kernels/require.h"

namespace convoy::data {
namespace {

struct Encoder {
  jpeg_compress_struct info;
  jpeg_error_mgr errors;
  std::jmp_buf jump;
  char text[JMSG_LENGTH_MAX];
  unsigned char* bytes;  // libjpeg's, by malloc
  unsigned long size;
};

[[noreturn]] void leave(j_common_ptr info) {
  Encoder& e = *static_cast<Encoder*>(info->client_data);
  info->err->format_message(info, e.text);
  std::longjmp(e.jump, 1);
}

bool write_pixels(Encoder* e, const Image* image, int quality) {
  e->info.err = jpeg_std_error(&e->errors);
  e->errors.error_exit = leave;
  e->info.client_data = e;
  if (setjmp(e->jump)) return false;
  jpeg_create_compress(&e->info);
  e->info.client_data = e;
  jpeg_mem_dest(&e->info, &e->bytes, &e->size);
  e->info.image_height = static_cast<JDIMENSION>(image->extent.height);
  e->info.image_width = static_cast<JDIMENSION>(image->extent.width);
  e->info.input_components = static_cast<int>(image->extent.channels);
  e->info.in_color_space = image->extent.channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
  jpeg_set_defaults(&e->info);
  jpeg_set_quality(&e->info, quality, TRUE);
  e->info.comp_info[0].h_samp_factor = e->info.comp_info[0].v_samp_factor = 1;
  jpeg_start_compress(&e->info, TRUE);
  const auto row_bytes = static_cast<std::size_t>(image->extent.width * image->extent.channels);
  while (e->info.next_scanline < e->info.image_height) {
    // libjpeg reads through a pointer to non-const.
    JSAMPROW row = const_cast<JSAMPROW>(image->pixels.data() + e->info.next_scanline * row_bytes);
    jpeg_write_scanlines(&e->info, &row, 1);
  }
  jpeg_finish_compress(&e->info);
  return true;
}

struct Destroy {
  void operator()(Encoder* e) const {
    jpeg_destroy_compress(&e->info);
    std::free(e->bytes);
    std::free(e);
  }
};

}  // namespace

std::vector<std::uint8_t> encode_jpeg(const Image& image, int quality) {
  const ImageExtent& extent = image.extent;
  require(extent.channels == 1 || extent.channels == 3,
          "encode_jpeg: expected 1 or 3 channels, "
          "found an image of {}",
          extent);
  require(
      extent.height >= 1 && extent.width >= 1 && extent.height <= 65500 && extent.width <= 65500,
      "encode_jpeg: sides expect 1 to 65500 pixels, found an image of {}", extent);
  const std::unique_ptr<Encoder, Destroy> e(static_cast<Encoder*>(std::calloc(1, sizeof(Encoder))));
  require(e != nullptr, "encode_jpeg: no memory for an encoder");
  if (!write_pixels(e.get(), &image, quality)) fail("encode_jpeg: {}", e->text);
  return {e->bytes, e->bytes + e->size};
}

}  // namespace convoy::data
