// SPDX-License-Identifier: MIT
#pragma once
// What the flags of augmentation mean for the samples.

#include "apps/trainer/config.h"
#include "apps/trainer/open_data.h"
#include "data/transforms.h"

namespace convoy::apps {

// Throw a usage error that names the flag: --aa expects rand-m9-n2 (magnitude and number of
// operations, either may be left out) or nothing; --color-jitter one number for brightness,
// contrast and saturation, or one for each and a last one for the hue.
data::RandAugment rand_augment_of(const std::string& aa);
data::ColourJitter colour_jitter_of(const std::vector<double>& color_jitter);
// --train-crop-mode expects rrc or random.
bool is_random_window(const std::string& train_crop_mode);

// What is blanked takes the data set's mean colour, which the model sees as 0.
data::Augmentation augmentation_of(const TrainConfig& config, const InputFormat& input);

}  // namespace convoy::apps
