// SPDX-License-Identifier: MIT
#pragma once
// A module: parameters, buffers and child modules under names, and a function of a tensor. The
// dotted names are PyTorch's ("layer1.0.conv1.weight"), so weights are exchanged by name.
//
//   class Net : public Module {
//    public:
//     Tensor forward(const Tensor& x) override { return fc_(relu(conv_(x))); }
//    private:
//     Conv2d& conv_ = add<Conv2d>("conv", 3, 16, 3);       // the order of declaration is the order
//     Linear& fc_ = add<Linear>("fc", 16, 10);             // of names and of random numbers
//   };
//
//   Net net;  initialize(net, 42);
//
// A parameter is NaN until initialize() or load_weights() has been called.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "nn/init.h"
#include "runtime/tensor.h"

namespace convoy::nn {

struct NamedTensor {
  std::string name;
  Tensor tensor;
};

class Module {
 public:
  virtual ~Module() = default;
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;

  // Images are [N, H, W, C]. Throws Error where an op refuses the shape.
  virtual Tensor forward(const Tensor& x) = 0;
  Tensor operator()(const Tensor& x);

  // Training mode (the default) or evaluation, for this module and all below it: batch statistics,
  // dropout and drop-path depend on it. It does not switch the tape off: that is NoGrad.
  void train(bool on = true);
  void eval() { train(false); }
  bool training() const { return training_; }

  // All below this module, by dotted name, in order of registration: a module's own before its
  // children's, as PyTorch's state_dict has them.
  std::vector<NamedTensor> parameters() const;
  std::vector<NamedTensor> buffers() const;
  std::vector<NamedTensor> state() const;  // both
  std::int64_t parameter_count() const;
  bool has_children() const { return !children_.empty(); }

  // Calls visitor(module, name) for this module (with an empty name) and all below it.
  void visit(const std::function<void(Module&, const std::string&)>& visitor);
  // The same for the modules of one type.
  template <class M, class F>
  void for_each(F&& f) {
    visit([&](Module& module, const std::string&) {
      if (auto* m = dynamic_cast<M*>(&module)) f(*m);
    });
  }

  // The module below this one of this dotted name, "layer1.0". Throws Error if there is none.
  Module& get(std::string_view name);

  // Another start for one of this module's own parameters.
  void set_init(std::string_view parameter, const Init& init);

 protected:
  Module() = default;

  // The handle shares its memory with the module's entry, also after the parameter store has moved
  // it into a flat buffer.
  Tensor add_parameter(std::string name, const Shape& shape, const Init& init);
  Tensor add_buffer(std::string name, const Shape& shape, double value);
  template <class M, class... Args>
  M& add(std::string name, Args&&... args) {
    auto child = std::make_unique<M>(std::forward<Args>(args)...);
    M& reference = *child;
    add_child(std::move(name), std::move(child));
    return reference;
  }
  void add_child(std::string name, std::unique_ptr<Module> child);
  const std::vector<std::pair<std::string, std::unique_ptr<Module>>>& children() const {
    return children_;
  }
  // This module's own random numbers (dropout), set by initialize().
  const PhiloxKey& random_key() const { return key_; }

 private:
  friend void initialize(Module& model, std::uint64_t seed);
  struct Parameter {
    std::string name;
    Tensor tensor;
    Init init;
  };
  void collect(const std::string& prefix, bool parameters, bool buffers,
               std::vector<NamedTensor>& out) const;

  std::vector<Parameter> parameters_;
  std::vector<NamedTensor> buffers_;
  std::vector<std::pair<std::string, std::unique_ptr<Module>>> children_;
  PhiloxKey key_;
  bool training_ = true;
};

// While one is alive, it is called with every module that has run on this thread and its output.
class ForwardObserver {
 public:
  using Function = std::function<void(const Module& module, const Tensor& y)>;
  explicit ForwardObserver(Function observe);
  ~ForwardObserver();
  ForwardObserver(const ForwardObserver&) = delete;
  ForwardObserver& operator=(const ForwardObserver&) = delete;

 private:
  Function observe_, *before_;
};

// Fills every parameter as its layer says, parameter i from stream i of the seed, and gives every
// module a stream of its own above kModuleStreams.
void initialize(Module& model, std::uint64_t seed);
inline constexpr std::uint32_t kModuleStreams = 1u << 20;

}  // namespace convoy::nn
