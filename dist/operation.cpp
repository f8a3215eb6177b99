// SPDX-License-Identifier: MIT
#include "dist/operation.h"

namespace convoy::dist {

const char* name(OperationKind kind) {
  switch (kind) {
    case OperationKind::reduce_scatter:
      return "reduce_scatter";
    case OperationKind::all_gather:
      return "all_gather";
    case OperationKind::all_reduce:
      return "all_reduce";
    case OperationKind::broadcast:
      return "broadcast";
    case OperationKind::barrier:
      return "barrier";
  }
  return "unknown";
}

namespace {

void check_tensor(const char* op, const char* role, const Tensor& tensor, std::int64_t count) {
  require(tensor.defined(), "{}: {} expects a tensor, found none", op, role);
  const DType dtype = tensor.dtype();
  require(dtype == DType::f32 || dtype == DType::f16 || dtype == DType::bf16 || dtype == DType::i64,
          "{}: {} expects f32, f16, bf16 or i64, found {}", op, role, dtype);
  require(tensor.is_contiguous(), "{}: {} expects a dense tensor, found strides of shape {}", op,
          role, tensor.shape());
  require(tensor.count() == count, "{}: {} expects {} elements, found {}", op, role, count,
          tensor.count());
}

}  // namespace

std::string to_text(const Operation& operation) {
  const std::string head = fmt::format("{} {}", name(operation.kind), operation.number);
  if (operation.kind == OperationKind::barrier) return head;
  const std::string what = fmt::format("{} of {} [{}]", head, operation.dtype, operation.count);
  if (operation.kind != OperationKind::broadcast) return what;
  return fmt::format("{} from rank {}", what, operation.root);
}

std::string disagreement(const Operation& ours, int rank, const Operation& theirs) {
  if (to_text(ours) != to_text(theirs)) {
    return fmt::format("rank {} asks for {}", rank, to_text(theirs));
  }
  return fmt::format("this rank has parts of {}, rank {} of {}", ours.part, rank, theirs.part);
}

Operation cut_operation(OperationKind kind, const Tensor& in, const Tensor& out,
                        const Partition& parts, int rank, int world_size) {
  const char* const op = name(kind);
  require(parts.world_size() == world_size, "{}: expects {} parts, one for each rank, found {}", op,
          world_size, parts.world_size());
  const std::int64_t part = parts.of(rank).count();
  check_tensor(op, "in", in, kind == OperationKind::all_gather ? part : parts.count());
  check_tensor(op, "out", out, kind == OperationKind::reduce_scatter ? part : parts.count());
  require(in.dtype() == out.dtype(), "{}: out expects {}, as in is, found {}", op, in.dtype(),
          out.dtype());
  require(in.device() == out.device(), "{}: out expects to be on {}, as in is, found {}", op,
          in.device(), out.device());
  return {.kind = kind, .dtype = in.dtype(), .count = parts.count(), .part = parts.part()};
}

Operation broadcast_operation(const Tensor& data, int root, int world_size) {
  require(data.defined(), "broadcast: expects a tensor, found none");
  check_tensor("broadcast", "data", data, data.count());
  require(root >= 0 && root < world_size, "broadcast: root expects a rank from 0 to {}, found {}",
          world_size - 1, root);
  return {
      .kind = OperationKind::broadcast, .dtype = data.dtype(), .count = data.count(), .root = root};
}

}  // namespace convoy::dist
