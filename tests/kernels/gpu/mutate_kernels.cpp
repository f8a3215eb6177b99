// SPDX-License-Identifier: MIT
// The mutation run: every case of the kernels' tests is run with one barrier, wait or fence
// switched off, or one bounds check wider or narrower by one, for every such site that it passes. A
// mutant that no case notices survives, and is listed.
//
//   mutate_kernels [SUITE...]      exit 0: all were caught; 1: some survived
#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "kernels/sim/options.h"
#include "kernels/sim/site.h"
#include "tests/support/gpu_case.h"

namespace convoy::testing {
namespace {

// Whether the case fails or throws, in any mode.
bool notices(const GpuCase& c) {
  using sim::Async;
  using sim::Schedule;
  for (const Schedule schedule : {Schedule::ascending, Schedule::descending, Schedule::seeded}) {
    for (const Async async : {Async::late, Async::eager}) {
      sim::options() = {.schedule = schedule, .async = async, .seed = 1};
      ::testing::TestPartResultArray failures;
      try {
        const ::testing::ScopedFakeTestPartResultReporter catcher(&failures);
        c.body();
      } catch (const std::exception&) {
        return true;
      }
      if (failures.size() > 0) return true;
    }
  }
  return false;
}

struct Mutant {
  sim::Site site;
  sim::Mutation how;
};

const char* name(sim::Mutation how) {
  switch (how) {
    case sim::Mutation::skip:
      return "switched off";
    case sim::Mutation::widen:
      return "one wider";
    case sim::Mutation::narrow:
      return "one narrower";
  }
  return "";
}

struct Less {
  static auto key(const Mutant& m) {
    return std::tuple(std::string(m.site.file), m.site.line, m.site.column, m.how);
  }
  bool operator()(const Mutant& a, const Mutant& b) const { return key(a) < key(b); }
};

// Every mutant, with the cases that pass its site.
std::map<Mutant, std::vector<GpuCase>, Less> find_mutants(const std::vector<GpuCase>& cases) {
  std::map<Mutant, std::vector<GpuCase>, Less> mutants;
  for (const GpuCase& c : cases) {
    sim::mutation::record();
    if (notices(c)) {
      std::printf("%s.%s fails without a mutant: run the tests first\n", c.suite, c.name);
      std::exit(1);
    }
    for (const sim::mutation::Seen& seen : sim::mutation::stop_recording()) {
      if (seen.is_bound) {
        mutants[{seen.site, sim::Mutation::widen}].push_back(c);
        mutants[{seen.site, sim::Mutation::narrow}].push_back(c);
      } else {
        mutants[{seen.site, sim::Mutation::skip}].push_back(c);
      }
    }
  }
  return mutants;
}

bool caught(const Mutant& mutant, const std::vector<GpuCase>& cases) {
  sim::mutation::plant(mutant.site, mutant.how);
  const bool result = std::any_of(cases.begin(), cases.end(), notices);
  sim::mutation::clear();
  return result;
}

int run(const std::vector<std::string>& suites) {
  std::vector<GpuCase> cases;
  for (const GpuCase& c : gpu_cases()) {
    if (suites.empty() || std::find(suites.begin(), suites.end(), c.suite) != suites.end()) {
      cases.push_back(c);
    }
  }
  const auto mutants = find_mutants(cases);
  std::size_t done = 0, survivors = 0;
  for (const auto& [mutant, passing] : mutants) {
    if (!caught(mutant, passing)) {
      ++survivors;
      // At once: a whole run takes hours, and may be stopped.
      std::printf("survives: %s:%u:%u %s, in %s\n", mutant.site.file, mutant.site.line,
                  mutant.site.column, name(mutant.how), mutant.site.function);
      std::fflush(stdout);
    }
    std::fprintf(stderr, "\r%zu of %zu mutants, %zu survive", ++done, mutants.size(), survivors);
  }
  std::fprintf(stderr, "\n");
  std::printf("%zu of %zu mutants of %zu cases were caught\n", mutants.size() - survivors,
              mutants.size(), cases.size());
  return survivors == 0 ? 0 : 1;
}

}  // namespace
}  // namespace convoy::testing

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  return convoy::testing::run({argv + 1, argv + argc});
}
