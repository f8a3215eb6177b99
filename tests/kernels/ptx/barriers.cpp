// SPDX-License-Identifier: MIT
// Barriers of a block, of a warp, of a cluster.
#include "tests/kernels/ptx/decode.h"
#include "tests/kernels/ptx/machine.h"

namespace convoy::ptx {
namespace {

void complete(Barrier& b, unsigned expected) {
  if (b.arrived < expected) return;
  ++b.phase, b.arrived = 0;
}

Barrier& barrier_of(Warp& w, const Instruction& i, std::uint32_t lanes) {
  const Word id = common(w, i, 0, lanes);
  if (id > 15) fail("expects a barrier below 16", i);
  return w.block->barriers[id];
}

// As many threads as are said, else all that have not ended.
unsigned expected_at(Warp& w, const Instruction& i, std::uint32_t lanes) {
  if (i.operands.size() < 2) return w.block->threads - w.block->ended;
  const Word threads = common(w, i, 1, lanes);
  if (threads % 32 != 0) fail("expects whole warps", i);
  return static_cast<unsigned>(threads);
}

Step sync(Warp& w, const Instruction& i, std::uint32_t lanes) {
  Barrier& b = barrier_of(w, i, lanes);
  Group& g = w.group();
  if (g.barrier < 0) {
    g.barrier = static_cast<int>(common(w, i, 0, lanes)), g.phase = b.phase;
    b.arrived += count_of(lanes);
  }
  if (b.phase == g.phase) complete(b, expected_at(w, i, lanes));
  if (b.phase == g.phase) return Step::blocked;
  g.barrier = -1;
  return Step::next;
}

Step arrive(Warp& w, const Instruction& i, std::uint32_t lanes) {
  Barrier& b = barrier_of(w, i, lanes);
  b.arrived += count_of(lanes);
  complete(b, expected_at(w, i, lanes));
  return Step::next;
}

Step warp_sync(Warp& w, const Instruction& i, std::uint32_t lanes) {
  const auto mask = static_cast<std::uint32_t>(common(w, i, 0, lanes)) & w.live;
  return (lanes & mask) == mask ? Step::next : Step::wait_for_lanes;
}

unsigned threads_of(const Cluster& cluster) {
  unsigned threads = 0;
  for (const auto& block : cluster.blocks) threads += block->threads - block->ended;
  return threads;
}

Step cluster_arrive(Warp& w, const Instruction&, std::uint32_t lanes) {
  Cluster& cluster = *w.block->cluster;
  for_lanes(lanes,
            [&](int l) { w.cluster_phase[static_cast<std::size_t>(l)] = cluster.barrier.phase; });
  cluster.barrier.arrived += count_of(lanes);
  complete(cluster.barrier, threads_of(cluster));
  return Step::next;
}

Step cluster_wait(Warp& w, const Instruction&, std::uint32_t lanes) {
  Cluster& cluster = *w.block->cluster;
  const auto phase = w.cluster_phase[static_cast<std::size_t>(std::countr_zero(lanes))];
  if (cluster.barrier.phase == phase) complete(cluster.barrier, threads_of(cluster));
  return cluster.barrier.phase == phase ? Step::blocked : Step::next;
}

}  // namespace

// bar.sync, barrier.cta.sync, bar.warp.sync, barrier.cluster.arrive.release
Run decode_barrier(const std::vector<std::string_view>& opcode, Instruction&) {
  if (opcode[0] != "bar" && opcode[0] != "barrier") return nullptr;
  if (opcode[1] == "warp") return warp_sync;
  if (opcode[1] == "cluster") return opcode[2] == "arrive" ? cluster_arrive : cluster_wait;
  const std::string_view what = opcode[1] == "cta" ? opcode[2] : opcode[1];
  return what == "sync" ? sync : what == "arrive" ? arrive : nullptr;
}

}  // namespace convoy::ptx
