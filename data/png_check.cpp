// SPDX-License-Identifier: MIT
#include "data/png_check.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <vector>

#include "data/image_formats.h"
#include "kernels/require.h"

namespace convoy::data {
namespace {

using Bytes = std::span<const std::uint8_t>;

std::uint32_t be32(Bytes bytes, std::size_t at) {
  return std::uint32_t{bytes[at]} << 24 | std::uint32_t{bytes[at + 1]} << 16 |
         std::uint32_t{bytes[at + 2]} << 8 | bytes[at + 3];
}

struct Chunk {
  std::string_view type;
  std::size_t at;  // of its length field
  Bytes data;
};

// The chunk at byte `at`, its length and CRC checked.
Chunk read_chunk(Bytes file, std::size_t at, const std::string& name) {
  constexpr std::size_t kFrame = 12;  // length, type, CRC
  if (file.size() - at < kFrame) {
    fail_data("{}: PNG is truncated: expected a chunk at byte {}, the file ends at {}", name, at,
              file.size());
  }
  const std::uint32_t length = be32(file, at);
  const std::string_view type(reinterpret_cast<const char*>(&file[at + 4]), 4);
  for (const char c : type) {
    if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))) {
      fail_data("{}: PNG chunk at byte {} has no name of four letters", name, at);
    }
  }
  if (length > file.size() - at - kFrame) {
    fail_data("{}: PNG chunk {} at byte {} states {} bytes, the file has {} left", name, type, at,
              length, file.size() - at - kFrame);
  }
  const auto found = static_cast<std::uint32_t>(crc32(0, &file[at + 4], length + 4));
  const std::uint32_t stated = be32(file, at + 8 + length);
  if (found != stated) {
    fail_data("{}: PNG chunk {} at byte {}: CRC expects {:08x}, found {:08x}", name, type, at,
              stated, found);
  }
  return {type, at, file.subspan(at + 8, length)};
}

bool legal_depth(int colour_type, int depth) {
  switch (colour_type) {
    case 0:
      return depth == 1 || depth == 2 || depth == 4 || depth == 8 || depth == 16;
    case 3:
      return depth == 1 || depth == 2 || depth == 4 || depth == 8;
    case 2:
    case 4:
    case 6:
      return depth == 8 || depth == 16;
    default:
      return false;
  }
}

PngHeader read_header(const Chunk& chunk, const std::string& name, const DecodeLimits& limits) {
  if (chunk.type != "IHDR" || chunk.data.size() != 13) {
    fail_data("{}: PNG expects IHDR of 13 bytes first, found {} of {}", name, chunk.type,
              chunk.data.size());
  }
  PngHeader header;
  header.width = be32(chunk.data, 0);
  header.height = be32(chunk.data, 4);
  header.bit_depth = chunk.data[8];
  header.colour_type = chunk.data[9];
  header.interlaced = chunk.data[12] == 1;
  check_extent(header.height, header.width, name, limits);
  if (!legal_depth(header.colour_type, header.bit_depth)) {
    fail_data("{}: PNG has no {}-bit samples of colour type {}", name, header.bit_depth,
              header.colour_type);
  }
  if (chunk.data[10] != 0 || chunk.data[11] != 0 || chunk.data[12] > 1) {
    fail_data("{}: PNG expects compression 0, filter 0, interlace 0 or 1, found {}, {}, {}", name,
              chunk.data[10], chunk.data[11], chunk.data[12]);
  }
  return header;
}

int channels_of(int colour_type) {
  switch (colour_type) {
    case 2:
      return 3;
    case 4:
      return 2;
    case 6:
      return 4;
    default:
      return 1;
  }
}

// Counts what the pixels' zlib stream expands to.
class PixelStream {
 public:
  PixelStream(std::uint64_t expected, const std::string& name)
      : expected_(expected), name_(name), buffer_(std::size_t{1} << 15) {
    require(inflateInit(&stream_) == Z_OK, "{}: zlib could not be started", name);
  }
  ~PixelStream() { inflateEnd(&stream_); }
  PixelStream(const PixelStream&) = delete;
  PixelStream& operator=(const PixelStream&) = delete;

  void add(Bytes packed) {
    stream_.next_in = const_cast<Bytef*>(packed.data());
    stream_.avail_in = static_cast<uInt>(packed.size());  // a chunk is below 2^32 bytes
    while (!ended_ && (stream_.avail_in > 0 || stream_.avail_out == 0)) {
      stream_.next_out = buffer_.data();
      stream_.avail_out = static_cast<uInt>(buffer_.size());
      const int status = inflate(&stream_, Z_NO_FLUSH);
      ended_ = status == Z_STREAM_END;
      if (status == Z_BUF_ERROR) break;  // wants the next chunk
      if (status != Z_OK && !ended_) {
        fail_data("{}: PNG pixel data is damaged: {}", name_,
                  stream_.msg != nullptr ? stream_.msg : "zlib gives no reason");
      }
      if (stream_.total_out > expected_) {
        fail_data("{}: PNG pixel data expects {} bytes, the stream expands beyond them", name_,
                  expected_);
      }
    }
  }

