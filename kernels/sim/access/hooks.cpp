// SPDX-License-Identifier: MIT
// The other end of g++'s -fsanitize=thread,alignment and of its checks of integer arithmetic: what
// it calls for each load and store of a kernel, for each pointer that is not a multiple of its
// type's alignment, and for each result that C++ does not define. No sanitizer's library is linked.
#include <atomic>
#include <cstdint>
#include <cstring>

#include "kernels/sim/access/detector.h"
#include "kernels/sim/access/report.h"
#include "kernels/sim/access/symbols.h"
#include "kernels/sim/access/sync.h"

using convoy::sim::access::Actor;
using convoy::sim::access::Kind;

namespace convoy::sim::access {
namespace {

// The instruction before the return address is the call that stands for the access.
inline std::uint32_t caller(const void* return_address) { return where_of(return_address) - 1; }

[[gnu::noinline]] void observe(Actor& actor, const void* address, std::size_t bytes, Kind kind,
                               const void* return_address) {
  check({actor, static_cast<const char*>(address), bytes, kind, caller(return_address), true});
}

inline void hook(const void* address, std::size_t bytes, Kind kind, const void* return_address) {
  if (Actor* actor = running) observe(*actor, address, bytes, kind, return_address);
}

bool acquires(int order) {
  return order == __ATOMIC_ACQUIRE || order == __ATOMIC_ACQ_REL || order == __ATOMIC_SEQ_CST;
}
bool releases(int order) {
  return order == __ATOMIC_RELEASE || order == __ATOMIC_ACQ_REL || order == __ATOMIC_SEQ_CST;
}

inline void hook_atomic(const volatile void* address, std::size_t bytes, Kind kind, int order,
                        const void* return_address) {
  Actor* actor = running;
  if (actor == nullptr) return;
  const auto* object = const_cast<const void*>(address);
  observe(*actor, object, bytes, kind, return_address);
  if (kind != Kind::atomic_write) atomic_reads(object, *actor, acquires(order));
  if (kind != Kind::atomic_read) atomic_writes(object, *actor, releases(order));
}

// As the compiler lays them out for its library; what it tells of other faults starts with the
// place.
struct Place {
  const char* file;
  std::uint32_t line, column;
};
struct TypeMismatch {
  Place place;
  const void* type;
  unsigned char log_alignment, kind;
};

void hook_misaligned(const TypeMismatch& found, const void* address) {
  Actor* actor = running;
  if (actor == nullptr) return;
  const std::size_t alignment = std::size_t{1} << found.log_alignment;
  report_misaligned({*actor, static_cast<const char*>(address), alignment, Kind::read, 0, true},
                    alignment, {found.place.file, "", found.place.line, found.place.column});
}

void hook_undefined(const Place& place, const char* what) {
  Actor* actor = running;
  if (actor == nullptr) return;
  report_undefined(*actor, what, {place.file, "", place.line, place.column});
}

}  // namespace
}  // namespace convoy::sim::access

#define RETURN_ADDRESS __builtin_return_address(0)
using convoy::sim::access::hook;
using convoy::sim::access::hook_atomic;
using convoy::sim::access::hook_undefined;
using convoy::sim::access::Place;

extern "C" {

void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void*, void*) {}
void __tsan_vptr_read(void*) {}
void __tsan_atomic_thread_fence(int) {}
void __tsan_atomic_signal_fence(int) {}

#define ACCESS(name, bytes, kind) \
  void __tsan_##name(void* address) { hook(address, bytes, Kind::kind, RETURN_ADDRESS); }
