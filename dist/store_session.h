// SPDX-License-Identifier: MIT
#pragma once
// The store's side of a connection, without the connection: bytes in, bytes out. A stranger gets no
// further than his first frame; what a rank sends is bounded too.

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dist/store_frames.h"

namespace convoy::dist {

// Set by the store itself when a rank's connection ends without a goodbye.
std::string gone_key(int rank);

// What all sessions of a job share.
class StoreValues {
 public:
  StoreValues(int world_size, std::string job)
      : job_(std::move(job)), ranks_(static_cast<std::size_t>(world_size), Presence::absent) {}

  // Why this one may not come in; empty: it is the rank it says from now on.
  std::string admit(const Hello& hello);
  void leave(int rank, bool orderly);
  // False where no more fits.
  bool set(const std::string& key, const std::string& value);
  const std::string* find(const std::string& key) const;
  int present() const;  // ranks connected now

 private:
  enum class Presence : char { absent, present, left };

  std::string job_;
  std::vector<Presence> ranks_;
  std::map<std::string, std::string> values_;
  std::size_t bytes_ = 0;
};

class StoreSession {
 public:
  explicit StoreSession(StoreValues& values) : values_(&values) {}

  void take(std::string_view bytes) { reader_.take(bytes); }
  // Answers one frame, so that a rank that asks and never listens fills nothing; nullopt: none is
  // whole yet, or the session is over. What is wrong with a frame is the last answer.
  std::optional<std::string> answer();
  bool is_over() const { return over_; }
  bool is_rank() const { return rank_ >= 0; }
  void disconnected();

 private:
  std::string answer_to(const Frame& frame);
  std::string greet(const Frame& frame);
  std::string refuse(std::string_view reason);

  StoreValues* values_;
  FrameReader reader_{kMaxHelloBytes};
  int rank_ = -1;
  bool over_ = false;
};

}  // namespace convoy::dist
