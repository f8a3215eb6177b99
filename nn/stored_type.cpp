// SPDX-License-Identifier: MIT
#include "nn/stored_type.h"

#include <array>

#include "nn/in_quotes.h"

namespace convoy::nn {
namespace {

struct TypeInfo {
  const char* name;
  unsigned bits;
};
constexpr std::array<TypeInfo, 22> kTypes{
    {{"BOOL", 8},        {"F4", 4},      {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"U8", 8},
     {"I8", 8},          {"F8_E5M2", 8}, {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8},
     {"F8_E5M2FNUZ", 8}, {"I16", 16},    {"U16", 16},    {"F16", 16},    {"BF16", 16},
     {"I32", 32},        {"U32", 32},    {"F32", 32},    {"C64", 64},    {"F64", 64},
     {"I64", 64},        {"U64", 64}}};

}  // namespace

const char* name(StoredType type) { return kTypes[static_cast<std::size_t>(type)].name; }

unsigned bits_of(StoredType type) { return kTypes[static_cast<std::size_t>(type)].bits; }

std::optional<StoredType> stored_type(std::string_view name) {
  for (std::size_t i = 0; i < kTypes.size(); ++i) {
    if (name == kTypes[i].name) return static_cast<StoredType>(i);
  }
  return std::nullopt;
}

DType to_dtype(StoredType type, std::string_view tensor) {
  switch (type) {
    case StoredType::F32:
      return DType::f32;
    case StoredType::F16:
      return DType::f16;
    case StoredType::BF16:
      return DType::bf16;
    case StoredType::F64:
      return DType::f64;
    case StoredType::BOOL:
    case StoredType::U8:
      return DType::u8;
    case StoredType::I32:
      return DType::i32;
    case StoredType::I64:
      return DType::i64;
    default:
      break;
  }
  fail_data(
      "tensor {}: dtype {} is known to the format but not supported: expected F32, F16, BF16, "
      "F64, BOOL, U8, I32 or I64",
      in_quotes(tensor), type);
}

StoredType to_stored(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return StoredType::F32;
    case DType::f16:
      return StoredType::F16;
    case DType::bf16:
      return StoredType::BF16;
    case DType::f64:
      return StoredType::F64;
    case DType::u8:
      return StoredType::U8;
    case DType::i32:
      return StoredType::I32;
    case DType::i64:
      return StoredType::I64;
  }
  fail("safetensors: unknown dtype {}", static_cast<int>(dtype));
}

}  // namespace convoy::nn