  void finish() const {
    if (ended_ && stream_.total_out == expected_) return;
    fail_data("{}: PNG pixel data expects {} bytes, the stream {} after {}", name_, expected_,
              ended_ ? "ends" : "is cut off", stream_.total_out);
  }

 private:
  z_stream stream_{};
  bool ended_ = false;
  std::uint64_t expected_;
  const std::string& name_;
  std::vector<std::uint8_t> buffer_;
};

void check_palette(const Chunk& chunk, bool seen_pixels, PngHeader& header,
                   const std::string& name) {
  const std::size_t most = header.colour_type == 3 ? std::size_t{1} << header.bit_depth : 256;
  const std::size_t entries = chunk.data.size() / 3;
  if (header.palette_entries != 0 || seen_pixels || chunk.data.size() % 3 != 0 || entries == 0 ||
      entries > most || header.colour_type == 0 || header.colour_type == 4) {
    fail_data(
        "{}: PNG expects one PLTE chunk before the pixels, of 1 to {} colours, found {} bytes "
        "at byte {}",
        name, most, chunk.data.size(), chunk.at);
  }
  header.palette_entries = static_cast<int>(entries);
}

}  // namespace

std::uint64_t png_unpacked_bytes(const PngHeader& header) {
  const std::uint64_t bits =
      static_cast<std::uint64_t>(header.bit_depth * channels_of(header.colour_type));
  const auto pass = [&](std::int64_t x0, std::int64_t y0, std::int64_t dx, std::int64_t dy) {
    const auto w = static_cast<std::uint64_t>((header.width - x0 + dx - 1) / dx);
    const auto h = static_cast<std::uint64_t>((header.height - y0 + dy - 1) / dy);
    return w == 0 || h == 0 ? 0 : h * (1 + (w * bits + 7) / 8);
  };
  if (!header.interlaced) return pass(0, 0, 1, 1);
  return pass(0, 0, 8, 8) + pass(4, 0, 8, 8) + pass(0, 4, 4, 8) + pass(2, 0, 4, 4) +
         pass(0, 2, 2, 4) + pass(1, 0, 2, 2) + pass(0, 1, 1, 2);
}

PngHeader check_png(std::span<const std::uint8_t> file, const std::string& name,
                    const DecodeLimits& limits) {
  constexpr std::array<std::uint8_t, 8> kSignature{0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
  if (file.size() < 8 || !std::equal(kSignature.begin(), kSignature.end(), file.begin())) {
    fail_data("{}: PNG signature expects 89 50 4e 47 0d 0a 1a 0a: was it changed as a text?", name);
  }
  Chunk chunk = read_chunk(file, 8, name);
  PngHeader header = read_header(chunk, name, limits);
  const std::uint64_t unpacked = png_unpacked_bytes(header);
  PixelStream pixels(unpacked, name);
  bool in_pixels = false, seen_pixels = false;
  while (chunk.type != "IEND") {
    chunk = read_chunk(file, chunk.at + 12 + chunk.data.size(), name);
    const bool is_pixels = chunk.type == "IDAT";
    if (is_pixels && seen_pixels && !in_pixels) {
      fail_data("{}: PNG expects its IDAT chunks in a row, found another at byte {}", name,
                chunk.at);
    }
    if (is_pixels && header.colour_type == 3 && header.palette_entries == 0) {
      fail_data("{}: PNG of palette colours expects PLTE before IDAT, found none", name);
    }
    if (is_pixels) {
      pixels.add(chunk.data);
      header.packed_bytes += chunk.data.size();
    }
    in_pixels = is_pixels;
    seen_pixels = seen_pixels || is_pixels;
    if (chunk.type == "PLTE") check_palette(chunk, seen_pixels, header, name);
    const bool known = is_pixels || chunk.type == "PLTE" || chunk.type == "IEND";
    if (!known && chunk.type[0] >= 'A' && chunk.type[0] <= 'Z') {
      fail_data("{}: PNG chunk {} at byte {} is critical and not known here", name, chunk.type,
                chunk.at);
    }
  }
  if (!seen_pixels) fail_data("{}: PNG expects an IDAT chunk, found none", name);
  pixels.finish();
  return header;
}

}  // namespace convoy::data
