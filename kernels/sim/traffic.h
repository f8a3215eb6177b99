// SPDX-License-Identifier: MIT
#pragma once
// What kernels move and multiply, counted in the preset simcheck from the access hooks (access.h).
//
//   sim::TrafficLog log;                       // counts the launches that run while it lives
//   run(op, ...);
//   EXPECT_LE(log.total().moved(), least);
//   for (const sim::Traffic& t : log.by_kernel()) fmt::print("{} {}\n", t.kernel, t.moved());
//
// Counted: every load, store and atomic of a lane in global memory (an atomic reads and writes),
// cp.async, bulk and TMA copies (a TMA load is an access per row of its box, a store one per 16
// bytes; a multicast load counts for each block that gets it), and the multiply-adds of mma and
// wgmma. Not counted: shared memory, stacks, parameters, and scalar arithmetic.

#include <cstdint>
#include <string>
#include <vector>

namespace convoy::sim {

struct Traffic {
  std::string kernel;  // "softmax_row<float>"; of a sum over different ones empty
  std::uint64_t launches = 0;

  // Different bytes of global memory that each launch read, and wrote: what is left for DRAM by a
  // cache that holds all of a launch and nothing from launch to launch.
  std::uint64_t read = 0, written = 0;
  std::uint64_t moved() const { return read + written; }

  // What the lanes asked for, each time they did.
  std::uint64_t requested_read = 0, requested_written = 0;
  std::uint64_t requested() const { return requested_read + requested_written; }
  std::uint64_t accesses = 0;  // so many loads and stores, one a lane
  double mean_width() const {  // bytes
    return accesses == 0 ? 0 : static_cast<double>(requested()) / static_cast<double>(accesses);
  }

  // A request is what the lanes of a warp do at one place in the code, the n-th time that each of
  // them comes there; it touches sectors of 32 bytes. An asynchronous copy is a request.
  std::uint64_t requests = 0, sectors = 0;

  std::uint64_t multiply_adds = 0;

  Traffic& operator+=(const Traffic& other);
};

class TrafficLog {
 public:
  TrafficLog();  // throws where there is one already
  ~TrafficLog();
  TrafficLog(const TrafficLog&) = delete;
  TrafficLog& operator=(const TrafficLog&) = delete;

  std::vector<Traffic> launches() const;   // in the order in which they ran
  std::vector<Traffic> by_kernel() const;  // summed, in the order of their first launches
  Traffic total() const;                   // needs no names, which take long to find
  // What all launches asked for in an array that begins at a multiple of 64 bytes and has its last
  // 64 to itself: only requested_read, requested_written and accesses.
  Traffic requests_in(const void* begin, std::size_t bytes) const;
};

}  // namespace convoy::sim
