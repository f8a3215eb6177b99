// SPDX-License-Identifier: MIT
#pragma once
// Device memory in segments that are cut into pieces, and joined again: book-keeping on addresses,
// which asks no device and touches no memory.
//
//   Segments segments;
//   segments.add(memory, 2 << 20, stream);
//   Piece* piece = segments.take(1000 * 256, stream);  // null: no free piece is large enough
//   segments.put(piece);                               // one with its free neighbours again
//
// The oldest segment with room gives its smallest piece that fits, the lowest of equal ones; what
// is left over stays free. So requests that ran once, from no segments or from free ones, find the
// same addresses when they run again from free ones, whatever was added on the way: by induction, a
// younger segment is asked where an older one has no room, and then it is as free as it was new.
// A graph's capture rests on that.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <set>
#include <vector>

namespace convoy {

struct Segment;

struct Piece {
  char* data = nullptr;
  std::size_t bytes = 0;
  Segment* segment = nullptr;
  Piece* before = nullptr;  // its neighbours in the segment
  Piece* after = nullptr;
  bool free = true;
};

// By size, then by address.
struct SmallerPiece {
  using is_transparent = void;
  bool operator()(const Piece* a, const Piece* b) const {
    return a->bytes != b->bytes ? a->bytes < b->bytes : a->data < b->data;
  }
  bool operator()(const Piece* a, std::size_t bytes) const { return a->bytes < bytes; }
};

struct Segment {
  char* data = nullptr;
  std::size_t bytes = 0;
  void* stream = nullptr;      // all its pieces are this stream's
  std::uint64_t released = 0;  // the caller's number of the last release
  std::set<Piece*, SmallerPiece> free;

  bool is_whole() const { return free.size() == 1 && (*free.begin())->bytes == bytes; }
  std::size_t largest() const { return free.empty() ? 0 : (*free.rbegin())->bytes; }
};

class Segments {
 public:
  // Without `cut` a segment is one piece, for requests that leave an eighth of it unused at most.
  explicit Segments(bool cut = true) : cut_(cut) {}

  // Segments that the caller owns, and asks back by remove().
  void add(void* data, std::size_t bytes, void* stream);
  void remove(Segment& segment);

  Piece* take(std::size_t bytes, const void* stream);
  void put(Piece* piece);

  // Could it give so many bytes, on its stream?
  bool fits(const Segment& segment, std::size_t bytes) const {
    return fitting(segment, bytes) != nullptr;
  }
  std::vector<Segment*> whole() const;  // nothing of which is in use, oldest first
  std::size_t bytes() const { return bytes_; }
  std::size_t free_bytes() const;
  std::size_t largest_free() const;

 private:
  Piece* fitting(const Segment& segment, std::size_t bytes) const;
  void cut_off(Piece* piece, std::size_t bytes);
  void join_after(Piece* piece);
  Piece* new_piece();

  bool cut_;
  std::size_t bytes_ = 0;
  std::vector<std::unique_ptr<Segment>> segments_;  // oldest first
  std::deque<Piece> pieces_;
  std::vector<Piece*> unused_;
};

}  // namespace convoy
