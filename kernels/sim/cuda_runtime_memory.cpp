// SPDX-License-Identifier: MIT
// Memory of the stand-in for the CUDA runtime: allocation, copies, fills, recycled blocks.
#include "kernels/require.h"
#include "kernels/sim/memory.h"
#include "kernels/sim/runtime_state.h"

namespace convoy::on_sim {
namespace {

// The first that ends behind an address.
ReleasedBlocks::iterator first_behind(ReleasedBlocks& released, char* address) {
  const auto after = released.upper_bound(address);
  if (after == released.begin()) return after;
  const auto before = std::prev(after);
  return before->first + before->second.bytes > address ? before : after;
}

// Of blocks that reach out of the range the rest is kept.
void forget(ReleasedBlocks& released, char* begin, std::size_t bytes) {
  char* const end = begin + bytes;
  const auto keep = [&](char* from, char* to, ReleasedBlock block) {
    if (from >= to) return;
    block.bytes = static_cast<std::size_t>(to - from);
    released.emplace(from, std::move(block));
  };
  for (auto at = first_behind(released, begin); at != released.end() && at->first < end;) {
    const auto [first, block] = *at;
    at = released.erase(at);
    keep(first, begin, block);
    keep(end, first + block.bytes, block);
  }
}

// What was taken back in a capture is that graph's own; outside of it nothing is known.
bool comes_after(RuntimeState& s, const SimStream& stream, const ReleasedBlock& before) {
  if (before.capture == nullptr) {
    return s.streams.ordered_before_next(before.at, stream.number);
  }
  return before.capture != stream.capture ||
         before.capture->ordered_before_next(before.at, stream.lane);
}

void check_kind(const sim::Transfer& copy, cudaMemcpyKind kind, const Where& where) {
  if (kind == cudaMemcpyDefault) return;
  const bool from_host = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyHostToHost;
  const bool to_host = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyHostToHost;
  if (from_host == copy.from_host && to_host == copy.to_host) return;
  fault(fmt::format("cudaMemcpyAsync: expects the direction {} to {}, found a {}",
                    from_host ? "host" : "device", to_host ? "host" : "device", describe(copy)),
        where);
}

void add_transfer(RuntimeState& s, SimStream& stream, const sim::Transfer& transfer,
                  const Where& where) {
  s.add(stream, {describe(transfer), where, {}, transfer});
}

}  // namespace

cudaError_t cudaMalloc(void** memory, std::size_t bytes, Where where) {
  RuntimeState& s = state();
  const std::lock_guard lock(s.mutex);
  if (answer(s) != cudaSuccess) return answer(s);
  s.forbid_during_capture("cudaMalloc", where);
  *memory = bytes == 0 ? nullptr : sim::allocate(bytes, sim::MemoryKind::device, where);
  if (bytes == 0) return cudaSuccess;
  if (*memory == nullptr) return cudaErrorMemoryAllocation;
  if (auto* observer = sim::memory_observer()) observer->unwritten(*memory, bytes);
  return cudaSuccess;
}

cudaError_t cudaFree(void* memory, Where where) {
  if (memory == nullptr) return cudaSuccess;
  RuntimeState& s = state();
  const std::lock_guard lock(s.mutex);
  if (answer(s) != cudaSuccess) return answer(s);
  s.forbid_during_capture("cudaFree", where);
  s.streams.wait_for_all();
  const auto allocation = sim::find(memory);
  sim::release(memory, sim::MemoryKind::device, where);
  forget(s.released, allocation->begin, allocation->bytes);
  if (auto* observer = sim::memory_observer()) observer->released(memory, allocation->bytes);
  return cudaSuccess;
}

cudaError_t cudaMallocHost(void** memory, std::size_t bytes, Where where) {
  RuntimeState& s = state();
  const std::lock_guard lock(s.mutex);
  if (answer(s) != cudaSuccess) return answer(s);
  s.forbid_during_capture("cudaMallocHost", where);
  *memory = bytes == 0 ? nullptr : sim::allocate(bytes, sim::MemoryKind::pinned, where);
  return bytes == 0 || *memory != nullptr ? cudaSuccess : cudaErrorMemoryAllocation;
}

cudaError_t cudaFreeHost(void* memory, Where where) {
  if (memory == nullptr) return cudaSuccess;
  RuntimeState& s = state();
  const std::lock_guard lock(s.mutex);
  if (answer(s) != cudaSuccess) return answer(s);
  s.forbid_during_capture("cudaFreeHost", where);
  const auto allocation = sim::find(memory);
  if (allocation && allocation->live) {
    if (const auto user = s.streams.user_of(allocation->begin, allocation->bytes)) {
      fault(fmt::format("cudaFreeHost: a host buffer was freed before its copy ended: {}; wait "
                        "for an event recorded after the copy",
                        describe(*user)),
            where);
    }
  }
  sim::release(memory, sim::MemoryKind::pinned, where);
  return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t handle, Where where) {
  RuntimeState& s = state();
  const std::lock_guard lock(s.mutex);
  if (answer(s) != cudaSuccess) return answer(s);
  SimStream& stream = s.stream(handle, "cudaMemcpyAsync", where);
  if (bytes == 0) return cudaSuccess;
  if (to == nullptr || from == nullptr) return cudaErrorInvalidValue;
  const sim::Transfer copy = sim::checked_copy(to, from, bytes, where);
  check_kind(copy, kind, where);
  add_transfer(s, stream, copy, where);
  return cudaSuccess;
}

cudaError_t cudaMemsetAsync(void* memory, int value, std::size_t bytes, cudaStream_t handle,
                            Where where) {
  RuntimeState& s = state();
  const std::lock_guard lock(s.mutex);
  if (answer(s) != cudaSuccess) return answer(s);
  SimStream& stream = s.stream(handle, "cudaMemsetAsync", where);
  if (bytes == 0) return cudaSuccess;
  if (memory == nullptr) return cudaErrorInvalidValue;
  add_transfer(s, stream, sim::checked_fill(memory, value, bytes, where), where);
  return cudaSuccess;
}

void note_block_released(void* block, std::size_t bytes, cudaStream_t handle, Where where) {
  RuntimeState& s = state();
  const std::lock_guard lock(s.mutex);
  SimStream& stream = s.stream(handle, "allocator", where);
  sim::Transfer poison = sim::checked_fill(block, sim::kPoison, bytes, where);
  poison.recycles = true;
  const sim::Mark mark = s.add(stream, {describe(poison), where, {}, poison});
  forget(s.released, static_cast<char*>(block), bytes);
  s.released.emplace(static_cast<char*>(block),
                     ReleasedBlock{bytes, mark.at, stream.capture, where, stream.number});
}

void note_block_reused(void* block, std::size_t bytes, cudaStream_t handle, Where where) {
  RuntimeState& s = state();
  const std::lock_guard lock(s.mutex);
  const SimStream& stream = s.stream(handle, "allocator", where);
  char* const begin = static_cast<char*>(block);
  // The allocator cuts and joins: this block may lie in several that were given back.
  for (auto at = first_behind(s.released, begin);
       at != s.released.end() && at->first < begin + bytes; ++at) {
    const ReleasedBlock& before = at->second;
    if (comes_after(s, stream, before)) continue;
    fault(fmt::format("allocator: a block recycled across streams: {} bytes given back on stream "
                      "{} at {} are handed out on stream {}, which has not waited for it; let an "
                      "event recorded after the release pass first",
                      before.bytes, before.stream, sim::place(before.where), stream.number),
          where);
  }
  forget(s.released, begin, bytes);
}

}  // namespace convoy::on_sim
