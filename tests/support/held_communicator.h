// SPDX-License-Identifier: MIT
#pragma once
// A communicator of one process that pretends to be rank `rank` of `world_size` equal ones, whose
// all-gathers have not come until they are waited for: meanwhile the other ranks' parts are NaN.
// What it gives then is what stood there. After fail() waiting is an Error.

#include <cstring>
#include <string>
#include <vector>

#include "dist/communicator.h"
#include "runtime/stream.h"

namespace convoy::dist {

class HeldCommunicator final : public Communicator {
 public:
  HeldCommunicator(int rank, int world_size) : rank_(rank), world_size_(world_size) {}

  int rank() const override { return rank_; }
  int world_size() const override { return world_size_; }
  const char* name() const override { return "held"; }

  Work all_gather(const Tensor&, const Tensor& out, const Partition& parts) override {
    auto state = std::make_shared<Held>(*this, out);
    const auto size = static_cast<std::int64_t>(size_of(out.dtype()));
    const Range own = parts.of(rank_);
    std::vector<char> poisoned(state->bytes.size(), '\xff');  // NaN in every floating dtype
    std::memcpy(poisoned.data() + own.begin * size, state->bytes.data() + own.begin * size,
                static_cast<std::size_t>(own.count() * size));
    state->copy(state->memory, poisoned.data());
    return Work(state);
  }
  Work reduce_scatter(const Tensor&, const Tensor&, const Partition&) override { return {}; }
  Work all_reduce(const Tensor&, const Tensor&, const Partition&) override { return {}; }
  Work broadcast(const Tensor&, int) override { return {}; }
  void barrier() override {}

  void fail(const std::string& why) { failure_ = why; }
  int awaited() const { return awaited_; }  // how many

 private:
  // As Gloo does, it asks the tensor for its memory at once and never again.
  struct Held final : Work::State {
    Held(HeldCommunicator& by, const Tensor& out)
        : communicator(by),
          tensor(out),
          memory(out.data()),
          bytes(static_cast<std::size_t>(out.count()) * size_of(out.dtype())) {
      copy(bytes.data(), memory);
    }
    void copy(void* to, const void* from) const {
      DeviceBackend& device = backend(tensor.device());
      device.copy(to, from, bytes.size(), current_stream(tensor.device()));
      device.synchronize(current_stream(tensor.device()));
    }
    void wait() override {
      if (!communicator.failure_.empty()) throw Error(communicator.failure_);
      copy(memory, bytes.data());
      ++communicator.awaited_;
    }
    bool has_passed() override { return false; }

    HeldCommunicator& communicator;
    Tensor tensor;  // kept alive
    void* memory;
    std::vector<char> bytes;
  };

  int rank_, world_size_;
  std::string failure_;
  int awaited_ = 0;
};

}  // namespace convoy::dist
