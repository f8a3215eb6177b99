// SPDX-License-Identifier: MIT
// Random requests against a model that knows of each unit of memory whose it is.
#include "runtime/segments.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

namespace convoy {
namespace {

constexpr std::size_t kUnit = 256;

// Addresses alone: nobody reads or writes there.
char* address(std::size_t unit) { return reinterpret_cast<char*>((unit + 1) * kUnit); }
std::size_t unit_of(const char* data) { return reinterpret_cast<std::size_t>(data) / kUnit - 1; }

int kStreams[2];

class Model {
 public:
  // `gap` units to the next segment: neighbours by chance are not joined.
  void add(Segments& segments, std::size_t units, int stream, std::size_t gap) {
    owner_.resize(owner_.size() + gap, kNobody);
    segments.add(address(owner_.size()), units * kUnit, &kStreams[stream]);
    owner_.resize(owner_.size() + units, kFree - stream);
  }
  void take(const Piece& piece, std::size_t units, int stream, int by) {
    ASSERT_EQ(piece.bytes, units * kUnit);
    for (std::size_t at = unit_of(piece.data), end = at + units; at < end; ++at) {
      ASSERT_EQ(owner_.at(at), kFree - stream) << "unit " << at << " is not the stream's to give";
      owner_[at] = by;
    }
  }
  void put(const Piece& piece, int stream) {
    const auto first = owner_.begin() + static_cast<std::ptrdiff_t>(unit_of(piece.data));
    std::fill(first, first + static_cast<std::ptrdiff_t>(piece.bytes / kUnit), kFree - stream);
  }
  // Of free units of the stream, one beside the other.
  std::size_t longest_run(int stream) const {
    std::size_t longest = 0, run = 0;
    for (const int owner : owner_) {
      run = owner == kFree - stream ? run + 1 : 0;
      longest = std::max(longest, run);
    }
    return longest;
  }
  std::size_t free_units() const {
    return static_cast<std::size_t>(
        std::count_if(owner_.begin(), owner_.end(), [](int o) { return o < 0 && o > kNobody; }));
  }

