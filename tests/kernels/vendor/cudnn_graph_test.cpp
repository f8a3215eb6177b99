// SPDX-License-Identifier: MIT
// Our graphs before the real library, on a machine without a GPU: since version 9.11 cuDNN plans
// for a device that it is told of. That an engine takes a graph is shown here; what it computes is
// compared on a GPU.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "kernels/require.h"
#include "kernels/tuning.h"
#include "kernels/vendor/graphs.h"
#include "kernels/vendor/library.h"

// cuDNN's engines keep memory until they are unloaded at the program's end, out of sight of a
// search for leaks. AddressSanitizer asks here whether to make one.
extern "C" int __lsan_is_turned_off() { return 1; }

namespace convoy::vendor {
namespace {

// An H100, as its own driver describes it.
constexpr const char* kDescription = R"({
  "deviceName": "NVIDIA H100 80GB HBM3", "deviceVer": 900, "driverVer": 13000, "cudaDeviceId": 0,
  "pciDeviceId": 0, "isTccDriver": 0, "supportCoopLaunch": 1, "warpSize": 32,
  "maxGridSize": [2147483647, 65535, 65535], "maxBlockSize": [1024, 1024, 64],
  "multiProcessorCount": 132, "regsPerBlock": 65536, "maxRegistersPerSM": 65536,
  "maxSharedMemoryPerBlock": 49152, "maxSharedMemoryPerBlockOptin": 232448,
  "reservedSharedMemoryPerBlock": 1024, "maxCtasPerSM": 32, "maxThreadsPerBlock": 1024,
  "maxThreadsPerSM": 2048, "totalGlobalMem": 85000000000, "l2CacheSize": 52428800,
  "smClockRateKHz": 1980000, "memClockRateKHz": 2619000})";

class CudnnGraph : public ::testing::Test {
 protected:
  void SetUp() override {
    library_ = cudnn();
    if (library_ == nullptr) GTEST_SKIP() << "no cuDNN: " << vendor_library("cudnn").why();
    const std::string& version = vendor_library("cudnn").version();
    if (std::stoi(version.substr(version.find('.') + 1)) < 11) {
      GTEST_SKIP() << "cuDNN " << version << " cannot plan for a device that is not there";
    }
    properties_.emplace(*library_, CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR);
    properties_->set(CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION,
                     std::vector<char>(kDescription, kDescription + std::strlen(kDescription)));
    properties_->finalize("describing a device");
  }

  template <class Op>
  EnginePlans engines(const Op& op) {
    EXPECT_TRUE(suits(op));
    return {graph_of(*library_, op), {nullptr, &*properties_}, rules_for(op.dtype)};
  }

