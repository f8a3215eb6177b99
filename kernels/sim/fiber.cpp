// SPDX-License-Identifier: MIT
#include "kernels/sim/fiber.h"

#include <boost/context/protected_fixedsize_stack.hpp>
#include <utility>

#include "kernels/sim/access.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#endif

namespace convoy::sim {
namespace {

#ifdef __SANITIZE_ADDRESS__
thread_local const void* caller_stack = nullptr;
thread_local std::size_t caller_bytes = 0;

void leave(void** keep, const void* stack, std::size_t bytes) {
  __sanitizer_start_switch_fiber(keep, stack, bytes);
}
void arrive(void* kept) { __sanitizer_finish_switch_fiber(kept, nullptr, nullptr); }
void arrive_from_caller(void* kept) {
  __sanitizer_finish_switch_fiber(kept, &caller_stack, &caller_bytes);
}
#else
constexpr const void* caller_stack = nullptr;
constexpr std::size_t caller_bytes = 0;
void leave(void**, const void*, std::size_t) {}
void arrive(void*) {}
void arrive_from_caller(void*) {}
#endif

// The last thing on a fiber's stack before it goes for good.
struct Leaving {
  ~Leaving() { leave(nullptr, caller_stack, caller_bytes); }
};

// Remembers where the stack lies.
using GuardedStack = boost::context::protected_fixedsize_stack;
struct Stack : GuardedStack {
  std::span<const char>* place;
  explicit Stack(std::span<const char>* where) : GuardedStack(kStackBytes), place(where) {}
  boost::context::stack_context allocate() {
    const auto stack = GuardedStack::allocate();
    *place = {static_cast<const char*>(stack.sp) - stack.size, stack.size};
    if constexpr (access::kEnabled) access::stack_made(place->data(), place->size());
    return stack;
  }
};

}  // namespace

Fiber::Fiber(void (*body)())
    : context_(std::allocator_arg, Stack(&stack_), [this, body](boost::context::fiber&& caller) {
        arrive_from_caller(nullptr);
        const Leaving leaving;
        caller_ = std::move(caller);
        body();
        return std::move(caller_);
      }) {}

Fiber::~Fiber() {
  void* kept = nullptr;
  if (context_) leave(&kept, stack_.data(), stack_.size());
  context_ = {};
  arrive(kept);
}

void Fiber::resume() {
  void* kept = nullptr;
  leave(&kept, stack_.data(), stack_.size());
  context_ = std::move(context_).resume();
  arrive(kept);
}

void Fiber::suspend() {
  void* kept = nullptr;
  leave(&kept, caller_stack, caller_bytes);
  try {
    caller_ = std::move(caller_).resume();
  } catch (const boost::context::detail::forced_unwind&) {
    arrive_from_caller(kept);
    throw;
  }
  arrive_from_caller(kept);
}

std::unique_ptr<Fiber> FiberPool::take(void (*body)()) {
  if (idle_.empty()) return std::make_unique<Fiber>(body);
  auto fiber = std::move(idle_.back());
  idle_.pop_back();
  return fiber;
}

}  // namespace convoy::sim
