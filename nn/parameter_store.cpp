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

// Lets the tensor's handles, all of them, see its part of the flat memory from now on.
void let_see(const NamedSlice& slice, const Tensor& flat) {
  TensorImpl& impl = *slice.parameter.impl();
  impl.storage = flat.impl()->storage;
  impl.offset = slice.offset;
  impl.dtype = flat.dtype();
  impl.strides = contiguous_strides(impl.shape);
  impl.contiguous = true;
}

// Values are written to the masters.
void move_into(const Tensor& parameter, const ParameterGroup& group, const NamedSlice& slice) {
  Tensor place = ParameterStore::view(group.masters, slice);
  place.copy_(parameter.detach());
  let_see(slice, group.values);
  TensorImpl& impl = *parameter.impl();
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

// Half values of f32 masters, which may be in host memory.
void round_into(const Tensor& values, const Tensor& masters) {
  const Tensor from = masters.to(values.device());
  run(Cast{from.count(), from.data(), from.dtype(), values.data(), values.dtype()},
      values.stream());
  values.bump_version();
}

BufferGroup make_buffers(const std::vector<NamedTensor>& buffers, const Device& device) {
  BufferGroup group;
  if (buffers.empty()) return group;
  const DType dtype = buffers.front().tensor.dtype();
  for (const NamedTensor& b : buffers) {
    require(b.tensor.dtype() == dtype, "parameter store: {} expects {} as the others, found {}",
            b.name, dtype, b.tensor.dtype());
  }
  group.values = zeros({lay_out(buffers, dtype, group.slices)}, {dtype, device});
  for (const NamedSlice& slice : group.slices) {
    Tensor place = ParameterStore::view(group.values, slice);
    place.copy_(slice.parameter);
    let_see(slice, group.values);
  }
  return group;
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
  buffers_ = make_buffers(model.buffers(), device);
  for (const ParameterGroup& group : groups_) {
    if (has_masters(group)) round_into(group.values, group.masters);
  }
}

void ParameterStore::share(std::shared_ptr<const Shards> shards) {
  require(shards_ == nullptr, "parameter store: expects to be shared once, found a second time");
  std::vector<std::int64_t> counts;
  for (const ParameterGroup& group : groups_) counts.push_back(group.values.count());
  require_partition(*shards, counts);
  shards_ = std::move(shards);
  for (std::size_t g = 0; g < groups_.size() && is_sharded(); ++g) {
    if (has_masters(groups_[g])) groups_[g].masters = take_own(shards_->own(g), groups_[g].masters);
  }
}

Tensor ParameterStore::whole(std::size_t group, const Tensor& flat) const {
  if (!is_sharded()) return flat;
  return gather_whole(*shards_, group, flat, groups_.at(group).values.count());
}

Tensor ParameterStore::place_for_whole(std::size_t group, const Tensor& flat) const {
  return is_sharded() ? zeros(groups_.at(group).values.shape(), {.dtype = flat.dtype()}) : flat;
}

void ParameterStore::take(std::size_t group, const Tensor& whole, Tensor flat) const {
  const NoGrad inference;
  if (whole.impl() == flat.impl()) return;
  flat.copy_(is_sharded() ? take_own(shards_->own(group), whole) : whole);
}

std::vector<NamedTensor> ParameterStore::named(const Module& model,
                                               const std::vector<Tensor>& groups,
                                               const Tensor& buffers) const {
  std::map<std::string_view, Tensor> by_name;
  const auto add = [&](const std::vector<NamedSlice>& slices, const Tensor& flat) {
    if (!flat.defined()) return;
    for (const NamedSlice& slice : slices) by_name.emplace(slice.name, view(flat, slice));
  };
  for (std::size_t g = 0; g < groups_.size(); ++g) add(groups_[g].slices, groups.at(g));
  add(buffers_.slices, buffers);
  std::vector<NamedTensor> all = model.state();
  for (NamedTensor& entry : all) {
    const auto at = by_name.find(entry.name);
    if (at != by_name.end()) entry.tensor = at->second;
  }
  return all;
}

std::vector<NamedTensor> ParameterStore::weights(const Module& model) const {
  std::vector<Tensor> masters;
  for (std::size_t g = 0; g < groups_.size(); ++g) {
    const Tensor& own = groups_[g].masters;
    masters.push_back(has_masters(groups_[g]) ? whole(g, own) : own);
  }
  return named(model, masters);
}

void ParameterStore::load_weights(const Module& model, const Fill& fill) {
  const NoGrad inference;
  std::vector<Tensor> masters;
  for (const ParameterGroup& group : groups_) {
    const std::size_t g = masters.size();
    masters.push_back(has_masters(group) ? place_for_whole(g, group.masters) : group.masters);
  }
  fill(named(model, masters));
  for (std::size_t g = 0; g < groups_.size(); ++g) {
    if (!has_masters(groups_[g])) continue;
    take(g, masters[g], groups_[g].masters);
    round_into(groups_[g].values, masters[g]);
  }
}

std::int64_t ParameterStore::master_bytes() const {
  std::int64_t bytes = 0;
  for (const ParameterGroup& group : groups_) {
    if (!has_masters(group)) continue;
    bytes += group.masters.count() * static_cast<std::int64_t>(size_of(group.masters.dtype()));
  }
  return bytes;
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
  const Tensor& gradients = groups_.at(group).gradients;
  const std::int64_t count = is_sharded() ? shards_->own_count(group) : gradients.count();
  return zeros({count}, gradients.like());
}

Tensor ParameterStore::view(const Tensor& flat, const NamedSlice& slice) {
  const Shape& shape = slice.parameter.shape();
  return make_view(flat, slice.offset, shape, contiguous_strides(shape));
}

}  // namespace convoy::nn
