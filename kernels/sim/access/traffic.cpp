// SPDX-License-Identifier: MIT
#include "kernels/sim/access/traffic.h"

#include <algorithm>
#include <bit>
#include <functional>
#include <unordered_map>

#include "kernels/require.h"
#include "kernels/sim/access/symbols.h"
#include "kernels/sim/scheduler.h"
#include "kernels/sim/traffic.h"

namespace convoy::sim {
namespace access {

constinit bool counts_traffic = false;

namespace {

constexpr std::uintptr_t kLine = 64, kSector = 32;

// Bytes of one line: a bit each.
struct Touched {
  std::uint64_t read = 0, written = 0;
};

struct Counted {
  const void* kernel;
  Traffic traffic;
};

std::vector<Counted> counted;  // the last one is of the launch that runs
std::unordered_map<std::uintptr_t, Touched> lines;

struct Asked {
  std::uint64_t read = 0, written = 0, accesses = 0;
};
std::unordered_map<std::uintptr_t, Asked> asked;  // of a line, by all launches

// ---- requests of warps ----

struct Key {
  std::uint64_t actor, place;  // block and lane or warp; where, and after how many visits
  bool operator==(const Key&) const = default;
};
struct HashKey {
  std::size_t operator()(const Key& key) const {
    return std::hash<std::uint64_t>()(key.actor * 0x9e3779b97f4a7c15u ^ key.place);
  }
};
std::unordered_map<Key, std::uint32_t, HashKey> visits;  // of a lane to a place
std::unordered_map<Key, std::vector<std::uintptr_t>, HashKey> requests;

std::uint64_t of_block(const Actor& actor, std::uint64_t rest) {
  return std::uint64_t{actor.block} << 32 | rest;
}

// A warp's few are searched; an asynchronous copy's follow each other.
bool holds(const std::vector<std::uintptr_t>& sectors, std::uintptr_t sector, bool ordered) {
  if (ordered) return !sectors.empty() && sectors.back() == sector;
  return std::find(sectors.begin(), sectors.end(), sector) != sectors.end();
}

void count_request(const Access& access) {
  Traffic& traffic = counted.back().traffic;
  const Actor& actor = access.actor;
  const bool is_work = actor.slot >= kWorkSlot;
  const std::uint32_t time =
      is_work ? actor.now : visits[{of_block(actor, actor.slot), access.where}]++;
  const std::uint32_t who = is_work ? actor.slot : actor.slot / kWarpSize;
  const std::uint64_t place = std::uint64_t{time} << 32 | access.where;
  const auto [at, is_new] = requests.try_emplace({of_block(actor, who), place});
  traffic.requests += is_new;
  std::vector<std::uintptr_t>& sectors = at->second;
  const auto begin = reinterpret_cast<std::uintptr_t>(access.address);
  for (auto sector = begin / kSector; sector * kSector < begin + access.bytes; ++sector) {
    if (holds(sectors, sector, is_work)) continue;
    sectors.push_back(sector);
    ++traffic.sectors;
  }
}

// ---- different bytes ----

void touch(const Access& access) {
  const auto begin = reinterpret_cast<std::uintptr_t>(access.address), end = begin + access.bytes;
  for (auto at = begin; at < end;) {
    const auto next = std::min(end, (at / kLine + 1) * kLine);
    const std::uint64_t bits = (next - at == kLine ? 0 : std::uint64_t{1} << (next - at)) - 1;
    Touched& line = lines[at / kLine];
    Asked& of_line = asked[at / kLine];
    of_line.accesses += at == begin;
    if (reads(access.kind)) {
      line.read |= bits << at % kLine;
      of_line.read += next - at;
    }
    if (writes(access.kind)) {
      line.written |= bits << at % kLine;
      of_line.written += next - at;
    }
    at = next;
  }
}

void sum_touched() {
  if (counted.empty()) return;
  Traffic& traffic = counted.back().traffic;
  for (const auto& [at, line] : lines) {
    traffic.read += static_cast<std::uint64_t>(std::popcount(line.read));
    traffic.written += static_cast<std::uint64_t>(std::popcount(line.written));
  }
  lines.clear();
}

}  // namespace

void count_launch(const void* kernel) {
  counted.push_back({kernel, {}});
  counted.back().traffic.launches = 1;
}

void count_cluster() {
  visits.clear();
  requests.clear();
}

void count_access(const Access& access) {
  if (counted.empty()) return;
  Traffic& traffic = counted.back().traffic;
  ++traffic.accesses;
  if (reads(access.kind)) traffic.requested_read += access.bytes;
  if (writes(access.kind)) traffic.requested_written += access.bytes;
  touch(access);
  count_request(access);
}

void count_end() {
  sum_touched();
  count_cluster();
}

void multiply_adds(std::uint64_t count) {
  if (counts_traffic && !counted.empty()) counted.back().traffic.multiply_adds += count;
}

}  // namespace access

Traffic& Traffic::operator+=(const Traffic& other) {
  if (kernel != other.kernel) kernel.clear();
  launches += other.launches;
  read += other.read;
  written += other.written;
  requested_read += other.requested_read;
  requested_written += other.requested_written;
  accesses += other.accesses;
  requests += other.requests;
  sectors += other.sectors;
  multiply_adds += other.multiply_adds;
  return *this;
}

TrafficLog::TrafficLog() {
  require(!access::counts_traffic, "traffic: expects one log at a time, found another");
  access::counts_traffic = true;
}

TrafficLog::~TrafficLog() {
  access::counts_traffic = false;
  access::counted.clear();
  access::asked.clear();
}

Traffic TrafficLog::requests_in(const void* begin, std::size_t bytes) const {
  Traffic sum;
  const auto first = reinterpret_cast<std::uintptr_t>(begin);
  require(first % access::kLine == 0,
          "traffic: expects an array at a multiple of {} bytes, found {}", access::kLine, first);
  for (auto line = first / access::kLine; line * access::kLine < first + bytes; ++line) {
    const auto at = access::asked.find(line);
    if (at == access::asked.end()) continue;
    sum.requested_read += at->second.read;
    sum.requested_written += at->second.written;
    sum.accesses += at->second.accesses;
  }
  return sum;
}

std::vector<Traffic> TrafficLog::launches() const {
  std::vector<Traffic> result;
  for (const access::Counted& launch : access::counted) {
    result.push_back(launch.traffic);
    result.back().kernel = access::function_name(launch.kernel);
  }
  return result;
}

std::vector<Traffic> TrafficLog::by_kernel() const {
  std::vector<Traffic> result;
  for (const Traffic& launch : launches()) {
    const auto same = [&](const Traffic& t) { return t.kernel == launch.kernel; };
    const auto at = std::find_if(result.begin(), result.end(), same);
    if (at == result.end()) {
      result.push_back(launch);
    } else {
      *at += launch;
    }
  }
  return result;
}

Traffic TrafficLog::total() const {
  Traffic sum;
  for (const access::Counted& launch : access::counted) sum += launch.traffic;
  return sum;
}

}  // namespace convoy::sim