#define ACCESSES(bytes)                       \
  ACCESS(read##bytes, bytes, read)            \
  ACCESS(write##bytes, bytes, write)          \
  ACCESS(volatile_read##bytes, bytes, read)   \
  ACCESS(volatile_write##bytes, bytes, write) \
  ACCESS(unaligned_read##bytes, bytes, read)  \
  ACCESS(unaligned_write##bytes, bytes, write)
ACCESSES(1)
ACCESSES(2)
ACCESSES(4)
ACCESSES(8)
ACCESSES(16)

void __tsan_read_range(void* address, std::size_t bytes) {
  hook(address, bytes, Kind::read, RETURN_ADDRESS);
}
void __tsan_write_range(void* address, std::size_t bytes) {
  hook(address, bytes, Kind::write, RETURN_ADDRESS);
}

// The atomics themselves are done here: the compiler left them out.
#define ATOMIC_UPDATE(bits, T, name)                                           \
  T __tsan_atomic##bits##_##name(volatile T* place, T value, int order) {      \
    hook_atomic(place, sizeof(T), Kind::atomic_update, order, RETURN_ADDRESS); \
    return __atomic_##name(place, value, __ATOMIC_SEQ_CST);                    \
  }
#define ATOMIC_CAS(bits, T, sort, weak)                                                      \
  int __tsan_atomic##bits##_compare_exchange_##sort(volatile T* place, T* expected, T value, \
                                                    int order, int) {                        \
    hook_atomic(place, sizeof(T), Kind::atomic_update, order, RETURN_ADDRESS);               \
    return __atomic_compare_exchange_n(place, expected, value, weak, __ATOMIC_SEQ_CST,       \
                                       __ATOMIC_SEQ_CST);                                    \
  }
#define ATOMICS(bits, T)                                                       \
  T __tsan_atomic##bits##_load(const volatile T* place, int order) {           \
    hook_atomic(place, sizeof(T), Kind::atomic_read, order, RETURN_ADDRESS);   \
    return __atomic_load_n(place, __ATOMIC_SEQ_CST);                           \
  }                                                                            \
  void __tsan_atomic##bits##_store(volatile T* place, T value, int order) {    \
    hook_atomic(place, sizeof(T), Kind::atomic_write, order, RETURN_ADDRESS);  \
    __atomic_store_n(place, value, __ATOMIC_SEQ_CST);                          \
  }                                                                            \
  T __tsan_atomic##bits##_exchange(volatile T* place, T value, int order) {    \
    hook_atomic(place, sizeof(T), Kind::atomic_update, order, RETURN_ADDRESS); \
    return __atomic_exchange_n(place, value, __ATOMIC_SEQ_CST);                \
  }                                                                            \
  ATOMIC_UPDATE(bits, T, fetch_add)                                            \
  ATOMIC_UPDATE(bits, T, fetch_sub)                                            \
  ATOMIC_UPDATE(bits, T, fetch_and)                                            \
  ATOMIC_UPDATE(bits, T, fetch_or)                                             \
  ATOMIC_UPDATE(bits, T, fetch_xor)                                            \
  ATOMIC_CAS(bits, T, strong, false)                                           \
  ATOMIC_CAS(bits, T, weak, true)
ATOMICS(8, std::uint8_t)
ATOMICS(16, std::uint16_t)
ATOMICS(32, std::uint32_t)
ATOMICS(64, std::uint64_t)

void __ubsan_handle_type_mismatch_v1(void* data, std::uintptr_t address) {
  convoy::sim::access::hook_misaligned(*static_cast<const convoy::sim::access::TypeMismatch*>(data),
                                       reinterpret_cast<const void*>(address));
}

#define UNDEFINED(name, what)                                              \
  void __ubsan_handle_##name(void* data, std::uintptr_t, std::uintptr_t) { \
    hook_undefined(*static_cast<const Place*>(data), what);                \
  }
UNDEFINED(add_overflow, "a sum that its signed type does not hold")
UNDEFINED(sub_overflow, "a difference that its signed type does not hold")
UNDEFINED(mul_overflow, "a product that its signed type does not hold")
UNDEFINED(divrem_overflow, "a division by zero, or of the least number by -1")
UNDEFINED(shift_out_of_bounds, "a shift by less than zero or by all bits of its type, or of a sign")
void __ubsan_handle_negate_overflow(void* data, std::uintptr_t) {
  hook_undefined(*static_cast<const Place*>(data), "the negative of the least number");
}

}  // extern "C"
