// SPDX-License-Identifier: MIT
#pragma once
// One thing to measure: an op at a shape, its variants, and how a result is checked. The files
// gemm.cpp, conv2d.cpp, batch_norm.cpp and memory.cpp make them; harness.h runs them.

#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "apps/kbench/operands.h"

namespace convoy::kbench {

// An output and, element by element, what it should be. `terms` is the length of the sum behind an
// element, `scale` the size of a term; `cost` is what one reference value costs in operations.
struct Expected {
  int operand;
  double terms = 1, scale = 1, cost = 1;
  std::function<double(std::int64_t)> reference;
};

struct Problem {
  std::string op, pass, name;  // "conv2d", "forward", "layer1.0.conv2"
  std::vector<std::pair<std::string, std::int64_t>> sizes = {};  // axes, for people and JSON
  DType dtype = DType::f32;
  double operations = 0;      // floating-point ones; 0: nobody counts them
  double bytes = 0;           // that must move when no cache helps
  bool memory_bound = false;  // measured against copy bandwidth, over sets larger than the cache
  std::function<void(Problem&)> prepare = {};  // gets memory, and fills in what is below
  std::vector<std::string> variants = {};      // simplest first
  std::string chosen = {};                     // what plan takes
  std::string key = {};                        // in a tuning table; empty: nothing to choose there
  bool cold = false;                           // its operands are larger than the caches
  std::shared_ptr<Operands> memory = {};
  std::function<void(const std::string& variant, int set)> launch = {};  // enqueues
  std::function<std::vector<Expected>()> expected = {};
};

// Which problems a command line asks for. Sizes are those of flags that were given.
struct Request {
  Device device;
  DType dtype = DType::f32;
  std::string shapes = {};                                       // a table's name, or empty
  std::vector<std::pair<std::string, std::int64_t>> sizes = {};  // flag and value, one of each
  std::vector<std::string> passes = {};                          // empty: all
  std::string filter = {};  // only problems whose name contains it

  bool wants_pass(const std::string& pass) const;
  // The flag's value, else `absent`. A usage error below `least`.
  std::int64_t size(const std::string& flag, std::int64_t absent, std::int64_t least = 1) const;
  bool has(const std::string& flag) const;
};

// A usage error unless an operand of these extents has fewer than 2^50 elements, which is more than
// there is memory for: what is computed from its size then stays a number.
void require_countable(std::initializer_list<std::int64_t> extents);

// Says what the problem is. Its operands are gigabytes: they are there once it is prepared.
using MakeProblem = std::function<Problem()>;

struct Family {
  const char* op;
  const char* summary;
  std::vector<std::string> flags;  // of sizes
  std::vector<std::string> passes;
  std::vector<std::string> shapes;  // tables
  const char* batch;                // the flag that goes with a table; null: there is none
  bool has_ladder;                  // something to choose from, for a tuning table
  std::vector<MakeProblem> (*problems)(const Request& request);
};
const std::vector<Family>& families();

std::vector<MakeProblem> gemm_problems(const Request& request);
std::vector<MakeProblem> conv2d_problems(const Request& request);
std::vector<MakeProblem> batch_norm_problems(const Request& request);
std::vector<MakeProblem> memory_problems(const Request& request);

}  // namespace convoy::kbench
