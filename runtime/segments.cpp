// SPDX-License-Identifier: MIT
#include "runtime/segments.h"

#include <algorithm>

namespace convoy {

void Segments::add(void* data, std::size_t bytes, void* stream) {
  Segment& added = *segments_.emplace_back(std::make_unique<Segment>());
  added.data = static_cast<char*>(data);
  added.bytes = bytes;
  added.stream = stream;
  Piece* piece = new_piece();
  *piece = {.data = added.data, .bytes = bytes, .segment = &added};
  added.free.insert(piece);
  bytes_ += bytes;
}

void Segments::remove(Segment& segment) {
  bytes_ -= segment.bytes;
  unused_.push_back(*segment.free.begin());
  std::erase_if(segments_, [&](const auto& known) { return known.get() == &segment; });
}

Piece* Segments::take(std::size_t bytes, const void* stream) {
  for (const auto& segment : segments_) {
    if (segment->stream != stream) continue;
    Piece* piece = fitting(*segment, bytes);
    if (piece == nullptr) continue;
    segment->free.erase(piece);
    piece->free = false;
    if (cut_ && piece->bytes > bytes) cut_off(piece, bytes);
    return piece;
  }
  return nullptr;
}

Piece* Segments::fitting(const Segment& segment, std::size_t bytes) const {
  if (segment.largest() < bytes) return nullptr;
  Piece* smallest = *segment.free.lower_bound(bytes);
  return cut_ || smallest->bytes - bytes <= bytes / 8 ? smallest : nullptr;
}

// The piece keeps so many bytes; the rest is free.
void Segments::cut_off(Piece* piece, std::size_t bytes) {
  Piece* rest = new_piece();
  *rest = {.data = piece->data + bytes,
           .bytes = piece->bytes - bytes,
           .segment = piece->segment,
           .before = piece,
           .after = piece->after};
  if (rest->after != nullptr) rest->after->before = rest;
  piece->after = rest;
  piece->bytes = bytes;
  piece->segment->free.insert(rest);
}

void Segments::put(Piece* piece) {
  Segment& segment = *piece->segment;
  if (piece->after != nullptr && piece->after->free) {
    segment.free.erase(piece->after);
    join_after(piece);
  }
  if (piece->before != nullptr && piece->before->free) {
    piece = piece->before;
    segment.free.erase(piece);
    join_after(piece);
  }
  piece->free = true;
  segment.free.insert(piece);
}

void Segments::join_after(Piece* piece) {
  Piece* joined = piece->after;
  piece->bytes += joined->bytes;
  piece->after = joined->after;
  if (piece->after != nullptr) piece->after->before = piece;
  unused_.push_back(joined);
}

Piece* Segments::new_piece() {
  if (unused_.empty()) return &pieces_.emplace_back();
  Piece* piece = unused_.back();
  unused_.pop_back();
  return piece;
}

std::vector<Segment*> Segments::whole() const {
  std::vector<Segment*> found;
  for (const auto& segment : segments_) {
    if (segment->is_whole()) found.push_back(segment.get());
  }
  return found;
}

std::size_t Segments::free_bytes() const {
  std::size_t sum = 0;
  for (const auto& segment : segments_) {
    for (const Piece* piece : segment->free) sum += piece->bytes;
  }
  return sum;
}

std::size_t Segments::largest_free() const {
  std::size_t largest = 0;
  for (const auto& segment : segments_) largest = std::max(largest, segment->largest());
  return largest;
}

}  // namespace convoy
