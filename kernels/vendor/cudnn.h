// SPDX-License-Identifier: MIT
#pragma once
// cuDNN's backend API as it is used here: its functions, found at run time, a handle per device,
// and the one kind of object that it has: a descriptor, which is created, given attributes and
// finalized.
//
//   Descriptor tensor(*cudnn(), CUDNN_BACKEND_TENSOR_DESCRIPTOR);
//   tensor.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, std::int64_t{1});
//   tensor.finalize("describing a tensor");

#include <cudnn_backend.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "kernels/base.h"

namespace convoy::vendor {

#define CONVOY_CUDNN_FUNCTIONS(X)  \
  X(cudnnBackendCreateDescriptor)  \
  X(cudnnBackendDestroyDescriptor) \
  X(cudnnBackendExecute)           \
  X(cudnnBackendFinalize)          \
  X(cudnnBackendGetAttribute)      \
  X(cudnnBackendSetAttribute)      \
  X(cudnnCreate)                   \
  X(cudnnGetErrorString)           \
  X(cudnnGetLastErrorString)       \
  X(cudnnSetStream)

struct Cudnn {
#define CONVOY_DECLARE(name) decltype(&::name) name = nullptr;
  CONVOY_CUDNN_FUNCTIONS(CONVOY_DECLARE)
#undef CONVOY_DECLARE
};

// Null: no library, or one that lacks a function.
const Cudnn* cudnn();

// Throws an Error with what was being done, the status and what the library says led to it.
void check(const Cudnn& library, cudnnStatus_t status, const char* doing);

// Created once for each device and thread and kept: a handle has one stream. The library takes the
// calling thread's device for it, so that must be `device`.
cudnnHandle_t cudnn_handle(const Cudnn& library, const Device& device);

// The library with a handle for the device; null, and the library left out, where there is none:
// its build and the driver may not suit each other.
const Cudnn* open_cudnn(const Device& device);

// How the library calls the type of an attribute's value.
template <class T>
constexpr cudnnBackendAttributeType_t attribute_type() {
  static_assert(std::is_same_v<T, std::int64_t> || !std::is_integral_v<T> ||
                std::is_same_v<T, bool> || std::is_same_v<T, char>);
  if constexpr (std::is_same_v<T, std::int64_t>) return CUDNN_TYPE_INT64;
  if constexpr (std::is_same_v<T, bool>) return CUDNN_TYPE_BOOLEAN;
  if constexpr (std::is_same_v<T, char>) return CUDNN_TYPE_CHAR;
  if constexpr (std::is_same_v<T, float>) return CUDNN_TYPE_FLOAT;
  if constexpr (std::is_same_v<T, void*>) return CUDNN_TYPE_VOID_PTR;
  if constexpr (std::is_same_v<T, cudnnHandle_t>) return CUDNN_TYPE_HANDLE;
  if constexpr (std::is_same_v<T, cudnnDataType_t>) return CUDNN_TYPE_DATA_TYPE;
  if constexpr (std::is_same_v<T, cudnnConvolutionMode_t>) return CUDNN_TYPE_CONVOLUTION_MODE;
  if constexpr (std::is_same_v<T, cudnnBackendHeurMode_t>) return CUDNN_TYPE_HEUR_MODE;
  if constexpr (std::is_same_v<T, cudnnBackendNormMode_t>) return CUDNN_TYPE_NORM_MODE;
  if constexpr (std::is_same_v<T, cudnnBackendNormFwdPhase_t>) return CUDNN_TYPE_NORM_FWD_PHASE;
  if constexpr (std::is_same_v<T, cudnnBackendNumericalNote_t>) return CUDNN_TYPE_NUMERICAL_NOTE;
  if constexpr (std::is_same_v<T, cudnnPointwiseMode_t>) return CUDNN_TYPE_POINTWISE_MODE;
}

class Descriptor {
 public:
  Descriptor(const Cudnn& library, cudnnBackendDescriptorType_t type);
  ~Descriptor();
  Descriptor(Descriptor&& other) noexcept
      : library_(other.library_), handle_(std::exchange(other.handle_, nullptr)) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  Descriptor& operator=(Descriptor&&) = delete;

  cudnnBackendDescriptor_t get() const { return handle_; }

  template <class T>
  void set(cudnnBackendAttributeName_t name, const T& value) {
    set_raw(name, attribute_type<T>(), 1, &value);
  }
  template <class T>
  void set(cudnnBackendAttributeName_t name, const std::vector<T>& values) {
    set_raw(name, attribute_type<T>(), static_cast<std::int64_t>(values.size()), values.data());
  }
  void set(cudnnBackendAttributeName_t name, const Descriptor& value) {
    set_raw(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &value.handle_);
  }
  void set(cudnnBackendAttributeName_t name, const std::vector<Descriptor>& values);
  void finalize(const char* doing);
  // False, and nothing thrown, where the library does not support what was described.
  bool try_finalize();

  template <class T>
  T value(cudnnBackendAttributeName_t name) const {
    T result{};
    get_raw(name, attribute_type<T>(), 1, &result);
    return result;
  }
  // Up to `most` values.
  template <class T>
  std::vector<T> values(cudnnBackendAttributeName_t name, std::int64_t most) const {
    std::vector<T> result(static_cast<std::size_t>(most));
    const std::int64_t count = get_raw(name, attribute_type<T>(), most, result.data());
    result.resize(static_cast<std::size_t>(std::min(count, most)));
    return result;
  }
  // Up to `most` descriptors of a kind, which the library fills in.
  std::vector<Descriptor> descriptors(cudnnBackendAttributeName_t name,
                                      cudnnBackendDescriptorType_t type, std::int64_t most) const;

 private:
  void set_raw(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type,
               std::int64_t count, const void* values);
  std::int64_t get_raw(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type,
                       std::int64_t count, void* values) const;

  const Cudnn* library_;
  cudnnBackendDescriptor_t handle_ = nullptr;
};

}  // namespace convoy::vendor
