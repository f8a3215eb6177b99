// SPDX-License-Identifier: MIT
#pragma once
// What one rank asks of the others, as both engines check and print it: "all_reduce 12 of f32
// [100]". Ranks must ask for the same.

#include <cstdint>
#include <string>

#include "dist/partition.h"
#include "runtime/tensor.h"

namespace convoy::dist {

enum class OperationKind : std::uint8_t {
  reduce_scatter,
  all_gather,
  all_reduce,
  broadcast,
  barrier
};

const char* name(OperationKind kind);  // "all_reduce"

struct Operation {
  OperationKind kind = OperationKind::barrier;
  std::int64_t number = 0;  // of this communicator's operations, from 1
  DType dtype = DType::u8;
  std::int64_t count = 0;  // of the whole range
  std::int64_t part = 0;   // of the longest part; 0 where there are none
  int root = 0;            // of a broadcast
  friend bool operator==(const Operation&, const Operation&) = default;
};
std::string to_text(const Operation& operation);

// Both with what tells them apart: "rank 1 asks for all_reduce 12 of f32 [101]".
std::string disagreement(const Operation& ours, int rank, const Operation& theirs);

// One rank's side of an operation, checked: dense tensors of one summable dtype on `device`, with
// the counts that the parts ask for. Throws Error.
Operation cut_operation(OperationKind kind, const Tensor& in, const Tensor& out,
                        const Partition& parts, int rank, int world_size);
Operation broadcast_operation(const Tensor& data, int root, int world_size);

}  // namespace convoy::dist
