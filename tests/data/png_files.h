// SPDX-License-Identifier: MIT
#pragma once
// PNG files written chunk by chunk, so that each rule can be broken on its own.

#include "tests/data/files.h"

namespace convoy::data::testing {

inline void push_be32(Bytes& out, std::uint64_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) {
    out.push_back(static_cast<std::uint8_t>(value >> shift));
  }
}

struct PngChunk {
  std::string type;
  Bytes data;
};

inline Bytes deflated(const Bytes& bytes) {
  uLongf size = compressBound(static_cast<uLong>(bytes.size()));
  Bytes out(size);
  compress2(out.data(), &size, bytes.data(), static_cast<uLong>(bytes.size()), 9);
  out.resize(size);
  return out;
}

inline PngChunk png_header(std::uint32_t width, std::uint32_t height, int depth, int colour_type,
                           int compression = 0, int filter = 0, int interlace = 0) {
  PngChunk chunk{"IHDR", {}};
  push_be32(chunk.data, width);
  push_be32(chunk.data, height);
  for (const int b : {depth, colour_type, compression, filter, interlace}) {
    chunk.data.push_back(static_cast<std::uint8_t>(b));
  }
  return chunk;
}

inline Bytes png(const std::vector<PngChunk>& chunks) {
  Bytes file{0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
  for (const PngChunk& chunk : chunks) {
    push_be32(file, chunk.data.size());
    const std::size_t begin = file.size();
    file.insert(file.end(), chunk.type.begin(), chunk.type.end());
    file.insert(file.end(), chunk.data.begin(), chunk.data.end());
    push_be32(file, crc32(0, &file[begin], static_cast<uInt>(file.size() - begin)));
  }
  return file;
}

}  // namespace convoy::data::testing
