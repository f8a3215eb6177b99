// SPDX-License-Identifier: MIT
#pragma once
// Carves one workspace into pieces that start on 64-byte boundaries. Used twice with the same
// sequence of calls: in plan() without memory, to count, and in run().
//
//   Carver carve(workspace);
//   float* packed = carve.take<float>(rows * columns);

#include <cstddef>
#include <cstdint>

namespace convoy::on_cpu {

class Carver {
 public:
  explicit Carver(void* workspace = nullptr) : base_(static_cast<std::byte*>(workspace)) {}

  template <class T>
  T* take(std::int64_t count) {
    void* piece = base_ ? base_ + used_ : nullptr;
    used_ += (static_cast<std::size_t>(count) * sizeof(T) + 63) / 64 * 64;
    return static_cast<T*>(piece);
  }
  std::size_t used() const { return used_; }

 private:
  std::byte* base_;
  std::size_t used_ = 0;
};

}  // namespace convoy::on_cpu
