// SPDX-License-Identifier: MIT
// A stand-in for NCCL's library: ranks are threads of one process, their memory is the host's (the
// simulator's), and whoever comes last to an operation does it for all. It returns at once, as the
// real one does in its non-blocking mode, and is strict: ranks that ask for different things, or
// for something while a call is in progress, get an error, and so does all after it.
#include <nccl.h>

#include <atomic>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "kernels/half.h"

using convoy::BF16;
using convoy::F16;

namespace {

enum class Kind { gather, scatter, broadcast };

struct Call {
  Kind kind{};
  const void* in = nullptr;
  void* out = nullptr;
  std::size_t count = 0;
  ncclDataType_t type{};
  int root = 0;
  bool matches(const Call& other) const {
    return kind == other.kind && count == other.count && type == other.type && root == other.root;
  }
};

struct World {
  std::vector<ncclComm*> ranks;
  int joined = 0;
};

std::mutex mutex;
std::map<std::string, std::weak_ptr<World>> worlds;
std::atomic<void (*)(void*)> synchronize = nullptr;

std::size_t size_of(ncclDataType_t type) {
  return type == ncclInt64 ? 8 : type == ncclFloat32 ? 4 : 2;
}

template <class T, class Add>
void add_all(const std::vector<Call>& calls, std::size_t first, void* out, const Add& add) {
  std::vector<T> sums(calls[0].count);
  for (std::size_t rank = 0; rank < calls.size(); ++rank) {
    const T* const in = static_cast<const T*>(calls[rank].in) + first;
    for (std::size_t i = 0; i < sums.size(); ++i) sums[i] = rank == 0 ? in[i] : add(sums[i], in[i]);
  }
  std::memcpy(out, sums.data(), sums.size() * sizeof(T));
}

void scatter(const std::vector<Call>& calls) {
  std::vector<std::vector<std::byte>> results;  // written last: a rank's out may be in its in
  for (std::size_t rank = 0; rank < calls.size(); ++rank) {
    const std::size_t first = rank * calls[0].count;
    std::vector<std::byte> sums(calls[0].count * size_of(calls[0].type));
    switch (calls[0].type) {
      case ncclFloat32:
        add_all<float>(calls, first, sums.data(), [](float a, float b) { return a + b; });
        break;
      case ncclFloat16:
        add_all<F16>(calls, first, sums.data(), [](F16 a, F16 b) {
          return convoy::from_float<F16>(to_float(a) + to_float(b));
        });
        break;
      case ncclBfloat16:
        add_all<BF16>(calls, first, sums.data(), [](BF16 a, BF16 b) {
          return convoy::from_float<BF16>(to_float(a) + to_float(b));
        });
        break;
      default:
        add_all<std::int64_t>(calls, first, sums.data(),
                              [](std::int64_t a, std::int64_t b) { return a + b; });
    }
    results.push_back(std::move(sums));
  }
  for (std::size_t rank = 0; rank < calls.size(); ++rank) {
    std::memcpy(calls[rank].out, results[rank].data(), results[rank].size());
  }
}

void perform(const std::vector<Call>& calls) {
  const std::size_t bytes = calls[0].count * size_of(calls[0].type);
  if (calls[0].kind == Kind::scatter) return scatter(calls);
  if (calls[0].kind == Kind::broadcast) {
    for (const Call& to : calls) std::memmove(to.out, calls[calls[0].root].in, bytes);
    return;
  }
  std::vector<std::byte> whole(bytes * calls.size());
  for (std::size_t rank = 0; rank < calls.size(); ++rank) {
    std::memcpy(whole.data() + rank * bytes, calls[rank].in, bytes);
  }
  for (const Call& to : calls) std::memcpy(to.out, whole.data(), whole.size());
}

}  // namespace

struct ncclComm {
  std::shared_ptr<World> world;
  Call call;
  bool waits = false;  // in a call
  ncclResult_t status = ncclInProgress;
};

