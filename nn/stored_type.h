// SPDX-License-Identifier: MIT
#pragma once
// The dtypes of the safetensors format, and which of them Convoy computes in. A type that the
// format has and Convoy has not is known, so a file that holds it can be listed, but not loaded.
//
//   stored_type("BF16") == StoredType::BF16;   to_dtype(StoredType::BF16, "fc.bias") == DType::bf16

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "kernels/base.h"

namespace convoy::nn {

// Every dtype of the format, in the reference's order (its writer sorts by it).
enum class StoredType : std::uint8_t {
  BOOL,
  F4,
  F6_E2M3,
  F6_E3M2,
  U8,
  I8,
  F8_E5M2,
  F8_E4M3,
  F8_E8M0,
  F8_E4M3FNUZ,
  F8_E5M2FNUZ,
  I16,
  U16,
  F16,
  BF16,
  I32,
  U32,
  F32,
  C64,
  F64,
  I64,
  U64
};
const char* name(StoredType type);  // as the header spells it
unsigned bits_of(StoredType type);  // per element: 4 and 6 occur
std::optional<StoredType> stored_type(std::string_view name);
inline std::string to_text(StoredType type) { return name(type); }

// Convoy's dtype for it. Throws Error (data) for a type that the format has and Convoy has not.
DType to_dtype(StoredType type, std::string_view tensor);
StoredType to_stored(DType dtype);

}  // namespace convoy::nn
