// SPDX-License-Identifier: MIT
#pragma once
// Threads, warps, blocks and clusters, and who runs when. Threads are fibers of one thread of the
// machine; a thread runs until it waits, and it waits in two ways only:
//
//   wait_until([&] { return flag != 0; }, "a flag", site);   // for what others bring about
//
//   collective(lanes(mask), "__shfl_sync", site, value, meaning);   // for everyone of a group
//
// The last thread to arrive at a collective runs its meaning once for all. A gang is what is
// scheduled together: one cluster of blocks (usually one block), or in a resident launch all.

#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kernels/sim/access.h"
#include "kernels/sim/async.h"
#include "kernels/sim/fiber.h"
#include "kernels/sim/options.h"
#include "kernels/sim/site.h"
#include "kernels/sim/vector_types.h"

namespace convoy::sim {

inline constexpr unsigned kWarpSize = 32;

struct Block;
class Gang;
struct Meeting;
struct Accumulators;

struct Thread {
  enum class State : std::uint8_t { fresh, ready, waiting, gone };

  on_sim::uint3 index{};
  unsigned rank = 0;  // in its block, x fastest
  Block* block = nullptr;
  State state = State::fresh;
  std::unique_ptr<Fiber> fiber;  // null while fresh

  // What it waits for; a meeting, or a condition that is asked again when nobody else can run.
  const char* what = "";
  Site site;
  Meeting* meeting = nullptr;
  bool (*condition)(const void*) = nullptr;
  const void* condition_context = nullptr;

  WorkGroups copies, bulk_reads, bulk_copies, products;  // of cp.async, TMA stores and wgmma
  bool products_fenced = false;  // a wgmma.fence is behind the last use of registers

  access::ThreadClock clock;  // happens-before, in the preset simcheck

  unsigned lane() const { return rank % kWarpSize; }
  unsigned warp() const { return rank / kWarpSize; }
};

// Who takes part in a collective.
struct Group {
  enum class Kind : std::uint8_t { lanes, warpgroup, barrier, cluster };
  Kind kind;
  std::uint32_t key;    // lanes: the mask; warpgroup: its number; barrier: its number
  std::uint32_t count;  // how many arrive
};
Group lanes(std::uint32_t mask);  // of the caller's warp
Group warpgroup();                // the caller's four warps
Group named_barrier(unsigned id, unsigned count);
Group whole_block();  // barrier 0
Group whole_cluster();
// Barrier 0 takes every thread of the block; at the named ones some arrive and may leave.
bool is_whole_block(const Group& group);

struct Meeting {
  Group group{};
  const char* what = "";
  Site site;
  unsigned arrived = 0;
  std::vector<Thread*> threads;  // in order of arrival
  std::vector<Thread*> waiting;  // those of them that wait; an arrival alone does not
  std::vector<void*> operands;  // by the member's rank in its group: lane, or rank in the warpgroup
};

// Threads of one warp that can run: bit = lane.
struct Warp {
  Block* block = nullptr;
  std::uint32_t ready = 0;
  std::uint32_t gone = 0;     // exited lanes
  std::uint32_t members = 0;  // lanes that exist
  std::vector<std::unique_ptr<Meeting>> open;
};

// Registers per thread of each warpgroup, and how many of the block nobody holds: setmaxnreg.
struct RegisterPool {
  std::uint32_t free = 0;
  std::uint32_t of_warpgroup[8] = {};
};

struct Block {
  on_sim::uint3 index{};
  unsigned rank_in_cluster = 0;
  unsigned first_of_cluster = 0;  // position in the gang of its cluster's first block
  unsigned threads = 0, alive = 0;
  std::byte* shared = nullptr;
  std::byte* async_view = nullptr;  // shared memory as the async proxy sees it, once it is used
  bool fenced = false;              // a fence.proxy.async is behind what the view has
  std::size_t shared_bytes = 0;
  Thread* first = nullptr;
  Warp* warps = nullptr;
  Gang* gang = nullptr;
  std::vector<std::unique_ptr<Meeting>> open;               // barriers and warpgroups
  std::vector<std::shared_ptr<Accumulators>> accumulators;  // of wgmma, in flight
  RegisterPool registers;
};

struct Launch {
  on_sim::dim3 grid, block;
  std::size_t shared_bytes = 0;
  unsigned cluster = 1;  // blocks, along x
  bool programmatic = false, resident = false;
  const void* kernel = nullptr;
  std::function<void()> thread;  // what every thread runs
};

class Gang {
 public:
  // Runs blocks [first, first + count) of the grid to their end; throws the first error.
  void run(const Launch& launch, std::uint64_t first, unsigned count);

