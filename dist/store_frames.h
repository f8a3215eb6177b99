// SPDX-License-Identifier: MIT
#pragma once
// What goes over the store's connections: frames of a length (4 bytes, least first), a kind (1
// byte) and a body. Lengths count the kind and the body.
//
//   to rank 0     hello "convoy", version, rank, ranks, job     then set, get, bye
//   from rank 0   done, or value; absent; refused, with the reason
//
// Pure functions of bytes: tests/fuzz feeds them.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace convoy::dist {

enum class FrameKind : char {
  hello = 'H',
  set = 'S',
  get = 'G',
  bye = 'B',
  done = 'd',
  value = 'v',
  absent = 'a',
  refused = 'r',
};

struct Frame {
  FrameKind kind;
  std::string body;
};

struct Hello {
  int rank = 0, world_size = 1;
  std::string job;
};
struct Entry {
  std::string key, value;
};

inline constexpr int kStoreVersion = 1;
inline constexpr std::size_t kMaxJobBytes = 255;
// The longest frame from a stranger, and from a rank.
inline constexpr std::size_t kMaxHelloBytes = 512, kMaxFrameBytes = 66 * 1024;

std::string frame(FrameKind kind, std::string_view body = {});
std::string hello_frame(const Hello& hello);
std::string set_frame(const std::string& key, const std::string& value);

// Throw Error of kind data where a body is none.
Hello read_hello(std::string_view body);
Entry read_entry(std::string_view body);

// Cuts a stream of bytes into frames.
class FrameReader {
 public:
  explicit FrameReader(std::size_t longest) : longest_(longest) {}
  void allow(std::size_t longest) { longest_ = longest; }
  void take(std::string_view bytes) { bytes_.append(bytes); }
  // The next whole frame; throws Error of kind data for a length that is none.
  std::optional<Frame> next();
  std::size_t waiting() const { return bytes_.size(); }

 private:
  std::size_t longest_;
  std::string bytes_;
};

}  // namespace convoy::dist
