// SPDX-License-Identifier: MIT
#include "nn/module.h"

#include <algorithm>
#include <limits>

#include "runtime/autograd.h"

namespace convoy::nn {
namespace {

thread_local ForwardObserver::Function* observer = nullptr;

}  // namespace

ForwardObserver::ForwardObserver(Function observe)
    : observe_(std::move(observe)), before_(observer) {
  observer = &observe_;
}

ForwardObserver::~ForwardObserver() { observer = before_; }

Tensor Module::operator()(const Tensor& x) {
  const Tensor y = forward(x);
  if (observer != nullptr) (*observer)(*this, y);
  return y;
}

void Module::train(bool on) {
  visit([on](Module& module, const std::string&) { module.training_ = on; });
}

void Module::visit(const std::function<void(Module&, const std::string&)>& visitor) {
  const std::function<void(Module&, const std::string&)> walk = [&](Module& module,
                                                                    const std::string& name) {
    visitor(module, name);
    for (auto& [child_name, child] : module.children_) {
      walk(*child, name.empty() ? child_name : name + "." + child_name);
    }
  };
  walk(*this, "");
}

void Module::collect(const std::string& prefix, bool parameters, bool buffers,
                     std::vector<NamedTensor>& out) const {
  if (parameters) {
    for (const Parameter& p : parameters_) out.push_back({prefix + p.name, p.tensor});
  }
  if (buffers) {
    for (const NamedTensor& b : buffers_) out.push_back({prefix + b.name, b.tensor});
  }
  for (const auto& [name, child] : children_) {
    child->collect(prefix + name + ".", parameters, buffers, out);
  }
}

std::vector<NamedTensor> Module::parameters() const {
  std::vector<NamedTensor> out;
  collect("", true, false, out);
  return out;
}

std::vector<NamedTensor> Module::buffers() const {
  std::vector<NamedTensor> out;
  collect("", false, true, out);
  return out;
}

std::vector<NamedTensor> Module::state() const {
  std::vector<NamedTensor> out;
  collect("", true, true, out);
  return out;
}

std::int64_t Module::parameter_count() const {
  std::int64_t count = 0;
  for (const NamedTensor& p : parameters()) count += p.tensor.count();
  return count;
}

Tensor Module::add_parameter(std::string name, const Shape& shape, const Init& init) {
  Tensor tensor = full(shape, std::numeric_limits<double>::quiet_NaN());
  tensor.set_requires_grad(true);
  parameters_.push_back({std::move(name), tensor, init});
  return tensor;
}

Tensor Module::add_buffer(std::string name, const Shape& shape, double value) {
  const Tensor tensor = full(shape, value);
  buffers_.push_back({std::move(name), tensor});
  return tensor;
}

void Module::add_child(std::string name, std::unique_ptr<Module> child) {
  const bool taken = std::any_of(children_.begin(), children_.end(),
                                 [&](const auto& entry) { return entry.first == name; });
  require(!taken, "module: the name '{}' is given to two children", name);
  children_.emplace_back(std::move(name), std::move(child));
}

Module& Module::get(std::string_view name) {
  Module* found = nullptr;
  visit([&](Module& module, const std::string& path) {
    if (path == name) found = &module;
  });
  require(found != nullptr, "module: there is no child '{}'", name);
  return *found;
}

void Module::set_init(std::string_view parameter, const Init& init) {
  for (Parameter& p : parameters_) {
    if (p.name == parameter) {
      p.init = init;
      return;
    }
  }
  fail("module: there is no parameter '{}' to initialise", parameter);
}

void initialize(Module& model, std::uint64_t seed) {
  std::uint32_t parameters = 0, modules = 0;
  model.visit([&](Module& module, const std::string&) {
    module.key_ = {seed, kModuleStreams + modules++};
    for (const Module::Parameter& p : module.parameters_) {
      fill(p.tensor, p.init, {seed, parameters++});
    }
  });
}

}  // namespace convoy::nn
