// SPDX-License-Identifier: MIT
#include "kernels/base.h"

#include "kernels/tuning.h"

namespace convoy {

std::size_t size_of(DType dtype) {
  switch (dtype) {
    case DType::u8:
      return 1;
    case DType::f16:
    case DType::bf16:
      return 2;
    case DType::f32:
    case DType::i32:
      return 4;
    case DType::f64:
    case DType::i64:
      return 8;
  }
  fail("dtype: unknown value {}", static_cast<int>(dtype));
}

const char* name(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return "f32";
    case DType::f16:
      return "f16";
    case DType::bf16:
      return "bf16";
    case DType::f64:
      return "f64";
    case DType::u8:
      return "u8";
    case DType::i32:
      return "i32";
    case DType::i64:
      return "i64";
  }
  fail("dtype: unknown value {}", static_cast<int>(dtype));
}

bool is_floating(DType dtype) {
  return dtype == DType::f32 || dtype == DType::f16 || dtype == DType::bf16 || dtype == DType::f64;
}

DType statistics_dtype(DType dtype) {
  return dtype == DType::f16 || dtype == DType::bf16 ? DType::f32 : dtype;
}

DType result_dtype(const char* op, const char* field, DType operands, std::optional<DType> chosen) {
  const DType result = chosen.value_or(operands);
  const bool in_f32 = result == DType::f32 && statistics_dtype(operands) == DType::f32;
  if (result != operands && !in_f32) {
    fail("{}: {} expects {}{}, found {}", op, field, operands,
         operands == DType::f16 || operands == DType::bf16 ? " or f32" : "", result);
  }
  return result;
}

const char* name(DeviceType type) {
  switch (type) {
    case DeviceType::cpu:
      return "cpu";
    case DeviceType::sim:
      return "sim";
    case DeviceType::cuda:
      return "cuda";
  }
  fail("device: unknown type {}", static_cast<int>(type));
}

std::string to_text(const Device& device) {
  const bool only_one = device.type == DeviceType::cpu || device == Device{DeviceType::sim};
  return only_one ? name(device.type) : fmt::format("{}:{}", name(device.type), device.index);
}

void no_such_device(const char* op, const Device& device) {
  fail("{}: this build has no kernels for device {}", op, device);
}

void unsupported_dtype(const char* op, DType dtype, const char* expected) {
  fail("{}: dtype expects {}, found {}", op, expected, dtype);
}

void unknown_rung(const char* op, std::string_view variant, const char* expected) {
  fail("{}: variant expects {}, found {}{}", op, expected, variant,
       is_variant(op, variant) ? ", which does not take this op on this device" : "");
}

void no_statistics(const char* op) {
  fail("{}: statistics expect one product of f16 or bf16, not a batch or f32: take them apart", op);
}

void too_large_to_fuse(const char* op) {
  fail(
      "{}: with a prologue, statistics or an epilogue expects fewer than 2^31 pixels and weights "
      "per "
      "filter, found more: take a smaller batch, or --no-fuse",
      op);
}

}  // namespace convoy
