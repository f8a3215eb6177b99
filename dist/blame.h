// SPDX-License-Identifier: MIT
#pragma once
// Whom to blame: a rank that is silent may only be waiting for a third one. Each that gives up
// leaves a farewell with the reason, and who gives up after it goes by that.

#include <array>
#include <chrono>
#include <functional>
#include <stdexcept>
#include <string>

#include "dist/patience.h"

namespace convoy::dist {

// The reason alone: "rank 1 has said nothing for 5 s". Whoever catches it says during what.
struct PeerError : std::runtime_error {
  PeerError(int rank, const std::string& why) : std::runtime_error(why), culprit(rank) {}
  int culprit;
};

// A PeerError as it travels, cut to its length.
struct Farewell {
  int culprit = 0;
  std::array<char, 252> text{};

  void set(const PeerError& why);
  std::string words() const;
};

// What `by` has said, as another rank passes it on: whom it blames, in its words.
PeerError as_told(const Farewell& said, int by);

// How long one that suspects a silent rank listens whether that one waits for a third, and how long
// one that leaves waits for the others to leave too.
inline constexpr std::chrono::milliseconds kGrace{500};

// Follows what ranks have said from the suspected one to the one that it suspects, and so on.
// `listen` gives a rank's farewell, or null if there is none before the deadline.
using Listen = std::function<const Farewell*(int peer, Patience::Clock::time_point deadline)>;
PeerError find_culprit(PeerError suspicion, int rank, int world_size, const Listen& listen);

}  // namespace convoy::dist
