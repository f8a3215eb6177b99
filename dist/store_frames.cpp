// SPDX-License-Identifier: MIT
#include "dist/store_frames.h"

#include "kernels/require.h"

namespace convoy::dist {
namespace {

constexpr std::string_view kMagic = "convoy";

void put(std::string& bytes, std::uint32_t value, int count) {
  for (int i = 0; i < count; ++i) bytes += static_cast<char>(value >> (8 * i));
}

std::uint32_t number_at(std::string_view bytes, std::size_t at, std::size_t count) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < count; ++i) {
    value |= std::uint32_t{static_cast<unsigned char>(bytes[at + i])} << (8 * i);
  }
  return value;
}

// Takes a body apart from its beginning.
class Body {
 public:
  explicit Body(std::string_view bytes) : bytes_(bytes) {}

  std::string_view take(std::size_t count) {
    if (count > bytes_.size()) {
      fail_data("store: expects {} more bytes in a frame, found {}", count, bytes_.size());
    }
    const std::string_view taken = bytes_.substr(0, count);
    bytes_.remove_prefix(count);
    return taken;
  }
  std::uint32_t number(std::size_t count) { return number_at(take(count), 0, count); }
  std::string rest() { return std::string(take(bytes_.size())); }

 private:
  std::string_view bytes_;
};

int small_number(Body& body, const char* what) {
  const std::uint32_t value = body.number(4);
  if (value > 1 << 20) fail_data("store: expects a {}, found {}", what, value);
  return static_cast<int>(value);
}

}  // namespace

std::string frame(FrameKind kind, std::string_view body) {
  std::string bytes;
  put(bytes, static_cast<std::uint32_t>(body.size() + 1), 4);
  bytes += static_cast<char>(kind);
  return bytes.append(body);
}

std::string hello_frame(const Hello& hello) {
  require(hello.job.size() <= kMaxJobBytes,
          "store: expects a job's name of up to {} bytes, found {}", kMaxJobBytes,
          hello.job.size());
  std::string body(kMagic);
  put(body, kStoreVersion, 2);
  put(body, static_cast<std::uint32_t>(hello.rank), 4);
  put(body, static_cast<std::uint32_t>(hello.world_size), 4);
  return frame(FrameKind::hello, body + hello.job);
}

std::string set_frame(const std::string& key, const std::string& value) {
  std::string body;
  put(body, static_cast<std::uint32_t>(key.size()), 2);
  return frame(FrameKind::set, body + key + value);
}

Hello read_hello(std::string_view bytes) {
  Body body(bytes);
  if (body.take(kMagic.size()) != kMagic) fail_data("store: expects convoy's greeting, found none");
  const std::uint32_t version = body.number(2);
  if (version != kStoreVersion) {
    fail_data("store: expects version {}, found {}: all ranks must run one build", kStoreVersion,
              version);
  }
  Hello hello;
  hello.rank = small_number(body, "rank");
  hello.world_size = small_number(body, "number of ranks");
  hello.job = body.rest();
  return hello;
}

Entry read_entry(std::string_view bytes) {
  Body body(bytes);
  const std::size_t count = body.number(2);
  std::string key(body.take(count));
  return {std::move(key), body.rest()};
}

std::optional<Frame> FrameReader::next() {
  if (bytes_.size() < 4) return std::nullopt;
  const std::size_t length = number_at(bytes_, 0, 4);
  if (length < 1 || length > longest_) {
    fail_data("store: expects a frame of 1 to {} bytes, found {}", longest_, length);
  }
  if (bytes_.size() < 4 + length) return std::nullopt;
  Frame next = {static_cast<FrameKind>(bytes_[4]), bytes_.substr(5, length - 1)};
  bytes_.erase(0, 4 + length);
  return next;
}

}  // namespace convoy::dist
