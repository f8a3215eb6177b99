// SPDX-License-Identifier: MIT
#include "tests/kernels/ptx/counts.h"

#include <cxxabi.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "tests/kernels/ptx/addresses.h"
#include "tests/kernels/ptx/text.h"

namespace convoy::ptx {
namespace {

constexpr Word kBank = 4, kBanks = 32, kSector = 32;

using Places = std::vector<Word>;  // bytes, each the first of as many

Places different(Places places) {
  std::sort(places.begin(), places.end());
  places.erase(std::unique(places.begin(), places.end()), places.end());
  return places;
}

// The units of so many bytes that an access touches.
Places units_of(const Places& places, Word bytes, Word unit) {
  Places units;
  for (const Word place : places) {
    for (Word at = place / unit; at * unit < place + bytes; ++at) units.push_back(at);
  }
  return different(units);
}

std::uint64_t turns_of(const Places& places, Word bytes) {
  std::uint64_t in_bank[kBanks] = {};
  for (const Word word : units_of(places, bytes, kBank)) ++in_bank[word % kBanks];
  return std::max<std::uint64_t>(1, *std::max_element(in_bank, in_bank + kBanks));
}

// Lanes that are served together: those of 128 bytes.
void add_shared(Tally& tally, Warp& w, const Instruction& i, const Access& a, std::uint32_t lanes) {
  const int together = static_cast<int>(kBank * kBanks / std::max<Word>(a.bytes, kBank));
  for (int first = 0; first < a.lanes; first += together) {
    Places places;
    for (int l = first; l < std::min(first + together, a.lanes); ++l) {
      if ((lanes >> l & 1) == 0) continue;
      const Word address = w.r(i.operands[a.operand])[l] + static_cast<Word>(a.offset);
      places.push_back(address & kOffsetMask);
    }
    if (places.empty()) continue;
    ++tally.parts;
    tally.turns += turns_of(places, a.bytes);
  }
}

void add_global(Tally& tally, Warp& w, const Instruction& i, const Access& a, std::uint32_t lanes) {
  Places places;
  for_lanes(lanes, [&](int l) {
    places.push_back(w.r(i.operands[a.operand])[l] + static_cast<Word>(a.offset));
  });
  tally.sectors += units_of(places, a.bytes, kSector).size();
  tally.least_sectors += rounded_up(different(places).size() * a.bytes, kSector) / kSector;
}

Space space_at(Warp& w, const Instruction& i, const Access& a, std::uint32_t lanes) {
  if (a.space != Space::generic) return a.space;
  const Word address = common(w, i, a.operand, lanes);
  if ((address & kSharedWindow) != 0) return Space::shared;
  return (address & kLocalWindow) != 0 ? Space::local : Space::global;
}

std::uint64_t to_save(const Tally& t) { return t.turns - t.parts + t.sectors - t.least_sectors; }

std::string line_of(const Tally& t, const std::string& name) {
  char text[120];
  std::snprintf(text, sizeof text, "%12llu %12llu %12llu %12llu %12llu  ",
                static_cast<unsigned long long>(t.times), static_cast<unsigned long long>(t.parts),
                static_cast<unsigned long long>(t.turns),
                static_cast<unsigned long long>(t.least_sectors),
                static_cast<unsigned long long>(t.sectors));
  return text + name.substr(0, 200) + '\n';
}

std::string readable(const std::string& name) {
  int status = 0;
  char* text = abi::__cxa_demangle(name.c_str(), nullptr, nullptr, &status);
  const std::string result = status == 0 ? text : name;
  std::free(text);
  return result;
}

}  // namespace

Tally& Tally::operator+=(const Tally& other) {
  times += other.times, parts += other.parts, turns += other.turns;
  sectors += other.sectors, least_sectors += other.least_sectors;
  return *this;
}

Tally tally_of(Warp& w, const Instruction& i, std::uint32_t lanes) {
  Tally tally{.times = 1};
  for (Access a : i.accesses) {
    if (a.bytes_operand >= 0)
      a.bytes = common(w, i, static_cast<std::size_t>(a.bytes_operand), lanes);
    const Space space = space_at(w, i, a, lanes);
    if (space == Space::shared) add_shared(tally, w, i, a, lanes);
    if (space == Space::global) add_global(tally, w, i, a, lanes);
  }
  return tally;
}

void Counts::add(const Instruction& i, const Tally& tally) {
  at_[static_cast<std::size_t>(&i - kernel_.code.data())] += tally;
}

Tally Counts::total() const {
  Tally total;
  for (const Tally& tally : at_) total += tally;
  return total;
}

std::string Counts::report(std::size_t most) const {
  std::vector<std::size_t> worst;
  for (std::size_t k = 0; k < at_.size(); ++k) {
    if (to_save(at_[k]) > 0) worst.push_back(k);
  }
  std::stable_sort(worst.begin(), worst.end(),
                   [&](auto a, auto b) { return to_save(at_[a]) > to_save(at_[b]); });
  worst.resize(std::min(most, worst.size()));
  std::string text = line_of(total(), std::to_string(launches_) + " of " + readable(kernel_.name));
  for (const std::size_t k : worst) text += line_of(at_[k], "  " + kernel_.code[k].text);
  return text;
}

}  // namespace convoy::ptx
