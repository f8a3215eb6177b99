// SPDX-License-Identifier: MIT
// Runs every gradcheck entry, and fails for an op on the tape that has none.
#include <gtest/gtest.h>
#include <cstdlib>

#include <fstream>
#include <regex>
#include <set>
#include <sstream>

#include "runtime/ops.h"
#include "tests/support/gradcheck.h"

namespace convoy::testing {
namespace {

// Ops of the GPUs alone, in f32 and less: differences say little of them. Their tests compare them
// with their composition of ops that have entries: tests/runtime/ops/conv2d_norm_act_test.cpp.
bool has_composition(const std::string& op) { return op == "conv2d_norm_act" || op == "norm_act"; }

// Every op that was put on the tape since the program began.
std::set<std::string>& recorded_ops() {
  static std::set<std::string> names;
  return names;
}
// Those of the running entry.
std::set<std::string>& entry_ops() {
  static std::set<std::string> names;
  return names;
}

bool has_entry(const std::string& op) {
  for (const GradcheckEntry& entry : gradcheck_entries()) {
    if (entry.op == op) return true;
  }
  return false;
}

// Watches the whole program: whichever test puts an op without an entry on the tape fails it.
class EveryOpHasAnEntry : public ::testing::Environment {
 public:
  void SetUp() override {
    set_record_observer([](const char* name) {
      recorded_ops().insert(name);
      entry_ops().insert(name);
    });
  }
  void TearDown() override {
    for (const std::string& op : recorded_ops()) {
      EXPECT_TRUE(has_entry(op) || op.starts_with("test_"))
          << "op '" << op << "' has no gradcheck entry: add GRADCHECK(" << op << ")";
    }
  }
};
const auto* const environment = ::testing::AddGlobalTestEnvironment(new EveryOpHasAnEntry);

class Gradcheck : public ::testing::TestWithParam<GradcheckEntry> {};

TEST_P(Gradcheck, AgreesWithDifferences) {
  entry_ops().clear();
  Gradchecker checker(GetParam().op);
  GetParam().samples(checker);
  EXPECT_GE(checker.samples(), 8) << "an entry takes at least 8 samples";
  EXPECT_GE(checker.noticed(), 4) << "gradients this small could be off by 1 %";
  EXPECT_EQ(checker.missing(), "") << "among an entry's samples";
  EXPECT_TRUE(entry_ops().contains(GetParam().op)) << "no sample recorded this op";
}

INSTANTIATE_TEST_SUITE_P(Ops, Gradcheck, ::testing::ValuesIn(gradcheck_entries()),
                         [](const auto& test) { return test.param.op; });

std::set<std::string> matches(const std::string& source, const std::string& pattern) {
  std::set<std::string> found;
  const std::regex regex(pattern);
  for (std::sregex_iterator it(source.begin(), source.end(), regex), end; it != end; ++it) {
    found.insert((*it)[1]);
  }
  return found;
}

// The names that a source records ops under: those given to record() or, where it is given a
// variable, every name in that source.
std::set<std::string> names_recorded_in(const std::string& source) {
  const std::string name = "\"([a-z0-9_]+)\"", call = "[^.>:\\w](record\\()";
  const bool by_variable = !matches(source, call + "(?!\\s*\")").empty();
  return matches(source, by_variable ? name : "record\\(\\s*" + name);
}

// In the sources: also of ops that no test calls.
TEST(GradcheckCoverage, EveryRecordInTheSourcesHasAnEntry) {
  if (std::getenv("CONVOY_BUNDLE") != nullptr) GTEST_SKIP() << "a bundle has no sources";
  int found = 0;
  for (const char* path : {CONVOY_OP_SOURCES}) {
    std::stringstream text;
    text << std::ifstream(path).rdbuf();
    for (const std::string& op : names_recorded_in(text.str())) {
      ++found;
      const bool has_gradient = op != "argmax";
      EXPECT_TRUE(!has_gradient || has_entry(op) || has_composition(op))
          << op << " in " << path << " has no gradcheck entry: add GRADCHECK(" << op << ")";
    }
  }
  EXPECT_GE(found, 25);
}

// unary() records under a name that stands in no source of an op.
TEST(GradcheckCoverage, EveryUnaryFunctionHasAnEntry) {
  for (int fn = 0; fn <= static_cast<int>(UnaryFn::reciprocal); ++fn) {
    EXPECT_TRUE(has_entry(name(static_cast<UnaryFn>(fn)))) << name(static_cast<UnaryFn>(fn));
  }
}

TEST(GradcheckItself, NoticesAGradientOffByOnePercent) {
  const auto wrong = [](const Inputs& x) {
    const Tensor y = x[0].clone();
    return record("test_off_by_one_percent", y, {x[0]}, [](const Tensor& dy, Grads& grads) {
      std::vector<double> g = to_vector<double>(dy);
      for (double& v : g) v *= 1.01;
      grads.pass(0, from_vector(g, dy.shape()));
    });
  };
  Gradchecker checker("test");
  EXPECT_NE(gradcheck(wrong, {checker.random({5})}), "");
}

}  // namespace
}  // namespace convoy::testing