  // Engines that are compiled when they are built are not even offered where there is no driver.
  // That the library takes the graph itself says that its operations fit each other.
  template <class Op>
  void take(const Op& op) {
    SCOPED_TRACE(tuning_key(op));
    EXPECT_TRUE(suits(op));
    OperationGraph graph = graph_of(*library_, op);
    Descriptor whole(*library_, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
    whole.set(CUDNN_ATTR_OPERATIONGRAPH_OPS, graph.operations());
    EXPECT_NO_THROW(whole.finalize("describing a graph"));
  }

  const Cudnn* library_ = nullptr;
  std::optional<Descriptor> properties_;
};

Conv2dGeometry layer(const Shape& x, const Shape& weight, const Conv2dOptions& options) {
  return conv2d_geometry(x, weight, options);
}

// Of the sizes that networks have: strided, pointwise, the stem, dilated, depthwise.
const std::vector<Conv2dGeometry>& layers() {
  static const std::vector<Conv2dGeometry> all = {
      layer({32, 56, 56, 64}, {128, 3, 3, 64}, {.stride = {2, 2}, .padding = {1, 1}}),
      layer({8, 28, 28, 64}, {256, 1, 1, 64}, {}),
      layer({8, 64, 48, 8}, {64, 7, 7, 8}, {.stride = {2, 2}, .padding = {3, 3}}),
      layer({2, 20, 24, 32}, {32, 3, 3, 32}, {.padding = {2, 2}, .dilation = {2, 2}}),
      layer({4, 28, 28, 64}, {64, 3, 3, 1}, {.padding = {1, 1}, .groups = 64}),
  };
  return all;
}

alignas(16) float memory[4];  // an address: nothing is read

TEST_F(CudnnGraph, TakesTheForwardPass) {
  for (const DType dtype : {DType::f32, DType::f16, DType::bf16}) {
    for (const Conv2dGeometry& g : layers()) {
      SCOPED_TRACE(tuning_key(Conv2dForward{g, memory, memory, memory, dtype}));
      EXPECT_GE(engines(Conv2dForward{g, memory, memory, memory, dtype}).count(8), 1u);
    }
    Conv2dForward with_bias{layers()[0], memory, memory, memory, dtype};
    with_bias.epilogue.bias = memory;
    EXPECT_GE(engines(with_bias).count(8), 1u);
    with_bias.epilogue.activation = Activation::relu;
    EXPECT_GE(engines(with_bias).count(8), 1u);
  }
}

TEST_F(CudnnGraph, TakesEveryEpilogue) {
  for (const DType dtype : {DType::f32, DType::f16, DType::bf16}) {
    for (int bits = 0; bits < 8; ++bits) {
      Conv2dForward op{layers()[0], memory, memory, memory, dtype};
      if ((bits & 1) != 0) op.epilogue.bias = memory;
      if ((bits & 2) != 0) op.epilogue.residual = memory;
      if ((bits & 4) != 0) op.epilogue.activation = Activation::relu;
      take(op);
    }
  }
}

TEST_F(CudnnGraph, TakesBothGradientsAndAccumulation) {
  for (const DType dtype : {DType::f32, DType::f16, DType::bf16}) {
    for (const Conv2dGeometry& g : layers()) {
      for (const bool accumulate : {false, true}) {
        const Conv2dBackwardInput input{g, memory, memory, memory, accumulate, dtype};
        SCOPED_TRACE(tuning_key(input));
        EXPECT_GE(engines(input).count(8), 1u);
        const Conv2dBackwardWeight weight{g,          memory,  memory, memory,
                                          accumulate, nullptr, false,  dtype};
        EXPECT_GE(engines(weight).count(8), 1u);
      }
    }
  }
}

TEST_F(CudnnGraph, TakesF32GradientsOfHalves) {
  for (const DType dtype : {DType::f16, DType::bf16}) {
    for (const bool accumulate : {false, true}) {
      const Conv2dBackwardWeight op{layers()[0], memory, memory, memory,    accumulate,
                                    nullptr,     false,  dtype,  DType::f32};
      take(op);
    }
  }
}

BatchNormForward batch_norm(DType dtype) {
  static float other[4];
  return {.rows = 32 * 56 * 56,
          .channels = 64,
          .x = memory,
          .scale = memory,
          .bias = memory,
          .mean = memory,
          .rstd = memory,
          .y = other,
          .dtype = dtype};
}

BatchNormBackward batch_norm_backward(DType dtype) {
  static float other[4];
  return {.rows = 32 * 56 * 56,
          .channels = 64,
          .x = memory,
          .dy = memory,
          .scale = memory,
          .mean = memory,
          .rstd = memory,
          .dx = other,
          .d_scale = other,
          .d_bias = other,
          .dtype = dtype};
}

TEST_F(CudnnGraph, TakesTheNormWithWhatFollowsIt) {
  for (const DType dtype : {DType::f32, DType::f16, DType::bf16}) {
    for (int bits = 0; bits < 8; ++bits) {
      BatchNormForward op = batch_norm(dtype);
      if ((bits & 1) != 0) op.residual = memory;
      if ((bits & 2) != 0) op.relu = true;
      if ((bits & 4) != 0) op.running_mean = op.running_var = memory;
      take(op);
    }
    BatchNormBackward op = batch_norm_backward(dtype);
    take(op);
    op.grad_dtype = DType::f32;
    take(op);
  }
}

TEST_F(CudnnGraph, NormsThatAreOursAloneHaveNoGraph) {
  const auto forward = [](auto change) {
    BatchNormForward op = batch_norm(DType::f16);
    change(op);
    return suits(op);
  };
  EXPECT_TRUE(forward([](BatchNormForward&) {}));
  EXPECT_FALSE(forward([](BatchNormForward& op) { op.training = false; }));
  EXPECT_FALSE(forward([](BatchNormForward& op) { op.scale = nullptr; }));
  EXPECT_FALSE(forward([](BatchNormForward& op) { op.mean = nullptr; }));
  EXPECT_FALSE(forward([](BatchNormForward& op) { op.running_var = memory; }));
  EXPECT_FALSE(forward([](BatchNormForward& op) { op.y = memory; }));
  EXPECT_FALSE(forward([](BatchNormForward& op) { op.rows = 1; }));
  EXPECT_FALSE(forward([](BatchNormForward& op) { op.dtype = DType::f64; }));
  const auto backward = [](auto change) {
    BatchNormBackward op = batch_norm_backward(DType::f16);
    change(op);
    return suits(op);
  };
  EXPECT_TRUE(backward([](BatchNormBackward&) {}));
  EXPECT_FALSE(backward([](BatchNormBackward& op) { op.relu = true; }));
  EXPECT_FALSE(backward([](BatchNormBackward& op) { op.accumulate_scale = true; }));
  EXPECT_FALSE(backward([](BatchNormBackward& op) { op.d_residual = memory; }));
  EXPECT_FALSE(backward([](BatchNormBackward& op) { op.dx = nullptr; }));
  EXPECT_FALSE(backward([](BatchNormBackward& op) { op.training = false; }));
}

TEST_F(CudnnGraph, EnginesAreBuiltOnDemandAndNoMoreThanEight) {
  EnginePlans plans = engines(Conv2dForward{layers()[0], memory, memory, memory, DType::f16});
  EXPECT_EQ(plans.count(0), 0u);
  EXPECT_EQ(plans.count(1), 1u);
  const EnginePlan* first = plans.get(0);
  ASSERT_NE(first, nullptr);
  EXPECT_LE(plans.count(100), 8u);
  EXPECT_EQ(plans.get(0), first) << "a plan that was given out stays where it is";
  EXPECT_EQ(plans.get(8), nullptr);
}

// What the notes exclude is excluded: with any engine allowed there are more kinds to choose from.
TEST_F(CudnnGraph, NondeterministicEnginesAreLeftOutUnlessAllowed) {
  const auto excludes = [](const Rules& rules) {
    return std::find(rules.begin(), rules.end(), CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC) !=
           rules.end();
  };
  EXPECT_TRUE(excludes(rules_for(DType::f32)));
  EXPECT_TRUE(excludes(rules_for(DType::f16)));
  allow_nondeterministic(true);
  EXPECT_FALSE(excludes(rules_for(DType::f32)));
  allow_nondeterministic(false);
  EXPECT_TRUE(excludes(rules_for(DType::bf16)));
}

// On tensor cores f32 is TF32: ten bits. Both notes stand for it.
TEST_F(CudnnGraph, F32StaysF32) {
  const Rules rules = rules_for(DType::f32);
  for (const auto note :
       {CUDNN_NUMERICAL_NOTE_TENSOR_CORE, CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS}) {
    EXPECT_NE(std::find(rules.begin(), rules.end(), note), rules.end());
  }
  const Rules of_halves = rules_for(DType::f16);
  EXPECT_EQ(std::find(of_halves.begin(), of_halves.end(), CUDNN_NUMERICAL_NOTE_TENSOR_CORE),
            of_halves.end());
}

TEST_F(CudnnGraph, WhatIsOursAloneHasNoGraph) {
  const Conv2dGeometry& g = layers()[0];
  Conv2dForward forward{g, memory, memory, memory, DType::f16};
  const NormLine line{};
  EXPECT_TRUE(suits(forward));
  forward.prologue.lines = &line;
  EXPECT_FALSE(suits(forward));
  forward.prologue = {}, forward.epilogue.statistics.mean = memory;
  EXPECT_FALSE(suits(forward));
  Conv2dBackwardInput input{g, memory, memory, memory, false, DType::f16};
  EXPECT_TRUE(suits(input));
  input.epilogue.addend = memory;
  EXPECT_FALSE(suits(input));
  Conv2dBackwardWeight weight{g, memory, memory, memory, false, nullptr, false, DType::f16};
  EXPECT_TRUE(suits(weight));
  weight.dbias = memory;
  EXPECT_FALSE(suits(weight));
  weight.dbias = nullptr, weight.dtype = DType::f64;
  EXPECT_FALSE(suits(weight));
}

TEST_F(CudnnGraph, AFailureCarriesTheLibrarysText) {
  Descriptor tensor(*library_, CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  try {
    tensor.finalize("describing a tensor");
    FAIL() << "expected an Error: it has no attributes";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("cudnn: describing a tensor: CUDNN_STATUS_"),
              std::string::npos)
        << error.what();
  }
}

}  // namespace
}  // namespace convoy::vendor