  const Launch& launch() const { return *launch_; }
  std::span<Block> blocks() { return {blocks_.data(), block_count_}; }
  AsyncEngine& async() { return async_; }
  std::uint32_t random();

  // The calling thread's side.

  // Ends the gang with the error, and the thread without unwinding its stack.
  [[noreturn]] void abandon(std::exception_ptr error);
  void block_on(bool (*condition)(const void*), const void* context, const char* what, Site site);
  void meet(const Group& group, const char* what, Site site, void* operand, bool wait,
            void (*meaning)(void* context, std::span<void* const> operands), void* context);

 private:
  void set_up(const Launch& launch, std::uint64_t first, unsigned count);
  void set_up_block(unsigned position, std::uint64_t number);
  void schedule();
  Thread* pick();
  Thread* pick_lane(unsigned warp);
  unsigned pick_warp();
  bool wake_waiting();
  void enter(Thread& thread);
  void run_fresh();
  void finish(Thread& thread);
  void suspend(Thread& thread);
  void make_ready(Thread& thread);
  Meeting& find_meeting(const Group& group, const char* what, Site site, const Thread& self);
  void check_members(const Group& group, const char* what, Site site, const Thread& self);
  void close(std::vector<std::unique_ptr<Meeting>>& open, Meeting& meeting);
  std::vector<std::unique_ptr<Meeting>>& open_list(const Group& group, const Thread& self);
  [[noreturn]] void report_deadlock();
  void end_blocks();
  void tear_down();

  static void fiber_body();

  const Launch* launch_ = nullptr;
  std::vector<Thread> threads_;
  std::vector<Warp> warps_;
  std::vector<Block> blocks_;
  unsigned block_count_ = 0, thread_count_ = 0, warp_count_ = 0, alive_ = 0;
  unsigned current_warp_ = 0;
  Thread* next_ = nullptr;  // chosen, not yet entered
  std::vector<Thread*> polled_;
  std::vector<std::unique_ptr<Meeting>> cluster_open_;
  std::vector<std::unique_ptr<Meeting>> spare_meetings_;
  std::vector<std::unique_ptr<std::byte[]>> arenas_;
  FiberPool fibers_;
  AsyncEngine async_;
  std::exception_ptr error_;
  std::uint64_t random_ = 1;
};

// The thread that runs now; null on the host.
Thread* current_thread();
inline Gang& current_gang() { return *current_thread()->block->gang; }

// Throws an Error that begins with the kernel and the thread: "sim: kernel f, block (0,0,0), thread
// (5,0,0): TEXT, at FILE:LINE".
[[noreturn]] void fault(const std::string& text, const Site& site);
[[noreturn]] void fault(const Thread& thread, const std::string& text, const Site& site);
std::string to_text(const on_sim::uint3& index);
std::string describe(const Thread& thread);  // "thread (5,0,0) of block (0,0,0)"

template <class Condition>
void wait_until(const Condition& condition, const char* what, Site site) {
  if (skipped(site) || condition()) return;
  current_gang().block_on(
      [](const void* context) { return (*static_cast<const Condition*>(context))(); }, &condition,
      what, site);
}

// Each member brings an operand and takes it away as the meaning left it. The meaning sees the
// operands by the member's place in the group: its lane, or its rank in the warpgroup; those who
// are not there are null.
template <class Operand, class Meaning>
void collective(const Group& group, const char* what, Site site, Operand& operand,
                Meaning meaning) {
  current_gang().meet(
      group, what, site, &operand, true,
      [](void* context, std::span<void* const> operands) {
        Operand* typed[128];
        for (std::size_t i = 0; i < operands.size(); ++i) {
          typed[i] = static_cast<Operand*>(operands[i]);
        }
        (*static_cast<Meaning*>(context))(std::span<Operand* const>(typed, operands.size()));
      },
      &meaning);
}

// A barrier: nothing but the meeting. `wait` false: arrive, and go on.
void barrier(const Group& group, const char* what, Site site, bool wait = true);

}  // namespace convoy::sim
