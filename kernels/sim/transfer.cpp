// SPDX-License-Identifier: MIT
#include "kernels/sim/transfer.h"

#include <cstdint>
#include <cstring>

#include "kernels/require.h"
#include "kernels/sim/memory.h"

namespace convoy::sim {
namespace {

// Not cryptographic: it sees that a buffer was written again.
std::uint64_t checksum(const void* data, std::size_t bytes) {
  const auto* at = static_cast<const char*>(data);
  std::uint64_t sum = bytes;
  for (; bytes > 0;) {
    std::uint64_t word = 0;
    const std::size_t count = bytes < sizeof word ? bytes : sizeof word;
    std::memcpy(&word, at, count);
    sum = (sum ^ word) * 0x9E3779B97F4A7C15;
    sum ^= sum >> 29;
    at += count;
    bytes -= count;
  }
  return sum;
}

// True for host memory.
bool check_side(const char* op, const char* side, const void* memory, std::size_t bytes,
                const std::source_location& where) {
  const auto found = find(memory);
  if (!found && !is_simulated(memory)) return true;
  if (!found || !found->live || !found->holds(memory, bytes)) {
    throw_error(
        fmt::format(
            "{}: {} expects {} bytes within an allocation, found {}", op, side, bytes,
            found ? fmt::format("byte {} of {}", static_cast<const char*>(memory) - found->begin,
                                describe(*found))
                  : fmt::format("unknown pointer {}", memory)),
        ErrorKind::failure, where);
  }
  return found->kind == MemoryKind::pinned;
}

void tell_observer(const Transfer& t) {
  MemoryObserver* observer = memory_observer();
  if (observer == nullptr) return;
  if (t.recycles) return observer->unwritten(t.to, t.bytes);
  if (t.from == nullptr) return observer->filled(t.to, t.bytes);
  observer->copied(t.to, t.from, t.bytes);
}

}  // namespace

std::vector<Range> touched(const Transfer& t) {
  std::vector<Range> ranges;
  if (t.from != nullptr) ranges.push_back({static_cast<const char*>(t.from), t.bytes, false});
  ranges.push_back({static_cast<const char*>(t.to), t.bytes, true});
  return ranges;
}

Transfer checked_copy(void* to, const void* from, std::size_t bytes, std::source_location where) {
  Transfer copy{.to = to, .from = from, .bytes = bytes};
  copy.to_host = check_side("cudaMemcpyAsync", "destination", to, bytes, where);
  copy.from_host = check_side("cudaMemcpyAsync", "source", from, bytes, where);
  return copy;
}

Transfer checked_fill(void* to, int value, std::size_t bytes, std::source_location where) {
  Transfer fill{.to = to, .bytes = bytes, .value = value};
  fill.to_host = check_side("cudaMemsetAsync", "destination", to, bytes, where);
  return fill;
}

std::string describe(const Transfer& t) {
  const char* to = t.to_host ? "host" : "device";
  if (t.recycles) return fmt::format("the release of a block of {} bytes", t.bytes);
  if (t.from == nullptr) return fmt::format("fill of {} bytes on the {}", t.bytes, to);
  return fmt::format("copy of {} bytes from {} to {}", t.bytes, t.from_host ? "host" : "device",
                     to);
}

std::function<void()> transfer_work(const Transfer& transfer, bool watch_source,
                                    const std::string& what, std::source_location where) {
  if (transfer.from == nullptr) {
    return [transfer] {
      std::memset(transfer.to, transfer.value, transfer.bytes);
      tell_observer(transfer);
    };
  }
  const std::uint64_t sum = watch_source ? checksum(transfer.from, transfer.bytes) : 0;
  return [transfer, watch_source, sum, what, where] {
    if (watch_source && checksum(transfer.from, transfer.bytes) != sum) {
      throw_error(fmt::format("{}: a host buffer was reused before its copy ended: it changed "
                              "between the call and the copy; wait for an event recorded after "
                              "the copy before writing to it",
                              what),
                  ErrorKind::failure, where);
    }
    std::memmove(transfer.to, transfer.from, transfer.bytes);
    tell_observer(transfer);
  };
}

}  // namespace convoy::sim
