// SPDX-License-Identifier: MIT
#pragma once
// NCCL's own communicator. Its calls return at once, and while one goes on in the background no
// other may be made: each method here returns when that is through, or throws Error with what NCCL
// says, or when the timeout has passed. Of one thread at a time.
//
//   NcclHandle handle(*nccl_library(), timeout);
//   handle.connect(id, rank, world_size);            // the id that rank 0 has made
//   handle.all_gather(in, out, part, dtype, stream);
//   handle.close();                                  // or abort(), as the destructor does

#include <nccl.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "dist/nccl_library.h"
#include "kernels/base.h"
#include "runtime/device.h"

namespace convoy::dist {

class NcclHandle {
 public:
  NcclHandle(const Nccl& nccl, std::chrono::milliseconds timeout);
  ~NcclHandle();
  NcclHandle(const NcclHandle&) = delete;
  NcclHandle& operator=(const NcclHandle&) = delete;

  ncclUniqueId make_id();
  void connect(const ncclUniqueId& id, int rank, int world_size);

  // Enqueue an operation. `part` counts the elements of one rank's part, all of one length.
  void reduce_scatter(const std::byte* in, std::byte* out, std::int64_t part, DType dtype,
                      const Stream& stream);
  void all_gather(const std::byte* in, std::byte* out, std::int64_t part, DType dtype,
                  const Stream& stream);
  void broadcast(const std::byte* in, std::byte* out, std::int64_t count, DType dtype, int root,
                 const Stream& stream);

  // What NCCL has noticed since, in words; empty where all is well.
  std::string error();
  // Waits for what was enqueued, and for the other ranks to come to it.
  void close();
  // What runs on the device ends, whatever state it is in.
  void abort() noexcept;

 private:
  void finish(ncclResult_t status, std::string_view doing);
  void finish_start(ncclResult_t status) { finish(status, "starting an operation"); }

  const Nccl& nccl_;
  const std::chrono::milliseconds timeout_;
  ncclComm_t comm_ = nullptr;
};

}  // namespace convoy::dist
