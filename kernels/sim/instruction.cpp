// SPDX-License-Identifier: MIT
#include "kernels/sim/instruction.h"

#include <cstring>
#include <string>

#include "kernels/sim/shared_memory.h"

namespace convoy::sim {
namespace {

constexpr int kPoison = 0xff;

// The checked place of an operand in the caller's own shared memory.
std::byte* own_place(const char* what, const void* place, std::size_t bytes, const Site& site) {
  const Block& block = *current_thread()->block;
  const auto* at = static_cast<const std::byte*>(place);
  if (at < block.shared || at + bytes > block.shared + block.shared_bytes) {
    fault(std::string(what) + ": expects " + std::to_string(bytes) +
              " bytes of the block's shared memory, found an address outside of it",
          site);
  }
  if ((at - block.shared) % static_cast<std::ptrdiff_t>(bytes) != 0) {
    fault(std::string(what) + ": expects a shared address that is a multiple of " +
              std::to_string(bytes) + ", found offset " + std::to_string(at - block.shared),
          site);
  }
  return block.shared + (at - block.shared);
}

}  // namespace

void expect(bool holds, const char* text, std::int64_t found, const Site& site) {
  if (!holds) fault(std::string(text) + ", found " + std::to_string(found), site);
}

void read_shared(const char* what, const void* from, std::size_t bytes, void* to,
                 const Site& site) {
  const std::byte* place = own_place(what, from, bytes, site);
  if constexpr (access::kEnabled) access::read(*current_thread(), place, bytes, site);
  std::memcpy(to, place, bytes);
}

void write_shared(const char* what, void* to, std::size_t bytes, const void* from,
                  const Site& site) {
  std::byte* place = own_place(what, to, bytes, site);
  if constexpr (access::kEnabled) access::write(*current_thread(), place, bytes, site);
  std::memcpy(place, from, bytes);
}

void read_vector(const void* from, std::size_t bytes, void* to, const Site& site) {
  if constexpr (access::kEnabled) access::read(*current_thread(), from, bytes, site);
  std::memcpy(to, from, bytes);
}

void write_vector(void* to, std::size_t bytes, const void* from, const Site& site) {
  if constexpr (access::kEnabled) access::write(*current_thread(), to, bytes, site);
  std::memcpy(to, from, bytes);
}

void note_multiply_adds([[maybe_unused]] std::uint64_t count) {
  if constexpr (access::kEnabled) access::multiply_adds(count);
}

void copy_async(void* to, const void* from, std::size_t bytes, std::size_t source_bytes,
                const Site& site) {
  std::byte* place = own_place("cp.async", to, bytes, site);
  expect(source_bytes <= bytes, "cp.async: expects no more source bytes than it writes",
         static_cast<std::int64_t>(source_bytes), site);
  expect(reinterpret_cast<std::uintptr_t>(from) % bytes == 0,
         "cp.async: expects a global address that is a multiple of its bytes, remainder",
         static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(from) % bytes), site);
  std::memset(place, kPoison, bytes);
  Thread& self = *current_thread();
  const Ticket ticket = current_gang().async().submit(
      {.what = "cp.async", .site = site, .issuer = &self}, [=](const AsyncWork& work) {
        if constexpr (access::kEnabled) {
          access::work_reads(work.ticket, from, source_bytes, work.site);
        }
        if (source_bytes > 0) std::memcpy(place, from, source_bytes);
        std::memset(place + source_bytes, 0, bytes - source_bytes);
      });
  if constexpr (access::kEnabled) access::work_writes(ticket, place, bytes, site);
  self.copies.add(ticket, site);
}

void wait_for_groups(WorkGroups Thread::*groups, std::uint32_t keep, const Site& site) {
  if (skipped(site)) return;
  Thread& self = *current_thread();
  for (const Ticket ticket : (self.*groups).take_all_but(keep)) {
    current_gang().async().complete(ticket);
    if constexpr (access::kEnabled) access::work_joins(self, ticket);
  }
}

void set_registers(std::uint32_t count, bool increase, const Site& site) {
  constexpr unsigned kThreads = 128;
  const Thread& self = *current_thread();
  RegisterPool& pool = self.block->registers;
  std::uint32_t& held = pool.of_warpgroup[self.rank / kThreads];
  expect(count % 8 == 0 && count >= 24 && count <= 256,
         "setmaxnreg: expects a multiple of 8 from 24 to 256", count, site);
  expect(self.block->threads % kThreads == 0, "setmaxnreg: expects whole warpgroups, threads",
         self.block->threads, site);
  bool raise = increase;
  collective(warpgroup(), "setmaxnreg", site, raise, [&](auto) {
    expect(increase ? count >= held : count <= held,
           increase ? "setmaxnreg.inc: expects no fewer registers than the warps hold"
                    : "setmaxnreg.dec: expects no more registers than the warps hold",
           count, site);
    if (increase) return;
    pool.free += (held - count) * kThreads;
    held = count;
  });
  const auto taken = [&, count] {
    if (held == count) return true;
    const std::uint32_t more = (count - held) * kThreads;
    if (more > pool.free) return false;
    pool.free -= more;
    held = count;
    return true;
  };
  if (taken()) return;
  // Not by wait_until: there is nothing that a mutant could leave out.
  current_gang().block_on(
      [](const void* context) { return (*static_cast<const decltype(taken)*>(context))(); }, &taken,
      "registers that other warps of the block give back", site);
}

}  // namespace convoy::sim