 private:
  static constexpr int kFree = -1, kNobody = -100;
  std::vector<int> owner_;  // by unit
};

TEST(Segments, RandomRequestsNeverOverlapAndAllJoinsAgain) {
  for (unsigned seed = 0; seed < 20; ++seed) {
    std::mt19937 random(seed);
    const auto below = [&](std::size_t n) { return random() % n; };
    Segments segments;
    Model model;
    for (int i = 0; i < 6; ++i) model.add(segments, 40 + below(200), i % 2, 1);
    const std::size_t all = model.free_units();
    std::vector<std::pair<Piece*, int>> live;
    for (int step = 0; step < 4000; ++step) {
      const int stream = static_cast<int>(below(2));
      if (live.empty() || below(100) < (step / 500 % 2 == 0 ? 60u : 40u)) {
        const std::size_t units = 1 + below(below(4) == 0 ? 60 : 9);
        Piece* piece = segments.take(units * kUnit, &kStreams[stream]);
        ASSERT_EQ(piece != nullptr, model.longest_run(stream) >= units) << "seed " << seed;
        if (piece == nullptr) continue;
        ASSERT_NO_FATAL_FAILURE(model.take(*piece, units, stream, step));
        live.emplace_back(piece, stream);
      } else {
        std::swap(live[below(live.size())], live.back());
        model.put(*live.back().first, live.back().second);
        segments.put(live.back().first);
        live.pop_back();
      }
      ASSERT_EQ(segments.free_bytes(), model.free_units() * kUnit);
    }
    for (const auto& [piece, stream] : live) segments.put(piece);
    EXPECT_EQ(segments.whole().size(), 6u) << "seed " << seed;
    EXPECT_EQ(segments.bytes(), all * kUnit);
    for (Segment* segment : segments.whole()) segments.remove(*segment);
    EXPECT_EQ(segments.bytes(), 0u);
  }
}

TEST(Segments, TheSmallestPieceThatFitsIsCut) {
  Segments segments;
  segments.add(address(0), 100 * kUnit, nullptr);
  Piece* const first = segments.take(30 * kUnit, nullptr);
  Piece* const wall = segments.take(kUnit, nullptr);
  Piece* const second = segments.take(10 * kUnit, nullptr);
  segments.take(kUnit, nullptr);  // 58 are left behind it
  segments.put(first);
  segments.put(second);
  EXPECT_EQ(unit_of(segments.take(9 * kUnit, nullptr)->data), 31u) << "the hole of 10";
  EXPECT_EQ(unit_of(segments.take(11 * kUnit, nullptr)->data), 0u) << "the hole of 30";
  EXPECT_EQ(unit_of(segments.take(20 * kUnit, nullptr)->data), 42u) << "19 are left there";
  segments.put(wall);
  EXPECT_EQ(unit_of(segments.take(20 * kUnit, nullptr)->data), 11u) << "19 and the wall";
}

// What a step asks for: the n-th request, or the release of an earlier one.
struct Request {
  std::size_t bytes = 0;  // 0: a release
  std::size_t released = 0;
};

std::vector<Request> random_step(std::mt19937& random) {
  std::vector<Request> step;
  std::vector<std::size_t> live;
  for (int i = 0; i < 300; ++i) {
    if (live.empty() || random() % 100 < (i < 150 ? 70u : 30u)) {
      live.push_back(step.size());
      step.push_back({(1 + random() % 64) * kUnit, 0});
    } else {
      std::swap(live[random() % live.size()], live.back());
      step.push_back({0, live.back()});
      live.pop_back();
    }
  }
  for (const std::size_t index : live) step.push_back({0, index});
  return step;
}

std::vector<std::size_t> run(Segments& segments, const std::vector<Request>& step, std::size_t& end,
                             bool may_grow) {
  std::map<std::size_t, Piece*> live;
  std::vector<std::size_t> units;
  for (std::size_t i = 0; i < step.size(); ++i) {
    if (step[i].bytes == 0) {
      segments.put(live.at(step[i].released));
      continue;
    }
    Piece* piece = segments.take(step[i].bytes, nullptr);
    if (piece == nullptr && may_grow) {
      const std::size_t added = std::max<std::size_t>(step[i].bytes / kUnit, 70);
      segments.add(address(end), added * kUnit, nullptr);
      end += added;
      piece = segments.take(step[i].bytes, nullptr);
    }
    if (piece == nullptr) return {};
    live[i] = piece;
    units.push_back(unit_of(piece->data));
  }
  return units;
}

// What a graph's capture rests on.
TEST(Segments, TheSameRequestsFindTheSameAddressesAgain) {
  for (unsigned seed = 0; seed < 50; ++seed) {
    std::mt19937 random(seed);
    const std::vector<Request> step = random_step(random);
    Segments segments;
    std::size_t end = 0;
    const auto grown = run(segments, step, end, true);
    EXPECT_GT(segments.whole().size(), 2u);
    EXPECT_EQ(run(segments, step, end, false), grown) << "seed " << seed;
  }
}

TEST(Segments, UncutOnesGoToRequestsOfAboutTheirSize) {
  Segments segments(/*cut=*/false);
  segments.add(address(0), 90 * kUnit, nullptr);
  EXPECT_EQ(segments.take(79 * kUnit, nullptr), nullptr);
  EXPECT_EQ(segments.take(91 * kUnit, nullptr), nullptr);
  Piece* piece = segments.take(80 * kUnit, nullptr);
  ASSERT_NE(piece, nullptr);
  EXPECT_EQ(piece->bytes, 90 * kUnit);
  segments.put(piece);
  EXPECT_EQ(segments.whole().size(), 1u);
}

}  // namespace
}  // namespace convoy
