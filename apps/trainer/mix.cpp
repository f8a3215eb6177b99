// SPDX-License-Identifier: MIT
#include "apps/trainer/mix.h"

#include <algorithm>
#include <array>

#include "runtime/ops.h"

namespace convoy::apps {
namespace {

std::size_t bytes_on_host(const Tensor& t) {
  return static_cast<std::size_t>(t.count()) * size_of(t.dtype());
}

// Takes pieces of page-locked memory one after the other, in the order of the tensors.
class Pieces {
 public:
  explicit Pieces(const PinnedBuffer& memory) : at_(static_cast<std::byte*>(memory.data())) {}
  template <class T>
  std::span<T> next(const Tensor& t) {
    const std::span<T> piece(reinterpret_cast<T*>(at_), static_cast<std::size_t>(t.count()));
    at_ += bytes_on_host(t);
    return piece;
  }
  const std::byte* next_bytes(const Tensor& t) {
    const std::byte* piece = at_;
    at_ += bytes_on_host(t);
    return piece;
  }

 private:
  std::byte* at_;
};

}  // namespace

MixSlot::MixSlot(const Device& device, std::int64_t rows, const data::ImageExtent& e)
    : device_(device),
      index_(empty({rows}, {DType::i64, device})),
      rows_(empty({rows, 3}, {DType::i32, device})),
      labels_(empty({rows}, {DType::i32, device})),
      weights_(empty({e.height, e.width, 1}, {DType::f32, device})),
      share_(empty({}, {DType::f32, device})) {
  std::size_t bytes = 0;
  for (const Tensor& t : {index_, rows_, labels_, weights_, share_}) bytes += bytes_on_host(t);
  for (int i = 0; i < 2; ++i) staging_.push_back({PinnedBuffer(device, bytes), Event(device)});
}

// A copy must not outlive what it reads from.
MixSlot::~MixSlot() {
  for (const Staging& staging : staging_) staging.copied.settle();
}

void MixSlot::load(const data::Batch& batch, const InputSlot& slot, const MixConfig& config) {
  next_ = (next_ + 1) % staging_.size();
  staging_[next_].copied.synchronize();
  Pieces pieces(staging_[next_].memory);
  const auto index = pieces.next<std::int64_t>(index_);
  const auto shifts = pieces.next<std::int32_t>(rows_), labels = pieces.next<std::int32_t>(labels_);
  for (std::size_t r = 0; r < index.size(); ++r) {
    const std::int64_t partner = data::partner_of(static_cast<std::int64_t>(r), batch.valid);
    const auto p = static_cast<std::size_t>(partner);
    index[r] = slot.place_of(batch, partner);
    const ImageRow& row = batch.row[p];
    std::ranges::copy(std::array{row.offset_y, row.offset_x, row.flip}, &shifts[3 * r]);
    labels[r] = batch.labels[p];
  }
  const data::BatchMix mix =
      data::draw_mix(config.options, batch.extent,
                     {.seed = config.seed, .epoch = batch.epoch, .index = batch.position});
  data::fill_weights(mix, batch.extent, pieces.next<float>(weights_));
  pieces.next<float>(share_)[0] = static_cast<float>(mix.share);
}

void MixSlot::enter() {
  const Stream stream = current_stream(device_);
  Pieces pieces(staging_[next_].memory);
  for (const Tensor& to : {index_, rows_, labels_, weights_, share_}) {
    backend(device_).copy(to.data(), pieces.next_bytes(to), bytes_on_host(to), stream);
  }
  staging_[next_].copied.record(stream);
}

Tensor MixSlot::mixed(const Tensor& x, const InputSlot& slot, const InputPipeline& input) const {
  const Tensor partners = input.images(slot.images(), index_, rows_);
  return x + cast(weights_, x.dtype()) * (partners - x);
}

Tensor MixSlot::mixed_loss(const Tensor& loss, const Tensor& logits,
                           const CrossEntropyOptions& options) const {
  return loss + share_ * (cross_entropy(logits, labels_, options) - loss);
}

}  // namespace convoy::apps
