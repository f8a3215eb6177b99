// SPDX-License-Identifier: MIT
#include "kernels/sim/site.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <mutex>
#include <optional>
#include <tuple>

namespace convoy::sim {
namespace {

struct Before {
  bool operator()(const Site& a, const Site& b) const {
    const int files = std::strcmp(a.file, b.file);
    if (files != 0) return files < 0;
    return std::tie(a.line, a.column) < std::tie(b.line, b.column);
  }
};

struct Planted {
  Site site;
  Mutation how;
};

std::mutex seen_mutex;
bool recording = false;
std::map<Site, bool, Before> seen;
std::optional<Planted> planted;

void note(const Site& site, bool is_bound) {
  if (!recording) return;
  const std::lock_guard lock(seen_mutex);
  seen.emplace(site, is_bound);
}

bool is_planted(const Site& site) { return planted && same_place(planted->site, site); }

}  // namespace

bool same_place(const Site& a, const Site& b) {
  return a.line == b.line && a.column == b.column &&
         (a.file == b.file || std::strcmp(a.file, b.file) == 0);
}

std::string to_text(const Site& site) { return fmt::format("{}:{}", site.file, site.line); }

namespace mutation {

void record() {
  seen.clear();
  recording = watching = true;
}

std::vector<Seen> stop_recording() {
  recording = watching = false;
  std::vector<Seen> result;
  for (const auto& [site, is_bound] : seen) result.push_back({site, is_bound});
  return result;
}

void plant(const Site& site, Mutation how) {
  planted = Planted{site, how};
  watching = true;
}

void clear() {
  planted.reset();
  watching = recording;
}

bool skips_slowly(const Site& site) {
  note(site, false);
  return is_planted(site) && planted->how == Mutation::skip;
}

int shift_slowly(const Site& site) {
  note(site, true);
  if (!is_planted(site)) return 0;
  return planted->how == Mutation::widen ? 1 : planted->how == Mutation::narrow ? -1 : 0;
}

}  // namespace mutation
}  // namespace convoy::sim
