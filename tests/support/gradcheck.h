// SPDX-License-Identifier: MIT
#pragma once
// Gradients against central differences, in double precision. Every op that is put on the tape
// needs an entry; tests/runtime/gradcheck_test.cpp runs them all and fails for an op without one.
//
//   GRADCHECK(mul) {
//     for (const Shape& s : {Shape{0}, Shape{7}, Shape{3, 5}}) {
//       g.check({g.random(s), g.random(s)}, [](const Inputs& x) { return mul(x[0], x[1]); });
//     }
//   }
//
// An entry named `mul` is credited with the op "mul" only if a sample really recorded it.

#include <functional>
#include <ostream>
#include <string>
#include <vector>

#include "runtime/autograd.h"
#include "runtime/tensor.h"

namespace convoy::testing {

using Inputs = std::vector<Tensor>;
using Function = std::function<Tensor(const Inputs&)>;

struct GradcheckOptions {
  double eps = 1e-6;
  double atol = 1e-5;
  double rtol = 1e-3;
};

// Of sum(f(inputs) * u), u random, by each element of each input; of one that wants no gradient
// none.
struct Gradients {
  std::vector<std::vector<double>> backward, differences;
};
Gradients gradients_of(const Function& f, const Inputs& inputs, double eps);

// Empty when backward's gradients agree with central differences for every input that requires a
// gradient; else a line that names the first element that differs.
std::string gradcheck(const Function& f, const Inputs& inputs,
                      const GradcheckOptions& options = {});

// One op's samples as its entry gives them.
class Gradchecker {
 public:
  explicit Gradchecker(std::string op) : op_(std::move(op)) {}

  // Checks one sample: fails the running test on a wrong gradient, on a backward that differs
  // between two runs, when one input's gradient off by 1 % would pass, and when f gives other bits
  // without the tape.
  void check(const Inputs& inputs, const Function& f);
  int samples() const { return samples_; }
  // Inputs of samples whose gradient was large enough for 1 % to be noticed.
  int noticed() const { return noticed_; }
  // What no sample had yet of an empty input, one of one element, and one that is a view; "": all.
  std::string missing() const;

  // f64, requires a gradient, values in [low, high), the same for the same call order.
  Tensor random(const Shape& shape, double low = -1, double high = 1);
  // Values at least `gap` apart from each other and from 0: for max, relu and the like.
  Tensor distinct(const Shape& shape, double gap = 0.01);
  // Numbers of `shape`, as a view with other strides than a dense tensor's.
  Tensor noncontiguous(const Shape& shape);

 private:
  std::string op_;
  int samples_ = 0, noticed_ = 0;
  bool empty_ = false, one_element_ = false, view_ = false;
  std::uint32_t seed_ = 1;
};

struct GradcheckEntry {
  std::string op;
  void (*samples)(Gradchecker&);
};
inline void PrintTo(const GradcheckEntry& entry, std::ostream* out) { *out << entry.op; }
std::vector<GradcheckEntry>& gradcheck_entries();
bool add_gradcheck(const char* op, void (*samples)(Gradchecker&));

}  // namespace convoy::testing

// The entry of the op that is recorded under the name `op`; its body calls g.check(...).
#define GRADCHECK(op)                                                                           \
  static void gradcheck_##op(convoy::testing::Gradchecker& g);                                  \
  static const bool gradcheck_entry_##op = convoy::testing::add_gradcheck(#op, gradcheck_##op); \
  static void gradcheck_##op([[maybe_unused]] convoy::testing::Gradchecker& g)
