// SPDX-License-Identifier: MIT
#pragma once
// Tensor: a shaped, strided view of typed device memory, with its place on the autograd tape.
// Copying a Tensor copies the handle, not the numbers. Images are NHWC.
//
//   Tensor x = from_vector<float>({1, 2, 3, 4}, {2, 2});
//   Tensor y = x * 2.0 + 1.0;                 // ops: runtime/ops.h
//   std::vector<float> numbers = to_vector<float>(y);
//
// A Tensor's copy and move may throw as far as the compiler knows (they do not): that is how the
// tape refuses a Tensor captured by a backward function (runtime/autograd.h).

#include <cstdint>
#include <memory>
#include <source_location>
#include <vector>

#include "runtime/allocator.h"
#include "runtime/device.h"

namespace convoy {

class Arrival;
class Node;

// Memory shared by views. `version` counts in-place writes, so that a value saved for the backward
// pass is known to be unchanged.
struct Storage {
  Storage(const Device& on, std::size_t size, std::source_location asked);
  ~Storage();
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;

  Device device;
  Block block;
  std::size_t bytes;
  std::uint32_t version = 0;
  Arrival* arrival = nullptr;  // of what is still on its way there (below)
};

struct TensorOptions {
  DType dtype = DType::f32;
  Device device = {};
};

// Shared by all handles of one tensor. Only the runtime looks inside.
struct TensorImpl {
  std::shared_ptr<Storage> storage;
  std::int64_t offset = 0;  // in elements
  Shape shape;
  Strides strides;
  DType dtype = DType::f32;
  bool contiguous = true;

  // Autograd: what an op has put on the tape has a producer there. Any other tensor is a leaf, and
  // may want a gradient.
  bool requires_grad = false;
  bool grad_written = false;  // whether `grad` holds this step's gradient
  int uses = 0;               // of a leaf: by nodes on the tape that have not run
  std::shared_ptr<Node> producer;
  std::shared_ptr<TensorImpl> grad;  // destination of a leaf's gradient; kept over steps
};

class Tensor {
 public:
  Tensor() = default;
  explicit Tensor(std::shared_ptr<TensorImpl> impl) : impl_(std::move(impl)) {}
  Tensor(const Tensor& other) noexcept(false) : impl_(other.impl_) {}
  Tensor(Tensor&& other) noexcept(false) : impl_(std::move(other.impl_)) {}
  Tensor& operator=(const Tensor&) = default;
  Tensor& operator=(Tensor&&) = default;
  ~Tensor() = default;

  bool defined() const { return impl_ != nullptr; }
  const Shape& shape() const { return impl_->shape; }
  const Strides& strides() const { return impl_->strides; }
  int rank() const { return impl_->shape.rank(); }
  // Extent of a dimension; negative ones count from the end. Throws Error out of range.
  std::int64_t size(int dim) const;
  std::int64_t count() const { return impl_->shape.count(); }
  DType dtype() const { return impl_->dtype; }
  const Device& device() const { return impl_->storage->device; }
  Stream stream() const { return current_stream(device()); }
  TensorOptions like() const { return {dtype(), device()}; }

  // Address of the first element, in the device's memory. Asking for it counts as a use on this
  // thread's current stream: memory that belongs to another waits for it before its reuse. Waits
  // for what is on its way there (Arrival).
  void* data() const {
    if (impl_->storage->arrival != nullptr) [[unlikely]]
      await_arrival();
    if (impl_->storage->device.type != DeviceType::cpu) note_use();
    return static_cast<char*>(impl_->storage->block.data) +
           impl_->offset * static_cast<std::int64_t>(size_of(impl_->dtype));
  }
  // The same, typed; throws Error when T is not the tensor's dtype.
  template <class T>
  T* as() const;

  bool is_contiguous() const { return impl_->contiguous; }
  // This tensor when it is contiguous already, else a dense copy (recorded on the tape).
  Tensor contiguous() const;
  // The same numbers without history.
  Tensor detach() const;
  // A dense copy without history.
  Tensor clone() const;
  // On another device; without history. This tensor where it is there already.
  Tensor to(const Device& device) const;

