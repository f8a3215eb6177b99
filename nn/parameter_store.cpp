// SPDX-License-Identifier: MIT
#include "nn/parameter_store.h"

#include <map>
#include <string_view>

#include "kernels/copy.h"
#include "runtime/autograd.h"
#include "runtime/run.h"

namespace convoy::nn {
namespace {

constexpr std::size_t kAlignment = 256;  // bytes

// Appends the slices of `parameters` and returns the length of the buffer, in elements; those of
// `dtype` are aligned, and wider ones with them.
std::int64_t lay_out(const std::vector<NamedTensor>& parameters, DType dtype,
                     std::vector<NamedSlice>& slices) {
  std::int64_t end = 0;
  for (const NamedTensor& p : parameters) {
    const auto step = static_cast<std::int64_t>(kAlignment / size_of(dtype));
    slices.push_back({p.name, p.tensor, end, p.tensor.count()});
    end += (p.tensor.count() + step - 1) / step * step;
  }
  return end;
}

// Lets the tensor's handles, all of them, see the group's memory from now on. Values are written
// to the masters.
void move_into(const Tensor& parameter, const ParameterGroup& group, const NamedSlice& slice) {
  Tensor place = ParameterStore::view(group.masters, slice);
  place.copy_(parameter.detach());
  TensorImpl& impl = *parameter.impl();
  impl.storage = group.values.impl()->storage;
  impl.offset = slice.offset;
  impl.dtype = group.values.dtype();
  impl.strides = contiguous_strides(impl.shape);
  impl.contiguous = true;
  impl.grad = ParameterStore::view(group.gradients, slice).impl();
  impl.grad_written = false;
}

ParameterGroup make_group(const std::vector<NamedTensor>& parameters, bool weight_decay,
                          const Device& device, std::optional<DType> half) {
  ParameterGroup group;
  group.weight_decay = weight_decay;
  const DType dtype = parameters.front().tensor.dtype();
  for (const NamedTensor& p : parameters) {
    require(p.tensor.dtype() == dtype, "parameter store: {} expects {} as the others, found {}",
            p.name, dtype, p.tensor.dtype());
  }
  require(!half || dtype == DType::f32,
          "parameter store: masters of half parameters expect f32, found {}", dtype);
  const std::int64_t count = lay_out(parameters, half.value_or(dtype), group.slices);
  group.masters = zeros({count}, {dtype, device});
  group.values = half ? zeros({count}, {*half, device}) : group.masters;
  group.gradients = zeros({count}, {dtype, device});
  for (const NamedSlice& slice : group.slices) {
    move_into(slice.parameter, group, slice);
  }
  return group;
}

void move_buffer(const Tensor& buffer, const Device& device) {
  const Tensor moved = buffer.to(device);
  *buffer.impl() = *moved.impl();
}

}  // namespace

ParameterStore::ParameterStore(Module& model, const Device& device, Grouping grouping,
                               std::optional<DType> half) {
  const NoGrad inference;
  require(!half || *half == DType::f16 || *half == DType::bf16,
          "parameter store: half parameters expect f16 or bf16, found {}",
          half.value_or(DType::f32));
  std::vector<NamedTensor> decayed, rest;
  for (const NamedTensor& p : model.parameters()) {
    const bool plain = grouping == Grouping::no_decay_on_1d && p.tensor.rank() <= 1;
    (plain ? rest : decayed).push_back(p);
  }
  if (!decayed.empty()) groups_.push_back(make_group(decayed, true, device, half));
  if (!rest.empty()) groups_.push_back(make_group(rest, false, device, half));
  for (const NamedTensor& b : model.buffers()) move_buffer(b.tensor, device);
  round_masters();
}

std::vector<NamedTensor> ParameterStore::weights(const Module& model) const {
  std::map<std::string_view, Tensor> masters;
  for (const ParameterGroup& group : groups_) {
    for (const NamedSlice& slice : group.slices) {
      masters.emplace(slice.name, view(group.masters, slice));
    }
  }
  std::vector<NamedTensor> all = model.state();
  for (NamedTensor& entry : all) {
    const auto at = masters.find(entry.name);
    if (at != masters.end()) entry.tensor = at->second;
  }
  return all;
}

void ParameterStore::round_masters() {
  for (const ParameterGroup& group : groups_) {
    if (group.values.impl() == group.masters.impl()) continue;
    run(Cast{group.masters.count(), group.masters.data(), group.masters.dtype(),
             group.values.data(), group.values.dtype()},
        group.values.stream());
    group.values.bump_version();
  }
}

const std::string& ParameterStore::name_of(std::int32_t index) const {
  auto left = static_cast<std::size_t>(index);
  for (const ParameterGroup& group : groups_) {
    if (left < group.slices.size()) return group.slices[left].name;
    left -= group.slices.size();
  }
  fail("parameter store: no parameter has the index {}", index);
}

std::int64_t ParameterStore::count() const {
  std::int64_t total = 0;
  for (const ParameterGroup& group : groups_) {
    for (const NamedSlice& slice : group.slices) total += slice.count;
  }
  return total;
}

void ParameterStore::zero_grad() {
  for (ParameterGroup& group : groups_) {
    for (NamedSlice& slice : group.slices) slice.parameter.zero_grad();
  }
}

void ParameterStore::finish_gradients() {
  for (ParameterGroup& group : groups_) {
    for (NamedSlice& slice : group.slices) {
      if (slice.parameter.grad().defined()) continue;
      view(group.gradients, slice).fill_(0);
      slice.parameter.impl()->grad_written = true;
    }
  }
}

Tensor ParameterStore::state_like(std::size_t group) const {
  const Tensor& masters = groups_.at(group).masters;
  return zeros(masters.shape(), masters.like());
}

Tensor ParameterStore::view(const Tensor& flat, const NamedSlice& slice) {
  const Shape& shape = slice.parameter.shape();
  return make_view(flat, slice.offset, shape, contiguous_strides(shape));
}

}  // namespace convoy::nn
