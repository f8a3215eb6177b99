// SPDX-License-Identifier: MIT
#include "dist/zero.h"

#include <algorithm>

namespace convoy::dist {
namespace {

// The same bytes in a dtype that communicators take.
Tensor sendable(const Tensor& dense) {
  const DType dtype = dense.dtype();
  if (dtype == DType::f32 || dtype == DType::f16 || dtype == DType::bf16 || dtype == DType::i64) {
    return make_view(dense, 0, {dense.count()}, {1});
  }
  const std::int64_t bytes = dense.count() * static_cast<std::int64_t>(size_of(dtype));
  const std::int64_t first = dense.impl()->offset * static_cast<std::int64_t>(size_of(dtype));
  require(bytes % 8 == 0 && first % 8 == 0,
          "exchange: a tensor of {} expects a multiple of 8 bytes, found {} at byte {}", dtype,
          bytes, first);
  auto impl = std::make_shared<TensorImpl>();
  impl->storage = dense.impl()->storage;
  impl->offset = first / 8;
  impl->shape = {bytes / 8};
  impl->strides = {1};
  impl->dtype = DType::i64;
  return Tensor(std::move(impl));
}

class CommunicatorExchange final : public RankExchange {
 public:
  explicit CommunicatorExchange(Communicator& communicator) : communicator_(communicator) {}
  int rank() const override { return communicator_.rank(); }
  int world_size() const override { return communicator_.world_size(); }
  void gather(const Tensor& own, const Tensor& all) override {
    require(own.is_contiguous() && all.is_contiguous() && own.dtype() == all.dtype() &&
                all.count() == own.count() * world_size(),
            "exchange: expects {} of {} times {} elements, found {} of {}", own.dtype(),
            world_size(), own.count(), all.dtype(), all.count());
    const Tensor in = sendable(own), out = sendable(all);
    communicator_.all_gather(in, out, Partition(out.count(), world_size())).wait();
    all.bump_version();
  }

 private:
  Communicator& communicator_;
};

}  // namespace

std::shared_ptr<RankExchange> rank_exchange(Communicator& communicator) {
  return std::make_shared<CommunicatorExchange>(communicator);
}

std::shared_ptr<const nn::Shards> make_shards(const nn::ParameterStore& store,
                                              const std::vector<Bucket>& buckets,
                                              Communicator& communicator, int zero_stage) {
  auto shards = std::make_shared<nn::Shards>();
  shards->exchange = rank_exchange(communicator);
  shards->zero_stage = zero_stage;
  for (int r = 0; r < communicator.world_size(); ++r) {
    auto& groups = shards->parts.emplace_back(store.groups().size());
    for (const Bucket& bucket : buckets) {
      groups[bucket.group].push_back(bucket.part(r));
    }
    for (nn::Shards::Ranges& ranges : groups) {
      std::sort(ranges.begin(), ranges.end(),
                [](const auto& a, const auto& b) { return a.begin < b.begin; });
    }
  }
  return shards;
}

}  // namespace convoy::dist
