// SPDX-License-Identifier: MIT
#include "runtime/profiler.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "runtime/ops/elementwise.h"
#include "runtime/ops/view.h"
#include "runtime/tensor.h"

namespace convoy {
namespace {

TEST(Profiler, WritesASpanPerKernelWithItsDevice) {
  const auto path = std::filesystem::temp_directory_path() / "convoy_profiler_test.json";
  const Tensor t = zeros({2, 3});
  Profiler::start();
  const Tensor copy = transpose(t, 0, 1).contiguous();
  Profiler::stop();
  const Tensor unseen = zeros({2});
  Profiler::write(path.string());
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  EXPECT_NE(text.str().find(R"("name":"Copy","cat":"cpu","ph":"X")"), std::string::npos)
      << text.str();
  EXPECT_EQ(text.str().find("Fill"), std::string::npos) << "recorded while it was off";
  std::filesystem::remove(path);
}

TEST(Profiler, WritesASpanPerBackwardNode) {
  const auto path = std::filesystem::temp_directory_path() / "convoy_profiler_backward_test.json";
  const Tensor x = full({3}, 1).set_requires_grad(true);
  const Tensor y = relu(x);
  Profiler::start();
  y.backward(full({3}, 1));
  Profiler::stop();
  Profiler::write(path.string());
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  for (const char* name : {"relu", "UnaryBackward"}) {
    EXPECT_NE(text.str().find(fmt::format(R"("name":"{}","cat":"cpu","ph":"X")", name)),
              std::string::npos)
        << text.str();
  }
  std::filesystem::remove(path);
}

TEST(Profiler, SaysWhereItCannotWrite) {
  EXPECT_THROW(Profiler::write("/no/such/folder/trace.json"), Error);
}

}  // namespace
}  // namespace convoy
