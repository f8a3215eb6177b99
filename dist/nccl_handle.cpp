// SPDX-License-Identifier: MIT
#include "dist/nccl_handle.h"

#include <thread>
#include <utility>

#include "dist/patience.h"
#include "kernels/require.h"

namespace convoy::dist {
namespace {

ncclDataType_t type_of(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return ncclFloat32;
    case DType::f16:
      return ncclFloat16;
    case DType::bf16:
      return ncclBfloat16;
    case DType::i64:
      return ncclInt64;
    default:
      fail("nccl: expects f32, f16, bf16 or i64, found {}", dtype);
  }
}

cudaStream_t raw(const Stream& stream) { return static_cast<cudaStream_t>(stream.handle); }

}  // namespace

NcclHandle::NcclHandle(const Nccl& nccl, std::chrono::milliseconds timeout)
    : nccl_(nccl), timeout_(timeout) {}

NcclHandle::~NcclHandle() { abort(); }

ncclUniqueId NcclHandle::make_id() {
  ncclUniqueId id{};
  finish(nccl_.ncclGetUniqueId(&id), "making an id");
  return id;
}

void NcclHandle::connect(const ncclUniqueId& id, int rank, int world_size) {
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  config.blocking = 0;
  finish(nccl_.ncclCommInitRankConfig(&comm_, world_size, id, rank, &config), "connecting");
}

void NcclHandle::reduce_scatter(const std::byte* in, std::byte* out, std::int64_t part, DType dtype,
                                const Stream& stream) {
  finish_start(nccl_.ncclReduceScatter(in, out, part, type_of(dtype), ncclSum, comm_, raw(stream)));
}

void NcclHandle::all_gather(const std::byte* in, std::byte* out, std::int64_t part, DType dtype,
                            const Stream& stream) {
  finish_start(nccl_.ncclAllGather(in, out, part, type_of(dtype), comm_, raw(stream)));
}

void NcclHandle::broadcast(const std::byte* in, std::byte* out, std::int64_t count, DType dtype,
                           int root, const Stream& stream) {
  finish_start(nccl_.ncclBroadcast(in, out, count, type_of(dtype), root, comm_, raw(stream)));
}

// Until the call is through: NCCL has enqueued its work, or has failed.
void NcclHandle::finish(ncclResult_t status, std::string_view doing) {
  Patience patience(timeout_);
  while (status == ncclInProgress) {
    const ncclResult_t asked = nccl_.ncclCommGetAsyncError(comm_, &status);
    if (asked != ncclSuccess) status = asked;
    if (status != ncclInProgress) break;
    require(patience.go_on(), "nccl: {}: expects all ranks to take part within {} s", doing,
            in_seconds(timeout_));
    std::this_thread::sleep_for(std::chrono::microseconds(50));
  }
  require(status == ncclSuccess, "nccl: {}: {}", doing, nccl_.text(status, comm_));
}

std::string NcclHandle::error() {
  ncclResult_t status = ncclSuccess;
  if (comm_ == nullptr) return "";
  const ncclResult_t asked = nccl_.ncclCommGetAsyncError(comm_, &status);
  if (asked != ncclSuccess) status = asked;
  return status == ncclSuccess || status == ncclInProgress ? "" : nccl_.text(status, comm_);
}

void NcclHandle::close() {
  finish(nccl_.ncclCommFinalize(comm_), "closing");
  nccl_.ncclCommDestroy(std::exchange(comm_, nullptr));
}

void NcclHandle::abort() noexcept {
  if (comm_ != nullptr) nccl_.ncclCommAbort(std::exchange(comm_, nullptr));
}

}  // namespace convoy::dist
