// SPDX-License-Identifier: MIT
// Turns of warps, and blocks and clusters one after the other.
#include <algorithm>
#include <climits>

#include "tests/kernels/ptx/addresses.h"
#include "tests/kernels/ptx/counts.h"
#include "tests/kernels/ptx/machine.h"
#include "tests/kernels/ptx/special_registers.h"
#include "tests/kernels/ptx/tensor_copy.h"
#include "tests/kernels/ptx/text.h"

namespace convoy::ptx {
namespace {

constexpr int kTurn = 20000;  // instructions; then another warp's

// Where the launch's shared memory begins, behind what the kernel has by name.
std::size_t dynamic_begin(const Kernel& k) {
  return kFirstShared + rounded_up(k.shared_bytes, 1024);
}

Word value_of(const Constant& c, const Block& b, unsigned thread) {
  switch (c.kind) {
    case Constant::Kind::special:
      return special_register(c.name, b, thread);
    case Constant::Kind::parameter:
      return reinterpret_cast<Word>(b.launch->parameters) + c.value;
    case Constant::Kind::shared:
      return shared_of(b.rank, kFirstShared + c.value);
    case Constant::Kind::dynamic_shared:
      return shared_of(b.rank, dynamic_begin(*b.launch->kernel));
    default:
      return c.value;
  }
}

// Registers and memory begin with what nobody has written: NaN as numbers, far as addresses.
std::unique_ptr<Warp> make_warp(Block& b, unsigned first) {
  const Kernel& k = *b.launch->kernel;
  auto w = std::make_unique<Warp>();
  w->block = &b, w->kernel = &k, w->index = first / 32;
  const unsigned lanes = std::min(32U, b.threads - first);
  w->live = lanes == 32 ? ~0U : (1U << lanes) - 1;
  w->registers.assign(static_cast<std::size_t>(k.slots) * 32, 0xfff7fff7fff7fff7);
  w->local.assign(k.local_bytes * 32, 0xff);
  w->groups.push_back({w->live});
  for (const Constant& c : k.constants) {
    for (unsigned l = 0; l < 32; ++l) w->r(c.slot)[l] = value_of(c, b, first + l);
  }
  return w;
}

std::unique_ptr<Block> make_block(const Launch& l, Cluster& cluster, std::uint64_t index) {
  const std::uint64_t row = index / l.grid.x;
  auto b = std::make_unique<Block>();
  b->cluster = &cluster, b->launch = &l;
  b->at = {static_cast<unsigned>(index % l.grid.x), static_cast<unsigned>(row % l.grid.y),
           static_cast<unsigned>(row / l.grid.y)};
  b->rank = b->at.x % l.cluster;
  b->threads = static_cast<unsigned>(l.block.count());
  b->shared_bytes = dynamic_begin(*l.kernel) + l.dynamic_shared;
  b->memory.assign(b->shared_bytes + 1024, 0xff);
  const auto begin = reinterpret_cast<std::uintptr_t>(b->memory.data());
  b->shared = b->memory.data() + (rounded_up(begin, 1024) - begin);
  for (unsigned first = 0; first < b->threads; first += 32) {
    b->warps.push_back(make_warp(*b, first));
  }
  return b;
}

// Groups that stand together, and at no barrier, become one.
void merge(std::vector<Group>& groups) {
  for (std::size_t a = 0; a < groups.size(); ++a) {
    for (std::size_t b = groups.size() - 1; b > a; --b) {
      if (groups[a].at != groups[b].at || groups[a].barrier >= 0 || groups[b].barrier >= 0)
        continue;
      groups[a].lanes |= groups[b].lanes;
      groups[a].parked = false;
      groups.erase(groups.begin() + static_cast<std::ptrdiff_t>(b));
    }
  }
}

// The group furthest behind of those that may run; -1: none.
int choose(const std::vector<Group>& groups) {
  int best = -1;
  for (int g = 0; g < static_cast<int>(groups.size()); ++g) {
    const Group& one = groups[static_cast<std::size_t>(g)];
    if (one.parked) continue;
    if (best < 0 || one.at < groups[static_cast<std::size_t>(best)].at) best = g;
  }
  return best;
}

// Where the next group stands that the current one may become one with.
int meeting_place(const Warp& w) {
  int meet = INT_MAX;
  for (int g = 0; g < static_cast<int>(w.groups.size()); ++g) {
    const Group& one = w.groups[static_cast<std::size_t>(g)];
    if (g != w.current && one.barrier < 0) meet = std::min(meet, one.at);
  }
  return meet;
}

std::uint32_t guarded(Warp& w, const Instruction& i, std::uint32_t lanes) {
  if (i.guard < 0) return lanes;
  const Word* p = w.r(i.guard);
  std::uint32_t mask = 0;
  for (unsigned l = 0; l < 32; ++l) mask |= static_cast<std::uint32_t>(p[l] != 0) << l;
  return lanes & (i.guard_negated ? ~mask : mask);
}

// The current group, until it meets another, branches, waits, or `most` instructions are done.
int run_group(Warp& w, int most) {
  const int meet = meeting_place(w);
  Counts* const counts = w.block->launch->counts;
  for (int done = 0;;) {
    Group& g = w.group();
    const Instruction& i = w.kernel->code[static_cast<std::size_t>(g.at)];
    const std::uint32_t lanes = guarded(w, i, g.lanes);
    const bool counted = counts != nullptr && lanes != 0;
    const Tally tally =
        counted ? tally_of(w, i, lanes) : Tally{};  // a load may overwrite its address
    const Step step = lanes == 0 ? Step::next : i.run(w, i, lanes);
    if (counted && step == Step::next) counts->add(i, tally);
    if (step == Step::wait_for_lanes || step == Step::blocked) {
      g.parked = true;
      return done;
    }
    ++done;
    if (step == Step::ended && g.lanes == 0) w.groups.erase(w.groups.begin() + w.current);
    if (step != Step::next) return done;
    if (++g.at >= meet || done >= most || w.gives_way) return done;
  }
}

// How many instructions it did; 0: it stood still.
int turn(Warp& w) {
  int done = 0;
  for (Group& g : w.groups) g.parked = false;
  w.gives_way = false;
  while (done < kTurn && !w.gives_way) {
    merge(w.groups);
    w.current = choose(w.groups);
    if (w.current < 0) break;
    done += run_group(w, kTurn - done);
  }
  return done;
}

using Clusters = std::vector<std::unique_ptr<Cluster>>;

template <class Visit>
void for_warps(const Clusters& clusters, Visit visit) {
  for (const auto& cluster : clusters) {
    for (const auto& block : cluster->blocks) {
      for (const auto& warp : block->warps) visit(*warp);
    }
  }
}

[[noreturn]] void everybody_waits(const Clusters& clusters) {
  std::string where = "every thread waits:";
  for_warps(clusters, [&](Warp& w) {
    for (const Group& g : w.groups) {
      where += "\n  block " + std::to_string(w.block->at.x) + ", warp " + std::to_string(w.index) +
               ", " + std::to_string(count_of(g.lanes)) + " lanes at " +
               w.kernel->code[static_cast<std::size_t>(g.at)].text;
    }
  });
  throw Fault(where);
}

void run_clusters(const Clusters& clusters) {
  for (bool alive = true; alive;) {
    alive = false;
    bool moved = false;
    for_warps(clusters, [&](Warp& w) {
      if (w.groups.empty()) return;
      alive = true;
      moved = turn(w) > 0 || moved;
    });
    if (alive && !moved) everybody_waits(clusters);
  }
  for_warps(clusters, finish_stores);
  for (const auto& cluster : clusters) {
    if (!cluster->loads.empty()) throw Fault("a cluster has ended before its loads arrived");
  }
}

}  // namespace

void run(const Launch& l) {
  const std::uint64_t blocks = l.grid.count();
  Clusters clusters;
  for (std::uint64_t first = 0; first < blocks; first += l.cluster) {
    auto cluster = std::make_unique<Cluster>();
    for (unsigned rank = 0; rank < l.cluster; ++rank) {
      cluster->blocks.push_back(make_block(l, *cluster, first + rank));
    }
    clusters.push_back(std::move(cluster));
    if (l.resident && first + l.cluster < blocks) continue;
    run_clusters(clusters);
    clusters.clear();
  }
}

}  // namespace convoy::ptx
