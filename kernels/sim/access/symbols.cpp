// SPDX-License-Identifier: MIT
#include "kernels/sim/access/symbols.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <map>
#include <memory>
#include <string_view>
#include <tuple>
#include <utility>

// Of the linker: where this program begins in memory, and in its file.
extern "C" const char __executable_start;

namespace convoy::sim::access {
namespace {

constexpr std::uint32_t kSite = 0x20000000;  // 30 bits in all

std::vector<Site>& sites() {
  static std::vector<Site> all;
  return all;
}

struct Frame {
  std::string function, place;
};

// addr2line's answer: a function and a place by turns, the innermost first.
std::vector<Frame> look_up(std::uint32_t offset) {
  char program[4096];
  const auto length = readlink("/proc/self/exe", program, sizeof program - 1);
  if (length < 0) return {};
  program[length] = 0;
  const auto command = fmt::format("addr2line -f -C -i -e '{}' {:#x} 2>/dev/null", program, offset);
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> out(popen(command.c_str(), "r"), pclose);
  if (!out) return {};
  std::vector<Frame> frames;
  std::string line;
  for (int c; (c = std::fgetc(out.get())) != EOF;) {
    if (c != '\n') {
      line += static_cast<char>(c);
    } else if (frames.empty() || !frames.back().place.empty()) {
      frames.push_back({std::exchange(line, {}), {}});
    } else {
      frames.back().place = std::exchange(line, {});
    }
  }
  return frames;
}

const std::vector<Frame>& frames_of(std::uint32_t offset) {
  static std::map<std::uint32_t, std::vector<Frame>> known;
  const auto [at, is_new] = known.try_emplace(offset);
  if (is_new) at->second = look_up(offset);
  return at->second;
}

// From the repository's root; empty for what is not the kernel's: the simulator, the library.
std::string place_in_kernel(std::string_view place) {
  place = place.substr(0, place.find(" ("));  // "(discriminator 3)"
  if (place.find("kernels/sim/") != place.npos && place.find("tests/") == place.npos) return {};
  for (const std::string_view folder : {"tests/", "kernels/"}) {
    const auto at = place.rfind(folder);
    if (at != place.npos) return std::string(place.substr(at));
  }
  return {};
}

}  // namespace

std::uint32_t where_of(const void* instruction) {
  const auto offset = static_cast<const char*>(instruction) - &__executable_start;
  return offset > 0 && offset < kSite ? static_cast<std::uint32_t>(offset) : 0;
}

std::uint32_t where_of(const Site& site) {
  // A site's texts are constants: the same address is the same file.
  static std::map<std::tuple<const char*, std::uint32_t, std::uint32_t>, std::uint32_t> known;
  const auto next = kSite + static_cast<std::uint32_t>(sites().size());
  const auto [at, is_new] = known.try_emplace({site.file, site.line, site.column}, next);
  if (is_new) sites().push_back(site);
  return at->second;
}

std::string line_of(std::uint32_t where, const std::vector<const void*>& callers) {
  if (where >= kSite) {
    const std::string place = to_text(sites()[where - kSite]);
    return place.substr(place.find_first_not_of("./"));  // Ninja's "../../"
  }
  std::string line;
  const auto append = [&](std::uint32_t offset) {
    for (const Frame& frame : frames_of(offset)) {
      const std::string place = place_in_kernel(frame.place);
      if (place.empty()) continue;
      line += line.empty() ? place : ", called at " + place;
      if (place.starts_with("tests/") || place.find(".cuh:") == place.npos) return true;
    }
    return false;
  };
  if (append(where)) return line;
  for (const void* caller : callers) {
    if (append(where_of(caller) - 1)) return line;
  }
  return line.empty() ? fmt::format("offset {:#x} of the program", where) : line;
}

bool is_kernel_code(std::uint32_t where) {
  static std::map<std::uint32_t, bool> known;
  const auto [at, is_new] = known.try_emplace(where);
  if (is_new) {
    const std::string line = line_of(where);
    at->second = line.starts_with("kernels/gpu/") || line.starts_with("tests/");
  }
  return at->second;
}

std::string function_name(const void* function) {
  const auto& frames = frames_of(where_of(function));
  if (frames.empty()) return "unknown";
  std::string name = frames.back().function;
  // "void convoy::on_sim::(anonymous namespace)::fill_each<float>(float*, long, float)"
  int depth = 0;
  std::size_t begin = 0, end = name.size();
  for (std::size_t i = 0; i < name.size(); ++i) {
    if (name[i] == '<') ++depth;
    if (name[i] == '>') --depth;
    if (depth != 0) continue;
    if (name[i] == '(' && name.compare(i, 11, "(anonymous ") != 0) {
      end = i;
      break;
    }
    if (i > 0 && name[i] == ':' && name[i - 1] == ':') begin = i + 1;
  }
  return name.substr(begin, end - begin);
}

}  // namespace convoy::sim::access
