// SPDX-License-Identifier: MIT
#pragma once
// A stack of its own that can be left and entered again (Boost.Context), for one thread of a
// kernel. It never leaves the thread of the machine that made it.
//
//   Fiber fiber(run);        // run() is called on the first resume, and must never return
//   fiber.resume();          // until run() calls Fiber::suspend()

#include <boost/context/fiber.hpp>
#include <cstddef>
#include <memory>
#include <span>
#include <vector>

namespace convoy::sim {

inline constexpr std::size_t kStackBytes = std::size_t{256} << 10;

class Fiber {
 public:
  explicit Fiber(void (*body)());
  // A suspended fiber is unwound: destructors on its stack run.
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  void resume();
  // Back to whoever called resume; called on the fiber.
  void suspend();

 private:
  // For AddressSanitizer, which must be told of every switch. Set while context_ is made.
  std::span<const char> stack_;
  boost::context::fiber context_;
  boost::context::fiber caller_;
};

// Idle fibers of this thread of the machine: a stack is expensive, a switch is not.
class FiberPool {
 public:
  std::unique_ptr<Fiber> take(void (*body)());
  void give(std::unique_ptr<Fiber> fiber) { idle_.push_back(std::move(fiber)); }

 private:
  std::vector<std::unique_ptr<Fiber>> idle_;
};

}  // namespace convoy::sim
