// SPDX-License-Identifier: MIT
#include "nn/parameter_store.h"

#include "runtime/autograd.h"

namespace convoy::nn {
namespace {

constexpr std::size_t kAlignment = 256;  // bytes

// Appends the slices of `parameters` and returns the length of the buffer, in elements.
std::int64_t lay_out(const std::vector<NamedTensor>& parameters, std::vector<NamedSlice>& slices) {
  std::int64_t end = 0;
  for (const NamedTensor& p : parameters) {
    const auto step = static_cast<std::int64_t>(kAlignment / size_of(p.tensor.dtype()));
    slices.push_back({p.name, p.tensor, end, p.tensor.count()});
    end += (p.tensor.count() + step - 1) / step * step;
  }
  return end;
}

// Lets the tensor's handles, all of them, see `flat`'s memory from now on.
void move_into(const Tensor& parameter, const Tensor& flat, const Tensor& gradients,
               const NamedSlice& slice) {
  Tensor place = ParameterStore::view(flat, slice);
  place.copy_(parameter.detach());
  TensorImpl& impl = *parameter.impl();
  impl.storage = flat.impl()->storage;
  impl.offset = slice.offset;
  impl.strides = contiguous_strides(impl.shape);
  impl.contiguous = true;
  impl.grad = ParameterStore::view(gradients, slice).impl();
  impl.grad_written = false;
}

ParameterGroup make_group(const std::vector<NamedTensor>& parameters, bool weight_decay,
                          const Device& device) {
  ParameterGroup group;
  group.weight_decay = weight_decay;
  const DType dtype = parameters.front().tensor.dtype();
  for (const NamedTensor& p : parameters) {
    require(p.tensor.dtype() == dtype, "parameter store: {} expects {} as the others, found {}",
            p.name, dtype, p.tensor.dtype());
  }
  const std::int64_t count = lay_out(parameters, group.slices);
  group.values = zeros({count}, {dtype, device});
  group.gradients = zeros({count}, {dtype, device});
  for (const NamedSlice& slice : group.slices) {
    move_into(slice.parameter, group.values, group.gradients, slice);
  }
  return group;
}

void move_buffer(const Tensor& buffer, const Device& device) {
  const Tensor moved = buffer.to(device);
  *buffer.impl() = *moved.impl();
}

}  // namespace

ParameterStore::ParameterStore(Module& model, const Device& device, Grouping grouping) {
  const NoGrad inference;
  std::vector<NamedTensor> decayed, rest;
  for (const NamedTensor& p : model.parameters()) {
    const bool plain = grouping == Grouping::no_decay_on_1d && p.tensor.rank() <= 1;
    (plain ? rest : decayed).push_back(p);
  }
  if (!decayed.empty()) groups_.push_back(make_group(decayed, true, device));
  if (!rest.empty()) groups_.push_back(make_group(rest, false, device));
  for (const NamedTensor& b : model.buffers()) move_buffer(b.tensor, device);
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
  const Tensor& values = groups_.at(group).values;
  return zeros(values.shape(), values.like());
}

Tensor ParameterStore::view(const Tensor& flat, const NamedSlice& slice) {
  const Shape& shape = slice.parameter.shape();
  return make_view(flat, slice.offset, shape, contiguous_strides(shape));
}

}  // namespace convoy::nn
