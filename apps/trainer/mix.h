// SPDX-License-Identifier: MIT
#pragma once
// Mixup and cutmix of a step's batch on the device (data/batch_mix.h). What is drawn for a batch
// lies where a step that is replayed finds it: which pictures are the partners, the partner's
// weight in each pixel, and its share of the loss.

#include <vector>

#include "apps/trainer/input.h"
#include "data/batch_mix.h"
#include "runtime/ops/cross_entropy.h"
#include "runtime/pinned.h"

namespace convoy::apps {

struct MixConfig {
  data::MixOptions options;
  std::uint64_t seed = 0;
};

class MixSlot {
 public:
  MixSlot(const Device& device, std::int64_t rows, const data::ImageExtent& extent);
  ~MixSlot();
  MixSlot(MixSlot&&) = default;
  MixSlot& operator=(MixSlot&&) = delete;

  // Draws for the batch that `slot` has just loaded.
  void load(const data::Batch& batch, const InputSlot& slot, const MixConfig& config);
  // The current stream's later work finds what was drawn last.
  void enter();

  // The step's pictures, and the loss of logits that were computed from them.
  Tensor mixed(const Tensor& x, const InputSlot& slot, const InputPipeline& input) const;
  Tensor mixed_loss(const Tensor& loss, const Tensor& logits,
                    const CrossEntropyOptions& options) const;

 private:
  struct Staging {
    PinnedBuffer memory;
    Event copied;
  };

  Device device_;
  Tensor index_, rows_, labels_;  // of the partners, as InputSlot's
  Tensor weights_, share_;        // f32 [height, width, 1], []
  std::vector<Staging> staging_;
  std::size_t next_ = 0;
};

}  // namespace convoy::apps
