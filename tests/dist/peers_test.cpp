// SPDX-License-Identifier: MIT
// Messages between ranks, below the operations that are made of them.

#include "dist/peers.h"

#include <gtest/gtest.h>

#include <thread>

namespace convoy::dist {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::seconds;

// Rank 1 closes while messages pass, most likely in the middle of one: nobody waits for the rest.
void close_within_a_message(bool rank_1_sends) {
  const std::unique_ptr<Store> store = memory_store();
  const auto start = [&](Peers& peers, bool sends,
                         const std::function<void(Peers::Channel&)>& then) {
    std::vector<std::byte> memory(64 << 20);
    Peers::Channel channel(peers, 1 - peers.rank(), memory.data(), memory.size());
    for (int i = 0; i < 40; ++i) {
      sends ? channel.send(0, memory.size()) : channel.receive(0, memory.size());
    }
    then(channel);
  };
  std::thread rank_1([&] {
    Peers peers(*store, 1, 2, seconds(60), "test", "127.0.0.1");
    start(peers, rank_1_sends, [](Peers::Channel&) {});
  });
  Peers peers(*store, 0, 2, seconds(60), "test", "127.0.0.1");
  const Clock::time_point begin = Clock::now();
  try {
    start(peers, !rank_1_sends, [&](Peers::Channel& channel) {
      for (int i = 0; i < 40; ++i) rank_1_sends ? channel.await_received() : channel.await_sent();
    });
    ADD_FAILURE() << "expected an error";
  } catch (const PeerError& error) {
    EXPECT_EQ(error.culprit, 1);
  }
  EXPECT_LT(Clock::now() - begin, seconds(10));
  rank_1.join();
}

TEST(Peers, AConnectionsEndEndsAMessageHalfOut) { close_within_a_message(false); }
TEST(Peers, AConnectionsEndEndsAMessageHalfIn) { close_within_a_message(true); }

}  // namespace
}  // namespace convoy::dist
