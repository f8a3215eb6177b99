// SPDX-License-Identifier: MIT
#include "apps/kbench/operands.h"

#include <cstring>
#include <limits>

#include "kernels/half.h"
#include "kernels/random_fill.h"
#include "runtime/run.h"

namespace convoy::kbench {
namespace {

template <class T>
T read_as(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof(T));
  return value;
}

}  // namespace

HostValues::HostValues(DType dtype, std::int64_t count)
    : dtype_(dtype), count_(count), bytes_(static_cast<std::size_t>(count) * size_of(dtype)) {}

double HostValues::operator[](std::int64_t i) const {
  const std::byte* at = bytes_.data() + static_cast<std::size_t>(i) * size_of(dtype_);
  switch (dtype_) {
    case DType::f32:
      return read_as<float>(at);
    case DType::f64:
      return read_as<double>(at);
    case DType::f16:
      return to_float(read_as<F16>(at));
    case DType::bf16:
      return to_float(read_as<BF16>(at));
    case DType::i32:
      return read_as<std::int32_t>(at);
    default:
      fail("kbench: an operand expects a floating dtype or i32, found {}", dtype_);
  }
}

int Operands::add(const Operand& operand) {
  operands_.push_back(operand);
  return static_cast<int>(operands_.size()) - 1;
}
int Operands::input(DType dtype, std::int64_t count, double low, double high) {
  return add({Role::input, dtype, count, low, high});
}
int Operands::output(DType dtype, std::int64_t count) {
  return add({Role::output, dtype, count, 0, 0});
}
int Operands::in_out(DType dtype, std::int64_t count, double low, double high) {
  return add({Role::in_out, dtype, count, low, high});
}

std::vector<int> Operands::written() const {
  std::vector<int> all;
  for (int i = 0; i < static_cast<int>(operands_.size()); ++i) {
    if (operands_[static_cast<std::size_t>(i)].role != Role::input) all.push_back(i);
  }
  return all;
}

std::size_t Operands::bytes_per_set() const {
  std::size_t bytes = 0;
  for (const Operand& o : operands_) bytes += static_cast<std::size_t>(o.count) * size_of(o.dtype);
  return bytes;
}

void Operands::allocate(int sets) {
  for (int set = 0; set < sets; ++set) {
    tensors_.emplace_back();
    for (const Operand& o : operands_) {
      tensors_.back().push_back(empty({o.count}, {o.dtype, device_}));
    }
  }
}

void* Operands::data(int operand, int set) const {
  return tensors_[static_cast<std::size_t>(set)][static_cast<std::size_t>(operand)].data();
}

void Operands::draw(int operand, int set) {
  const Operand& o = operands_[static_cast<std::size_t>(operand)];
  if (o.count == 0) return;
  const PhiloxKey key{.seed = 1 + static_cast<std::uint64_t>(set),
                      .stream = static_cast<std::uint32_t>(operand)};
  run(UniformFill{o.count, data(operand, set), o.dtype, key, o.low, o.high},
      current_stream(device_));
}

void Operands::reset(int set) {
  const bool fresh = drawn_.empty() || set > 0;
  for (int i = 0; i < static_cast<int>(operands_.size()); ++i) {
    Tensor& tensor = tensors_[static_cast<std::size_t>(set)][static_cast<std::size_t>(i)];
    if (operands_[static_cast<std::size_t>(i)].role == Role::output) {
      tensor.fill_(is_floating(tensor.dtype()) ? std::numeric_limits<double>::quiet_NaN() : -7);
    } else if (fresh || operands_[static_cast<std::size_t>(i)].role == Role::in_out) {
      draw(i, set);
    }
  }
}

const HostValues& Operands::drawn(int operand) {
  const auto found = drawn_.find(operand);
  if (found != drawn_.end()) return found->second;
  return drawn_.emplace(operand, now(operand)).first->second;
}

HostValues Operands::now(int operand) const {
  const Operand& o = operands_[static_cast<std::size_t>(operand)];
  HostValues values(o.dtype, o.count);
  to_host(tensors_[0][static_cast<std::size_t>(operand)], values.data());
  return values;
}

}  // namespace convoy::kbench