namespace {

ncclResult_t enter(ncclComm* comm, const Call& call, cudaStream_t stream) {
  synchronize.load()(stream);  // what comes before on the stream has written the operands
  const std::lock_guard lock(mutex);
  if (comm->status != ncclSuccess) return ncclInvalidUsage;
  comm->call = call;
  comm->waits = true;
  comm->status = ncclInProgress;
  std::vector<Call> calls;
  for (const ncclComm* other : comm->world->ranks) {
    if (other == nullptr || !other->waits) return ncclInProgress;
    calls.push_back(other->call);
  }
  bool same = true;
  for (const Call& other : calls) same = same && other.matches(call);
  if (same) perform(calls);
  for (ncclComm* other : comm->world->ranks) {
    other->waits = false;
    other->status = same ? ncclSuccess : ncclInvalidArgument;
  }
  return ncclInProgress;
}

void forget(ncclComm* comm) {
  const std::lock_guard lock(mutex);
  for (ncclComm*& rank : comm->world->ranks) {
    if (rank == comm)
      rank = nullptr;
    else if (rank != nullptr && rank->waits)
      rank->status = ncclRemoteError;
  }
  delete comm;
}

}  // namespace

extern "C" {

// How to wait for a stream. To be called first.
void fake_nccl_synchronize_by(void (*function)(void*)) { synchronize = function; }

ncclResult_t ncclGetVersion(int* version) {
  *version = NCCL_VERSION_CODE;
  return ncclSuccess;
}
const char* ncclGetErrorString(ncclResult_t status) {
  return status == ncclRemoteError ? "remote error" : "error";
}
const char* ncclGetLastError(ncclComm_t) { return ""; }

ncclResult_t ncclGetUniqueId(ncclUniqueId* id) {
  static std::atomic<int> number = 0;
  std::memset(id, 0, sizeof *id);
  const std::string text = "world " + std::to_string(++number);
  std::memcpy(id->internal, text.c_str(), text.size());
  return ncclSuccess;
}

ncclResult_t ncclCommInitRankConfig(ncclComm_t* comm, int count, ncclUniqueId id, int rank,
                                    ncclConfig_t* config) {
  if (config->blocking != 0) return ncclInvalidArgument;
  const std::lock_guard lock(mutex);
  std::weak_ptr<World>& known = worlds[id.internal];
  std::shared_ptr<World> world = known.lock();
  if (!world) known = world = std::make_shared<World>();
  world->ranks.resize(count);
  *comm = world->ranks[rank] = new ncclComm{.world = world, .call = {}};
  if (++world->joined < count) return ncclInProgress;
  for (ncclComm* each : world->ranks) each->status = ncclSuccess;
  return ncclInProgress;
}

ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t* status) {
  const std::lock_guard lock(mutex);
  *status = comm->status;
  return ncclSuccess;
}
ncclResult_t ncclCommFinalize(ncclComm_t) { return ncclSuccess; }
ncclResult_t ncclCommDestroy(ncclComm_t comm) {
  forget(comm);
  return ncclSuccess;
}
ncclResult_t ncclCommAbort(ncclComm_t comm) {
  forget(comm);
  return ncclSuccess;
}

ncclResult_t ncclAllGather(const void* in, void* out, std::size_t count, ncclDataType_t type,
                           ncclComm_t comm, cudaStream_t stream) {
  return enter(comm, {Kind::gather, in, out, count, type}, stream);
}
ncclResult_t ncclReduceScatter(const void* in, void* out, std::size_t count, ncclDataType_t type,
                               ncclRedOp_t op, ncclComm_t comm, cudaStream_t stream) {
  if (op != ncclSum) return ncclInvalidArgument;
  return enter(comm, {Kind::scatter, in, out, count, type}, stream);
}
ncclResult_t ncclBroadcast(const void* in, void* out, std::size_t count, ncclDataType_t type,
                           int root, ncclComm_t comm, cudaStream_t stream) {
  return enter(comm, {Kind::broadcast, in, out, count, type, root}, stream);
}

}  // extern "C"
