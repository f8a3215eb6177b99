// SPDX-License-Identifier: MIT
#include "data/gzip.h"

#include <zlib.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "kernels/require.h"

namespace convoy::data {

struct GzipReader::State {
  std::span<const std::uint8_t> file;
  std::string name;
  z_stream stream{};
  std::size_t fed = 0;  // bytes of the file that zlib has been given
  bool ended = false;

  std::size_t offset() const { return fed - stream.avail_in; }

  // zlib counts in 32 bits, so a large file is fed in parts.
  void feed() {
    if (stream.avail_in != 0) return;
    const auto part = std::min<std::size_t>(file.size() - fed, std::size_t{1} << 30);
    stream.next_in = const_cast<Bytef*>(file.data() + fed);
    stream.avail_in = static_cast<uInt>(part);
    fed += part;
  }

  void step() {
    feed();
    const int status = inflate(&stream, Z_NO_FLUSH);
    if (status == Z_STREAM_END) {
      ended = true;
    } else if (status == Z_BUF_ERROR || (status == Z_OK && stream.avail_out > 0 &&
                                         stream.avail_in == 0 && fed == file.size())) {
      fail_data("{}: gzip stream is truncated: the file ends at byte {} within it", name, offset());
    } else if (status != Z_OK) {
      fail_data("{}: gzip stream is damaged at byte {}: {}", name, offset(),
                stream.msg != nullptr ? stream.msg : "zlib gives no reason");
    }
  }
};

bool is_gzip(std::span<const std::uint8_t> file) {
  return file.size() >= 2 && file[0] == 0x1f && file[1] == 0x8b;
}

GzipReader::GzipReader(std::span<const std::uint8_t> file, std::string name)
    : state_(std::make_unique<State>()) {
  state_->file = file;
  state_->name = std::move(name);
  constexpr int kGzipOnly = 16 + MAX_WBITS;
  require(inflateInit2(&state_->stream, kGzipOnly) == Z_OK, "{}: zlib could not be started",
          state_->name);
}

GzipReader::~GzipReader() { inflateEnd(&state_->stream); }

std::size_t GzipReader::read(std::span<std::uint8_t> out) {
  std::size_t done = 0;
  while (done < out.size() && !state_->ended) {
    const auto part = std::min<std::size_t>(out.size() - done, std::size_t{1} << 30);
    state_->stream.next_out = out.data() + done;
    state_->stream.avail_out = static_cast<uInt>(part);
    state_->step();
    done += part - state_->stream.avail_out;
  }
  return done;
}

void GzipReader::expect_end() {
  std::uint8_t extra = 0;
  if (read({&extra, 1}) != 0) {
    fail_data("{}: gzip stream expands beyond the {} bytes that its content states", state_->name,
              state_->stream.total_out - 1);
  }
  if (state_->offset() != state_->file.size()) {
    fail_data("{}: {} bytes follow the gzip stream at byte {}", state_->name,
              state_->file.size() - state_->offset(), state_->offset());
  }
}

std::uint64_t GzipReader::most_it_can_hold() const {
  return (static_cast<std::uint64_t>(state_->file.size()) + 1) * 1032;
}

}  // namespace convoy::data
