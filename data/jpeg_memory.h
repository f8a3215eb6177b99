// SPDX-License-Identifier: MIT
#pragma once
// libjpeg's working memory, taken from one arena that is used again: libjpeg asks through the
// methods of jpeg_decompress_struct::mem, which attach() replaces. What it asks for all ends with
// the picture: reset() takes it back at once, so that pictures that are no larger than earlier ones
// are decoded without malloc. The limit is exact, where libjpeg's own is a hint.
//
// libjpeg leaves by longjmp: nothing in here that it calls holds an object with a destructor.

#include <cstdio>  // before jpeglib.h, which needs FILE
// clang-format off
#include <jpeglib.h>
// clang-format on

#include <cstddef>

namespace convoy::data {

class JpegMemory : public jpeg_memory_mgr {
 public:
  // More than `limit` bytes for one picture is libjpeg's error JERR_OUT_OF_MEMORY.
  explicit JpegMemory(std::size_t limit);
  ~JpegMemory();
  JpegMemory(const JpegMemory&) = delete;
  JpegMemory& operator=(const JpegMemory&) = delete;

  // After jpeg_create_decompress, whose own memory stays where it is; and before it is destroyed.
  void attach(jpeg_decompress_struct& info);
  void detach(jpeg_decompress_struct& info);
  // Before each picture. The tables that libjpeg keeps from picture to picture end as well: `info`
  // forgets them, so that no picture is decoded with another one's.
  void reset(jpeg_decompress_struct& info);

  // For the methods. 32-byte aligned, as libjpeg's vector loops want it.
  void* take(j_common_ptr info, std::size_t bytes);
  jvirt_barray_control* arrays = nullptr;  // whole pictures of coefficients, newest first

 private:
  struct Block;
  bool grow(std::size_t bytes);
  void free_blocks();

  jpeg_memory_mgr* own_ = nullptr;  // libjpeg's
  Block* blocks_ = nullptr;         // newest first; memory is taken from that one
  std::size_t limit_, taken_ = 0, wanted_ = 0;
};

}  // namespace convoy::data
