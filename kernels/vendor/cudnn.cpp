// SPDX-License-Identifier: MIT
#include "kernels/vendor/cudnn.h"

#include <map>

#include "kernels/require.h"
#include "kernels/vendor/library.h"

namespace convoy::vendor {
namespace {

// The library without one of its functions is as good as missing.
void find_all(Library& library, Cudnn& functions) {
#define CONVOY_FIND(name)                                  \
  functions.name = library.find<decltype(&::name)>(#name); \
  if (library.loaded() && functions.name == nullptr) library.leave_out("it lacks " #name);
  CONVOY_CUDNN_FUNCTIONS(CONVOY_FIND)
#undef CONVOY_FIND
}

}  // namespace

const Cudnn* cudnn() {
  static Library& library = vendor_library("cudnn");
  static const Cudnn all = [] {
    Cudnn functions;
    find_all(library, functions);
    return functions;
  }();
  return library.loaded() ? &all : nullptr;
}

void check(const Cudnn& library, cudnnStatus_t status, const char* doing) {
  if (status == CUDNN_STATUS_SUCCESS) return;
  char why[512] = "";
  library.cudnnGetLastErrorString(why, sizeof why);
  throw Error(fmt::format("cudnn: {}: {}: {}", doing, library.cudnnGetErrorString(status), why));
}

cudnnHandle_t cudnn_handle(const Cudnn& library, const Device& device) {
  thread_local std::map<int, cudnnHandle_t> handles;
  cudnnHandle_t& handle = handles[device.index];
  if (handle == nullptr) check(library, library.cudnnCreate(&handle), "opening the library");
  return handle;
}

const Cudnn* open_cudnn(const Device& device) {
  const Cudnn* library = cudnn();
  if (library == nullptr) return nullptr;
  try {
    cudnn_handle(*library, device);
    return library;
  } catch (const Error& error) {
    vendor_library("cudnn").leave_out(error.what());
    return nullptr;
  }
}

Descriptor::Descriptor(const Cudnn& library, cudnnBackendDescriptorType_t type)
    : library_(&library) {
  check(library, library.cudnnBackendCreateDescriptor(type, &handle_), "creating a descriptor");
}

Descriptor::~Descriptor() {
  if (handle_ != nullptr) library_->cudnnBackendDestroyDescriptor(handle_);
}

void Descriptor::set(cudnnBackendAttributeName_t name, const std::vector<Descriptor>& values) {
  std::vector<cudnnBackendDescriptor_t> handles;
  for (const Descriptor& value : values) handles.push_back(value.get());
  set_raw(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, static_cast<std::int64_t>(handles.size()),
          handles.data());
}

void Descriptor::finalize(const char* doing) {
  check(*library_, library_->cudnnBackendFinalize(handle_), doing);
}

bool Descriptor::try_finalize() {
  return library_->cudnnBackendFinalize(handle_) == CUDNN_STATUS_SUCCESS;
}

std::vector<Descriptor> Descriptor::descriptors(cudnnBackendAttributeName_t name,
                                                cudnnBackendDescriptorType_t type,
                                                std::int64_t most) const {
  std::vector<Descriptor> found;
  std::vector<cudnnBackendDescriptor_t> handles;
  for (std::int64_t i = 0; i < most; ++i)
    handles.push_back(found.emplace_back(*library_, type).get());
  const std::int64_t count = get_raw(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, most, handles.data());
  while (static_cast<std::int64_t>(found.size()) > count) found.pop_back();
  return found;
}

void Descriptor::set_raw(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type,
                         std::int64_t count, const void* values) {
  check(*library_, library_->cudnnBackendSetAttribute(handle_, name, type, count, values),
        "setting an attribute");
}

std::int64_t Descriptor::get_raw(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type,
                                 std::int64_t count, void* values) const {
  std::int64_t found = 0;
  check(*library_, library_->cudnnBackendGetAttribute(handle_, name, type, count, &found, values),
        "reading an attribute");
  return found;
}

}  // namespace convoy::vendor
