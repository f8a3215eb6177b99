// SPDX-License-Identifier: MIT
#include "kernels/sim/mbarrier.h"

#include <fmt/format.h>

#include <cstring>

#include "kernels/sim/instruction.h"
#include "kernels/sim/shared_memory.h"

namespace convoy::sim {
namespace {

constexpr std::int64_t kMaxCount = (1 << 20) - 1;  // of arrivals and of bytes
constexpr std::uint64_t kCount = kMaxCount, kBias = 1 << 20;

struct State {
  std::uint64_t expected : 20, pending : 20;  // arrivals of each phase; of this one, still missing
  std::uint64_t bytes : 21;                   // still missing, plus kBias: early ones count below 0
  std::uint64_t phase : 2;                    // modulo 4: its parity, and whether one was missed
  std::uint64_t invalid : 1;                  // also of memory that nobody wrote
};
static_assert(sizeof(State) == 8);

State load(const std::byte* word) {
  State state;
  std::memcpy(&state, word, sizeof(state));
  return state;
}
void store(std::byte* word, const State& state) { std::memcpy(word, &state, sizeof(state)); }

// Who acts: a thread, or work that it issued.
struct Actor {
  Thread& thread;
  Ticket work;  // 0: the thread itself
  const char* what;
  Site site;
};

State load_valid(const std::byte* word, const Actor& actor) {
  const State state = load(word);
  if (state.invalid || state.expected == 0 || state.pending > state.expected) {
    fault(actor.thread, fmt::format("{}: expects an initialised mbarrier", actor.what), actor.site);
  }
  return state;
}

// The access checker's name of a phase.
[[maybe_unused]] const void* phase_of(const std::byte* word, std::uint64_t phase) {
  return word + phase % 4;
}

void release(const std::byte* word, const State& state, const Actor& actor) {
  if constexpr (access::kEnabled) {
    if (actor.work != 0) {
      access::work_releases(actor.work, phase_of(word, state.phase));
    } else {
      access::read(actor.thread, word, sizeof(State), actor.site);
      access::release(actor.thread, phase_of(word, state.phase));
    }
  }
}

// Counts, and ends the phase if nothing is missing.
void change(std::byte* word, std::uint64_t arrivals, std::int64_t bytes, const Actor& actor) {
  State state = load_valid(word, actor);
  release(word, state, actor);
  if (arrivals > state.pending) {
    fault(actor.thread,
          fmt::format("{}: expects {} arrivals in a phase, found one more", actor.what,
                      std::uint64_t{state.expected}),
          actor.site);
  }
  const std::int64_t missing = static_cast<std::int64_t>(state.bytes - kBias) + bytes;
  const std::uint64_t pending = state.pending - arrivals;
  if (missing < -kMaxCount || missing > kMaxCount || (pending == 0 && missing < 0)) {
    fault(actor.thread,
          fmt::format("{}: expects a transaction count of 0 to {} bytes, found {}", actor.what,
                      kMaxCount, missing),
          actor.site);
  }
  state.bytes = (static_cast<std::uint64_t>(missing) + kBias) & (2 * kBias - 1);
  state.pending = pending & kCount;
  if (pending == 0 && missing == 0) {
    state.pending = state.expected;
    state.phase = (state.phase + 1u) & 3u;
    if constexpr (access::kEnabled) access::forget(phase_of(word, state.phase));
  }
  store(word, state);
}

std::byte* own_place(const void* word, const char* what, const Site& site) {
  return mbarrier_place(*current_thread()->block, word, what, site);
}

Actor caller(const char* what, const Site& site) { return {*current_thread(), 0, what, site}; }

}  // namespace

std::byte* mbarrier_place(const Block& block, const void* word, const char* what,
                          const Site& site) {
  const auto* at = static_cast<const std::byte*>(word);
  if (at < block.shared || at + sizeof(State) > block.shared + block.shared_bytes ||
      (at - block.shared) % 8 != 0) {
    fault(fmt::format("{}: expects an mbarrier in the block's shared memory at a multiple of 8, "
                      "found offset {}",
                      what, at - block.shared),
          site);
  }
  return block.shared + (at - block.shared);
}

void mbarrier_init(void* word, std::uint32_t arrivals, const Site& site) {
  std::byte* place = own_place(word, "mbarrier.init", site);
  expect(arrivals >= 1 && arrivals <= kMaxCount, "mbarrier.init: expects 1 to 2^20 - 1 arrivals",
         arrivals, site);
  if constexpr (access::kEnabled) {
    access::write(*current_thread(), place, sizeof(State), site);
    for (unsigned phase = 0; phase < 4; ++phase) access::forget(phase_of(place, phase));
  }
  store(place, {.expected = arrivals & kCount,
                .pending = arrivals & kCount,
                .bytes = kBias,
                .phase = 0,
                .invalid = 0});
}

void mbarrier_invalidate(void* word, const Site& site) {
  std::byte* place = own_place(word, "mbarrier.inval", site);
  load_valid(place, caller("mbarrier.inval", site));
  if constexpr (access::kEnabled) access::write(*current_thread(), place, sizeof(State), site);
  std::memset(place, 0xff, sizeof(State));
}

void mbarrier_arrive(void* word, std::uint32_t bytes, const Site& site) {
  change(own_place(word, "mbarrier.arrive", site), 1, bytes, caller("mbarrier.arrive", site));
}

void mbarrier_expect(void* word, std::uint32_t bytes, const Site& site) {
  change(own_place(word, "mbarrier.expect_tx", site), 0, bytes, caller("mbarrier.expect_tx", site));
}

void mbarrier_wait(const void* word, std::uint32_t parity, const Site& site) {
  if (skipped(site)) return;
  expect(parity <= 1, "mbarrier.wait: expects a parity of 0 or 1", parity, site);
  const std::byte* place = own_place(word, "mbarrier.wait", site);
  const std::uint32_t phase = load_valid(place, caller("mbarrier.wait", site)).phase;
  const auto passed = [=] {
    if ((phase & 1u) != parity) return true;  // the phase before this one
    const std::uint32_t ended =
        (load_valid(place, caller("mbarrier.wait", site)).phase - phase) & 3u;
    expect(ended <= 1,
           "mbarrier.wait: expects to see a phase's end before the next one ends, ended", ended,
           site);
    return ended == 1;
  };
  wait_until(passed,
             parity == 0 ? "an mbarrier's phase of parity 0" : "an mbarrier's phase of parity 1",
             site);
  if constexpr (access::kEnabled) {
    access::read(*current_thread(), place, sizeof(State), site);
    access::acquire(*current_thread(), phase_of(place, load(place).phase + 3u));
  }
}

std::uint32_t map_to_rank(const void* place, std::uint32_t rank, const Site& site) {
  expect(rank < current_gang().launch().cluster, "mapa: expects a block of the cluster", rank,
         site);
  return shared_address(place, site) % kSharedWindow + rank * kSharedWindow;
}

void mbarrier_arrive_remote(std::uint32_t address, const Site& site) {
  constexpr const char* kWhat = "mbarrier.arrive.shared::cluster";
  const Block& block = block_of(address, site);
  if (block.alive == 0) {
    fault(fmt::format("{}: expects a block that runs, found that block {} has exited", kWhat,
                      to_text(block.index)),
          site);
  }
  change(mbarrier_place(block, shared_place(address, sizeof(State), site), kWhat, site), 1, 0,
         caller(kWhat, site));
}

void mbarrier_complete(std::byte* word, std::uint32_t bytes, const AsyncWork& work) {
  change(word, 0, -std::int64_t{bytes}, {*work.issuer, work.ticket, work.what, work.site});
}

}  // namespace convoy::sim
