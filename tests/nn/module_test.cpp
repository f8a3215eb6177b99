// SPDX-License-Identifier: MIT
#include "nn/module.h"

#include <gtest/gtest.h>

#include <cmath>

#include "nn/parameter_store.h"
#include "runtime/autograd.h"
#include "runtime/ops.h"

namespace convoy::nn {
namespace {

class Leaf : public Module {
 public:
  explicit Leaf(const Shape& shape) : weight_(add_parameter("weight", shape, Init::normal(0, 1))) {}
  Tensor forward(const Tensor&) override { return reshape(weight_, {-1}); }

 private:
  Tensor weight_;
  Tensor bias_ = add_parameter("bias", {3}, Init::constant(0.5));
  Tensor mean_ = add_buffer("running_mean", {3}, 0);
};

class Tree : public Module {
 public:
  Tensor forward(const Tensor& x) override { return second_(x); }
  Leaf& first_ = add<Leaf>("first", Shape{2, 3});
  Leaf& second_ = add<Leaf>("second", Shape{5});
  Tensor scale_ = add_parameter("scale", {}, Init::constant(1));
};

std::vector<std::string> names(const std::vector<NamedTensor>& tensors) {
  std::vector<std::string> out;
  for (const NamedTensor& t : tensors) out.push_back(t.name);
  return out;
}

TEST(Module, NamesAreDottedAndInOrder) {
  Tree tree;
  EXPECT_EQ(names(tree.parameters()),
            (std::vector<std::string>{"scale", "first.weight", "first.bias", "second.weight",
                                      "second.bias"}));
  EXPECT_EQ(names(tree.state()),
            (std::vector<std::string>{"scale", "first.weight", "first.bias", "first.running_mean",
                                      "second.weight", "second.bias", "second.running_mean"}));
  EXPECT_EQ(tree.buffers().size(), 2u);
  EXPECT_EQ(tree.parameter_count(), 1 + 6 + 3 + 5 + 3);
}

TEST(Module, ModesReachEveryChild) {
  Tree tree;
  EXPECT_TRUE(tree.second_.training());
  tree.eval();
  EXPECT_FALSE(tree.training() || tree.first_.training() || tree.second_.training());
  tree.train();
  EXPECT_TRUE(tree.first_.training());
}

TEST(Module, TwoChildrenCannotShareAName) {
  class Twice : public Module {
   public:
    Twice() {
      add<Leaf>("a", Shape{1});
      add<Leaf>("a", Shape{1});
    }
    Tensor forward(const Tensor& x) override { return x; }
  };
  EXPECT_THROW(Twice(), Error);
}

TEST(Module, ParametersAreNanUntilInitialized) {
  Tree tree;
  EXPECT_TRUE(std::isnan(tree.scale_.item()));
  initialize(tree, 1);
  EXPECT_EQ(tree.scale_.item(), 1);
}

TEST(Module, InitializationDependsOnSeedAndOrdinalOnly) {
  Tree a, b, c;
  initialize(a, 7);
  initialize(b, 7);
  initialize(c, 8);
  const auto first = [](Tree& tree) { return to_vector<float>(tree.state()[1].tensor); };
  const auto second = [](Tree& tree) { return to_vector<float>(tree.state()[4].tensor); };
  EXPECT_EQ(first(a), first(b));
  EXPECT_NE(first(a), first(c));
  EXPECT_NE(first(a)[0], second(a)[0]);
  // Parameter 1 of seed 7, whatever comes before or after it.
  const Tensor alone = zeros({2, 3});
  fill(alone, Init::normal(0, 1), {7, 1});
  EXPECT_EQ(first(a), to_vector<float>(alone));
}

TEST(Module, AnotherInit) {
  Tree tree;
  tree.first_.set_init("weight", Init::constant(3));
  initialize(tree, 1);
  EXPECT_EQ(to_vector<float>(tree.state()[1].tensor), std::vector<float>(6, 3.0f));
  EXPECT_THROW(tree.set_init("weight", Init::constant(3)), Error);
}

TEST(ParameterStore, SlicesAreAlignedAndKeepTheValues) {
  Tree tree;
  initialize(tree, 7);
  std::vector<std::vector<float>> before;
  for (const NamedTensor& t : tree.parameters()) before.push_back(to_vector<float>(t.tensor));
  const ParameterStore store(tree);
  ASSERT_EQ(store.groups().size(), 2u);
  EXPECT_TRUE(store.groups()[0].weight_decay);
  EXPECT_EQ(store.groups()[0].slices.size(), 1u);  // first.weight alone has two dimensions
  EXPECT_FALSE(store.groups()[1].weight_decay);
  EXPECT_EQ(store.groups()[1].slices[2].name, "second.weight");
  EXPECT_EQ(store.groups()[1].slices[2].offset, 128);  // the third slice, in floats of 256 bytes
  EXPECT_EQ(store.groups()[1].values.count(), 4 * 64);
  EXPECT_EQ(store.count(), tree.parameter_count());
  std::size_t i = 0;
  for (const NamedTensor& t : tree.parameters()) EXPECT_EQ(to_vector<float>(t.tensor), before[i++]);
  float sum = 0;
  for (const float v : to_vector<float>(store.groups()[0].values)) sum += v != 0;
  EXPECT_EQ(sum, 6);  // padding is zero
}

TEST(ParameterStore, GradientsLandInTheFlatBuffer) {
  Tree tree;
  initialize(tree, 7);
  ParameterStore store(tree);
  const auto gradient = [&] { return to_vector<float>(store.groups()[1].gradients); };
  tree(zeros({1})).backward(full({5}, 2));
  EXPECT_EQ(gradient()[128], 2);
  tree(zeros({1})).backward(full({5}, 2));
  EXPECT_EQ(gradient()[128 + 4], 4) << "gradients add up";
  store.zero_grad();
  tree(zeros({1})).backward(full({5}, 3));
  EXPECT_EQ(gradient()[128], 3) << "and start anew";
  EXPECT_EQ(gradient()[128 + 5], 0);
}

TEST(ParameterStore, UnusedParametersHaveZeroGradients) {
  Tree tree;
  initialize(tree, 7);
  ParameterStore store(tree, {}, ParameterStore::Grouping::one_group);
  ASSERT_EQ(store.groups().size(), 1u);
  Tensor gradients = store.groups()[0].gradients;
  gradients.fill_(9);  // as a step before it would leave them
  tree(zeros({1})).backward(full({5}, 2));
  store.finish_gradients();
  for (const NamedSlice& slice : store.groups()[0].slices) {
    const bool used = slice.name == "second.weight";
    for (const float v : to_vector<float>(ParameterStore::view(gradients, slice))) {
      EXPECT_EQ(v, used ? 2 : 0) << slice.name;
    }
  }
}

TEST(ParameterStore, StateHasTheSameLayout) {
  Tree tree;
  initialize(tree, 7);
  const ParameterStore store(tree);
  const Tensor momentum = store.state_like(1);
  EXPECT_EQ(momentum.shape(), store.groups()[1].values.shape());
  const NamedSlice& slice = store.groups()[1].slices.back();
  EXPECT_EQ(ParameterStore::view(momentum, slice).shape(), slice.parameter.shape());
}

}  // namespace
}  // namespace convoy::nn
