// SPDX-License-Identifier: MIT
#include "data/jpeg_memory.h"

// clang-format off
#include <jerror.h>
// clang-format on

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <utility>

// What libjpeg knows the name of only: all the coefficients of a component, for files in several
// scans.
struct jvirt_barray_control {
  JBLOCKARRAY rows;  // null until realised
  JDIMENSION blocks_per_row, count;
  JDIMENSION defined;  // rows before this one hold something
  jvirt_barray_control* next;
};

namespace convoy::data {
namespace {

constexpr std::size_t kAlign = 32;  // libjpeg-turbo's ALIGN_SIZE
constexpr std::size_t kLeastBlock = std::size_t{1} << 18;
constexpr std::size_t kMostKept = std::size_t{1} << 26;  // from one picture to the next

std::size_t rounded(std::size_t bytes, std::size_t to) { return (bytes + to - 1) / to * to; }

JpegMemory& memory_of(j_common_ptr info) { return *static_cast<JpegMemory*>(info->mem); }

void fail(j_common_ptr info, int code) {
  info->err->msg_code = code;
  info->err->msg_parm.i[0] = 0;
  info->err->error_exit(info);
}

void* take(j_common_ptr info, int, std::size_t bytes) { return memory_of(info).take(info, bytes); }

template <class Row>
Row* take_rows(j_common_ptr info, std::size_t row_bytes, JDIMENSION count) {
  JpegMemory& memory = memory_of(info);
  auto* rows = static_cast<Row*>(memory.take(info, count * sizeof(Row)));
  auto* bytes = static_cast<unsigned char*>(memory.take(info, row_bytes * count));
  for (JDIMENSION i = 0; i < count; ++i) rows[i] = reinterpret_cast<Row>(bytes + i * row_bytes);
  return rows;
}

// Vector loops read and write up to a multiple of twice the alignment.
JSAMPARRAY take_samples(j_common_ptr info, int, JDIMENSION per_row, JDIMENSION count) {
  return take_rows<JSAMPROW>(info, rounded(per_row, 2 * kAlign), count);
}

JBLOCKARRAY take_blocks(j_common_ptr info, int, JDIMENSION per_row, JDIMENSION count) {
  return take_rows<JBLOCKROW>(info, per_row * sizeof(JBLOCK), count);
}

// Only quantisation to a palette in two passes keeps whole pictures of samples.
jvirt_sarray_ptr request_samples(j_common_ptr info, int, boolean, JDIMENSION, JDIMENSION,
                                 JDIMENSION) {
  fail(info, JERR_NOT_COMPILED);
  return nullptr;
}
JSAMPARRAY access_samples(j_common_ptr info, jvirt_sarray_ptr, JDIMENSION, JDIMENSION, boolean) {
  fail(info, JERR_NOT_COMPILED);
  return nullptr;
}

jvirt_barray_ptr request_blocks(j_common_ptr info, int, boolean, JDIMENSION per_row,
                                JDIMENSION count, JDIMENSION) {
  JpegMemory& memory = memory_of(info);
  auto* array = static_cast<jvirt_barray_control*>(memory.take(info, sizeof(jvirt_barray_control)));
  *array = {nullptr, per_row, count, 0, memory.arrays};
  memory.arrays = array;
  return array;
}

void realise(j_common_ptr info) {
  for (jvirt_barray_control* a = memory_of(info).arrays; a != nullptr; a = a->next) {
    if (a->rows == nullptr) a->rows = take_blocks(info, JPOOL_IMAGE, a->blocks_per_row, a->count);
  }
}

// Coefficients that no scan has written yet are zero.
JBLOCKARRAY access_blocks(j_common_ptr info, jvirt_barray_ptr array, JDIMENSION start,
                          JDIMENSION count, boolean) {
  if (array->rows == nullptr || start > array->count || count > array->count - start) {
    fail(info, JERR_BAD_VIRTUAL_ACCESS);
  }
  for (; array->defined < start + count; ++array->defined) {
    std::memset(array->rows[array->defined], 0, array->blocks_per_row * sizeof(JBLOCK));
  }
  return array->rows + start;
}

void keep_pool(j_common_ptr, int) {}
void keep_all(j_common_ptr) {}

}  // namespace

struct alignas(64) JpegMemory::Block {
  Block* next;
  std::size_t size, used;  // bytes behind the block's head
};

JpegMemory::JpegMemory(std::size_t limit) : jpeg_memory_mgr{}, limit_(limit) {
  alloc_small = data::take;
  alloc_large = data::take;
  alloc_sarray = take_samples;
  alloc_barray = take_blocks;
  request_virt_sarray = request_samples;
  request_virt_barray = request_blocks;
  realize_virt_arrays = realise;
  access_virt_sarray = access_samples;
  access_virt_barray = access_blocks;
  free_pool = keep_pool;
  self_destruct = keep_all;
  max_alloc_chunk = 1'000'000'000;
}

JpegMemory::~JpegMemory() { free_blocks(); }

void JpegMemory::attach(jpeg_decompress_struct& info) {
  own_ = info.mem;
  info.mem = this;
}

void JpegMemory::detach(jpeg_decompress_struct& info) {
  if (own_ != nullptr) info.mem = own_;
}

// Several blocks become one that is large enough for a picture like the last.
void JpegMemory::reset(jpeg_decompress_struct& info) {
  std::fill(std::begin(info.quant_tbl_ptrs), std::end(info.quant_tbl_ptrs), nullptr);
  std::fill(std::begin(info.dc_huff_tbl_ptrs), std::end(info.dc_huff_tbl_ptrs), nullptr);
  std::fill(std::begin(info.ac_huff_tbl_ptrs), std::end(info.ac_huff_tbl_ptrs), nullptr);
  arrays = nullptr;
  wanted_ = std::max(wanted_, std::bit_ceil(std::min(taken_, kMostKept)));
  taken_ = 0;
  if (blocks_ == nullptr) return;
  if (blocks_->next != nullptr || blocks_->size > kMostKept) free_blocks();
  if (blocks_ != nullptr) blocks_->used = 0;
}

void* JpegMemory::take(j_common_ptr info, std::size_t bytes) {
  bytes = rounded(bytes, kAlign);
  const bool allowed = bytes <= limit_ - taken_;
  if (!allowed || ((blocks_ == nullptr || bytes > blocks_->size - blocks_->used) && !grow(bytes))) {
    fail(info, JERR_OUT_OF_MEMORY);
  }
  unsigned char* begin = reinterpret_cast<unsigned char*>(blocks_ + 1) + blocks_->used;
  blocks_->used += bytes;
  taken_ += bytes;
  return begin;
}

bool JpegMemory::grow(std::size_t bytes) {
  const std::size_t size = rounded(std::max({bytes, wanted_, kLeastBlock}), alignof(Block));
  void* memory = std::aligned_alloc(alignof(Block), sizeof(Block) + size);
  if (memory == nullptr) return false;
  blocks_ = new (memory) Block{blocks_, size, 0};
  return true;
}

void JpegMemory::free_blocks() {
  while (blocks_ != nullptr) std::free(std::exchange(blocks_, blocks_->next));
}

}  // namespace convoy::data
