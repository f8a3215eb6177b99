// SPDX-License-Identifier: MIT
#include "kernels/cpu/onednn.h"

#include "kernels/cpu/parallel.h"

namespace convoy::on_cpu {

const dnnl::engine& onednn_engine() {
  static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

dnnl::stream& onednn_stream() {
  thread_local dnnl::stream stream(onednn_engine());
  return stream;
}

dnnl::primitive_attr onednn_attributes() {
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attributes;
}

dnnl::memory onednn_memory(const dnnl::memory::desc& desc, const void* data) {
  return dnnl::memory(desc, onednn_engine(), const_cast<void*>(data));
}

void onednn_failed(const char* op, const dnnl::error& error) {
  fail("{}: oneDNN expects a supported primitive, found status {} ({})", op,
       static_cast<int>(error.status), error.what());
}

PrimitiveKey::PrimitiveKey(std::initializer_list<std::int64_t> values) {
  require(values.size() < values_.size(), "onednn: a key expects fewer than {} numbers, found {}",
          values_.size(), values.size());
  std::copy(values.begin(), values.end(), values_.begin());
  values_.back() = thread_count();
}

// FNV-1a over whole numbers, with a final mix so that the low bits depend on all of them.
std::size_t PrimitiveKey::hash() const {
  std::uint64_t h = 14695981039346656037ull;
  for (const std::int64_t v : values_) h = (h ^ static_cast<std::uint64_t>(v)) * 1099511628211ull;
  return static_cast<std::size_t>(h ^ (h >> 32));
}

}  // namespace convoy::on_cpu
