// SPDX-License-Identifier: MIT
#include "runtime/tensor.h"

#include <cstring>

#include "kernels/copy.h"
#include "runtime/autograd.h"
#include "runtime/run.h"
#include "runtime/stream.h"

namespace convoy {

Storage::Storage(const Device& on, std::size_t size, std::source_location asked)
    : device(on), block(allocator(on).allocate(size, asked)), bytes(size) {}

Storage::~Storage() { allocator(device).release(block); }

namespace {

// Strides of dimensions with one element do not matter; with no element at all, none does.
bool is_dense(const Shape& shape, const Strides& strides) {
  if (shape.count() == 0) return true;
  std::int64_t expected = 1;
  for (int i = shape.rank() - 1; i >= 0; --i) {
    if (shape[i] != 1 && strides[i] != expected) return false;
    expected *= shape[i];
  }
  return true;
}

// Throws Error for a negative extent, and where the product overflows.
std::size_t bytes_of(const Shape& shape, DType dtype) {
  auto bytes = static_cast<std::int64_t>(size_of(dtype));
  bool fits = true;
  for (std::int64_t extent : shape) {
    require(extent >= 0, "empty: extents expect 0 or more, found shape {}", shape);
    fits = !__builtin_mul_overflow(bytes, extent, &bytes) && fits;
  }
  require(fits, "empty: expects fewer than 2^63 bytes, found shape {} of {}", shape, dtype);
  return static_cast<std::size_t>(bytes);
}

void require_no_history(const Tensor& tensor, const char* op) {
  require(tensor.impl()->producer == nullptr,
          "{}: in-place write to a tensor with history (shape {}); use the op that returns a new "
          "tensor, or detach() first",
          op, tensor.shape());
  require(!(grad_enabled() && tensor.impl()->requires_grad),
          "{}: in-place write to a leaf that requires a gradient (shape {}); do it under NoGrad",
          op, tensor.shape());
}

void copy_strided(const Tensor& from, const Tensor& to) {
  run(Copy{.shape = from.shape(),
           .x_strides = from.strides(),
           .y_strides = to.strides(),
           .x = from.data(),
           .y = to.data(),
           .dtype = from.dtype(),
           .accumulate = false},
      to.stream());
}

}  // namespace

void Tensor::note_use() const {
  const Storage& storage = *impl_->storage;
  const Stream now = current_stream(storage.device);
  if (now.handle != storage.block.stream) {
    allocator(storage.device).record_use(storage.block, now);
  }
}

void Tensor::await_arrival() const {
  if (count() == 0) return;
  std::int64_t first = impl_->offset, last = first;
  for (int i = 0; i < rank(); ++i) {
    const std::int64_t reach = (shape()[i] - 1) * strides()[i];
    (reach < 0 ? first : last) += reach;
  }
  const auto bytes = static_cast<std::int64_t>(size_of(dtype()));
  impl_->storage->arrival->await(*impl_->storage, first * bytes, (last + 1) * bytes);
}

std::int64_t Tensor::size(int dim) const { return shape()[normalize_dim("size", dim, rank())]; }

Tensor empty(const Shape& shape, const TensorOptions& options, Asked by) {
  const std::size_t bytes = bytes_of(shape, options.dtype);
  auto impl = std::make_shared<TensorImpl>();
  impl->storage = std::make_shared<Storage>(options.device, bytes, by);
  impl->shape = shape;
  impl->strides = contiguous_strides(shape);
  impl->dtype = options.dtype;
  return Tensor(std::move(impl));
}

Tensor full(const Shape& shape, double value, const TensorOptions& options, Asked by) {
  const Tensor t = empty(shape, options, by);
  run(Fill{.count = t.count(), .y = t.data(), .value = value, .dtype = t.dtype()}, t.stream());
  return t;
}

Tensor zeros(const Shape& shape, const TensorOptions& options, Asked by) {
  return full(shape, 0, options, by);
}

Tensor from_host(const void* data, const Shape& shape, const TensorOptions& options) {
  const Tensor t = empty(shape, options);
  backend(options.device).copy(t.data(), data, t.impl()->storage->bytes, t.stream());
  if (options.device.type != DeviceType::cpu) backend(options.device).synchronize(t.stream());
  return t;
}

void to_host(const Tensor& tensor, void* data) {
  const NoGrad inference;
  const Tensor dense = tensor.contiguous();
  const auto bytes = static_cast<std::size_t>(dense.count()) * size_of(dense.dtype());
  backend(dense.device()).copy(data, dense.data(), bytes, dense.stream());
  backend(dense.device()).synchronize(dense.stream());
}

void require_dtype(const Tensor& tensor, DType expected) {
  require(tensor.dtype() == expected, "tensor: dtype expects {}, found {}", expected,
          tensor.dtype());
}

void require_count(std::size_t found, const Shape& shape) {
  require(static_cast<std::int64_t>(found) == shape.count(),
          "tensor: shape {} expects {} values, found {}", shape, shape.count(), found);
}

Tensor make_view(const Tensor& base, std::int64_t offset, const Shape& shape,
                 const Strides& strides) {
  auto impl = std::make_shared<TensorImpl>();
  impl->storage = base.impl()->storage;
  impl->offset = offset;
  impl->shape = shape;
  impl->strides = strides;
  impl->dtype = base.dtype();
  impl->contiguous = is_dense(shape, strides);
  return Tensor(std::move(impl));
}

Tensor Tensor::detach() const { return make_view(*this, impl_->offset, shape(), strides()); }

Tensor Tensor::contiguous() const {
  if (is_contiguous()) return *this;
  const Tensor dense = empty(shape(), like());
  copy_strided(*this, dense);
  return record("contiguous", dense, {*this},
                [](const Tensor& dy, Grads& grads) { grads.pass(0, dy); });
}

Tensor Tensor::clone() const {
  const Tensor copy = empty(shape(), like());
  copy_strided(*this, copy);
  return copy;
}

Tensor Tensor::to(const Device& target) const {
  if (target == device()) return *this;
  const NoGrad inference;
  const Tensor dense = contiguous();
  const Tensor moved = empty(shape(), {dtype(), target});
  const Device& mover = target.type == DeviceType::cpu ? device() : target;
  if (device().type != DeviceType::cpu && target.type != DeviceType::cpu) {
    Event written(device());  // the other device's stream does not know of our work
    written.record(dense.stream());
    written.hold(current_stream(mover));
  }
  backend(mover).copy(moved.data(), dense.data(), moved.impl()->storage->bytes,
                      current_stream(mover));
  backend(mover).synchronize(current_stream(mover));
  return moved;
}

Tensor& Tensor::set_requires_grad(bool value) {
  require(impl_->producer == nullptr,
          "set_requires_grad: expects a leaf, this tensor of shape {} was made by an op", shape());
  require(!value || is_floating(dtype()), "set_requires_grad: expects a floating dtype, found {}",
          dtype());
  impl_->requires_grad = value;
  return *this;
}

Tensor Tensor::grad() const { return impl_->grad_written ? Tensor(impl_->grad) : Tensor(); }

double Tensor::item() const {
  require(count() == 1, "item: expects one element, found shape {}", shape());
  if (dtype() == DType::f32) return to_vector<float>(*this)[0];
  if (dtype() == DType::f64) return to_vector<double>(*this)[0];
  if (dtype() == DType::i32) return to_vector<std::int32_t>(*this)[0];
  if (dtype() == DType::u8) return to_vector<std::uint8_t>(*this)[0];
  return static_cast<double>(to_vector<std::int64_t>(*this)[0]);
}

void Tensor::fill_(double value) {
  require_no_history(*this, "fill_");
  require(is_contiguous(), "fill_: expects a contiguous tensor, found strides {} for shape {}",
          strides(), shape());
  run(Fill{.count = count(), .y = data(), .value = value, .dtype = dtype()}, stream());
  bump_version();
}

void Tensor::copy_(const Tensor& from) {
  require_no_history(*this, "copy_");
  require(from.shape() == shape() && from.dtype() == dtype(),
          "copy_: expects {} of shape {}, found {} of shape {}", dtype(), shape(), from.dtype(),
          from.shape());
  // The kernel takes no operands that overlap: views of one storage may.
  copy_strided(from.impl()->storage == impl_->storage ? from.clone() : from.to(device()), *this);
  bump_version();
}

void Tensor::backward() const {
  require(count() == 1,
          "backward: expects one element (a loss), found shape {}; reduce it, or pass a gradient",
          shape());
  backward(full(shape(), 1, like()));
}

}  // namespace convoy
