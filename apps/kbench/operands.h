// SPDX-License-Identifier: MIT
#pragma once
// The memory of a problem: its operands, several sets of them, and what the host knows of the
// first.
//
//   Operands memory(device);
//   const int x = memory.input(DType::f16, n), y = memory.output(DType::f16, n);
//   memory.allocate(3);
//   memory.reset(0);                        // inputs as drawn, outputs NaN
//   launch(memory.data(x, 0), memory.data(y, 0));
//   memory.now(y)[5] against memory.drawn(x)[5]

#include <map>
#include <memory>
#include <vector>

#include "runtime/tensor.h"

namespace convoy::kbench {

// An array on the host, in its own dtype.
class HostValues {
 public:
  HostValues(DType dtype, std::int64_t count);

  DType dtype() const { return dtype_; }
  std::int64_t count() const { return count_; }
  double operator[](std::int64_t i) const;
  void* data() { return bytes_.data(); }

 private:
  DType dtype_;
  std::int64_t count_;
  std::vector<std::byte> bytes_;
};

class Operands {
 public:
  explicit Operands(const Device& device) : device_(device) {}

  // Random numbers in [low, high); an in-out operand is drawn again by reset.
  int input(DType dtype, std::int64_t count, double low = -1, double high = 1);
  int output(DType dtype, std::int64_t count);
  int in_out(DType dtype, std::int64_t count, double low = -1, double high = 1);

  // Those that a launch writes.
  std::vector<int> written() const;
  std::size_t bytes_per_set() const;
  void allocate(int sets);  // not yet drawn: reset does that
  int sets() const { return static_cast<int>(tensors_.size()); }
  void* data(int operand, int set) const;

  void reset(int set);
  // Of set 0: as an input was drawn, and as an operand is now. Both wait.
  const HostValues& drawn(int operand);
  HostValues now(int operand) const;

 private:
  enum class Role { input, output, in_out };
  struct Operand {
    Role role;
    DType dtype;
    std::int64_t count;
    double low, high;
  };
  int add(const Operand& operand);
  void draw(int operand, int set);

  Device device_;
  std::vector<Operand> operands_;
  std::vector<std::vector<Tensor>> tensors_;  // [set][operand]
  std::map<int, HostValues> drawn_;
};

}  // namespace convoy::kbench
