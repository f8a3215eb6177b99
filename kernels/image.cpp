// SPDX-License-Identifier: MIT
#include "kernels/image.h"

namespace convoy {

void require_valid(const ImageNormalize& op) {
  require(op.channels >= 1 && op.channels <= kMaxImageChannels && op.out_channels >= op.channels,
          "image: 1 to {} channels and at least as many output channels expected, found {} and {}",
          kMaxImageChannels, op.channels, op.out_channels);
  require(op.index || op.batch <= op.images,
          "image: a batch of {} expects as many images, found {}", op.batch, op.images);
}

}  // namespace convoy
