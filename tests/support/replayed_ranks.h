// SPDX-License-Identifier: MIT
#pragma once
// The ranks of a job within one process, one after the other, on one thread. What others give to a
// gather is known once they have come to it; so every rank's job runs until it asks for what is not
// known yet, and all run again from the start, until all have run to their end:
//
//   replay_ranks(3, [&](const std::shared_ptr<RankExchange>& ranks) {
//     ...                                  // the same in every run
//     ranks->gather(own, all);
//     results[ranks->rank()] = ...;
//   });

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "runtime/rank_exchange.h"

namespace convoy::testing {

inline void replay_ranks(int world_size,
                         const std::function<void(const std::shared_ptr<RankExchange>&)>& job) {
  struct NotYet {};
  using Bytes = std::vector<char>;
  using Given = std::vector<std::vector<Bytes>>;  // [rank][call]

  class Replay final : public RankExchange {
   public:
    Replay(int rank, Given& given) : rank_(rank), given_(given) {}
    int rank() const override { return rank_; }
    int world_size() const override { return static_cast<int>(given_.size()); }
    void gather(const Tensor& own, const Tensor& all) override {
      require(all.count() == own.count() * world_size() && all.dtype() == own.dtype() &&
                  own.is_contiguous() && all.is_contiguous(),
              "gather: expects {} times {} {}, found {} {}", world_size(), own.count(), own.dtype(),
              all.count(), all.dtype());
      Bytes bytes(static_cast<std::size_t>(own.count()) * size_of(own.dtype()));
      to_host(own, bytes.data());
      auto& mine = given_[static_cast<std::size_t>(rank_)];
      if (call_ == mine.size()) mine.push_back(bytes);
      require(mine[call_] == bytes, "replay: rank {} gave something else to gather {}", rank_,
              call_);
      Bytes found;
      for (const auto& rank : given_) {
        if (rank.size() <= call_) throw NotYet();
        require(rank[call_].size() == bytes.size(), "gather: ranks expect one size, found {}, {}",
                bytes.size(), rank[call_].size());
        found.insert(found.end(), rank[call_].begin(), rank[call_].end());
      }
      ++call_;
      Tensor to = all;
      to.copy_(from_host(found.data(), all.shape(), all.like()));
    }

   private:
    int rank_;
    Given& given_;
    std::size_t call_ = 0;
  };

  Given given(static_cast<std::size_t>(world_size));
  for (bool waits = true; waits;) {
    waits = false;
    for (int rank = 0; rank < world_size; ++rank) {
      try {
        job(std::make_shared<Replay>(rank, given));
      } catch (const NotYet&) {
        waits = true;
      }
    }
  }
}

}  // namespace convoy::testing