  bool requires_grad() const { return impl_ && (impl_->requires_grad || impl_->producer); }
  // Marks a leaf. Throws Error for a tensor with history or a dtype that has no gradient.
  Tensor& set_requires_grad(bool value);
  // This step's gradient of a leaf; undefined before backward() and after zero_grad().
  Tensor grad() const;
  // The next gradient overwrites instead of adding. The memory is kept.
  void zero_grad() { impl_->grad_written = false; }
  // Runs the tape from this tensor (one element, or with the gradient given). Gradients of leaves
  // add up over calls until zero_grad().
  void backward() const;
  void backward(const Tensor& gradient) const;

  // The only element, as a double. Throws Error when there is not exactly one. Waits.
  double item() const;

  // In-place writes, for leaves and buffers outside the tape. Errors on a tensor with history.
  void fill_(double value);
  void copy_(const Tensor& from);
  // To be called by whoever writes through data().
  void bump_version() const { ++impl_->storage->version; }

  const std::shared_ptr<TensorImpl>& impl() const { return impl_; }

 private:
  void note_use() const;
  void await_arrival() const;

  std::shared_ptr<TensorImpl> impl_;
};

template <class T>
struct DTypeOf;
template <>
struct DTypeOf<float> {
  static constexpr DType value = DType::f32;
};
template <>
struct DTypeOf<double> {
  static constexpr DType value = DType::f64;
};
template <>
struct DTypeOf<std::uint8_t> {
  static constexpr DType value = DType::u8;
};
template <>
struct DTypeOf<std::int32_t> {
  static constexpr DType value = DType::i32;
};
template <>
struct DTypeOf<std::int64_t> {
  static constexpr DType value = DType::i64;
};

// Memory with undefined contents. Where there is none left the error names who asked.
using Asked = std::source_location;
Tensor empty(const Shape& shape, const TensorOptions& options = {}, Asked by = Asked::current());
Tensor zeros(const Shape& shape, const TensorOptions& options = {}, Asked by = Asked::current());
Tensor full(const Shape& shape, double value, const TensorOptions& options = {},
            Asked by = Asked::current());
// Copies host memory; throws Error when the count differs from the shape's.
Tensor from_host(const void* data, const Shape& shape, const TensorOptions& options);
void to_host(const Tensor& tensor, void* data);  // dense, in row-major order; waits

void require_dtype(const Tensor& tensor, DType expected);
void require_count(std::size_t found, const Shape& shape);

template <class T>
Tensor from_vector(const std::vector<T>& values, const Shape& shape, const Device& device = {}) {
  require_count(values.size(), shape);
  return from_host(values.data(), shape, {DTypeOf<T>::value, device});
}

// A view of the same memory. Element (i, j, …) lies at offset + Σ index·stride.
Tensor make_view(const Tensor& base, std::int64_t offset, const Shape& shape,
                 const Strides& strides);

template <class T>
T* Tensor::as() const {
  if (impl_->dtype != DTypeOf<T>::value) require_dtype(*this, DTypeOf<T>::value);
  return static_cast<T*>(data());
}

template <class T>
std::vector<T> to_vector(const Tensor& tensor) {
  require_dtype(tensor, DTypeOf<T>::value);
  std::vector<T> values(static_cast<std::size_t>(tensor.count()));
  to_host(tensor, values.data());
  return values;
}

// What is still being written to a storage's memory from outside, by another rank say. While it is
// a storage's `arrival`, whoever asks a tensor for its memory waits for the bytes that the tensor
// spans, and for no others. It stands with the memory, not with a tensor, so that it holds for
// every view, made before or after; when all has come, it takes itself off. Such a storage is for
// one thread, the one that waits: later work of that thread's current stream finds what has come.
class Arrival {
 public:
  virtual ~Arrival() = default;
  // Bytes [begin, end) of the storage, at least one. Throws what the writing has thrown.
  virtual void await(const Storage& storage, std::int64_t begin, std::int64_t end) = 0;
};

}  // namespace convoy
