// SPDX-License-Identifier: MIT
#pragma once
// The binary versions of CIFAR-10 and CIFAR-100, as their page describes them: records of 1 label
// (10 classes) or a coarse and a fine label (100 classes), then 32 x 32 pixels, a plane each of
// red, green and blue. There is no magic number and no checksum, so sizes and labels are all that
// can be checked. Classes of CIFAR-100 are the fine ones.
//
//   auto train = open_cifar("cifar10", CifarVariant::cifar10, "train");   // data_batch_*.bin there

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "data/memory_dataset.h"

namespace convoy::data {

// `automatic` tells by the file's size, and refuses one that fits both.
enum class CifarVariant : std::uint8_t { automatic, cifar10, cifar100 };

// Appends the records of one file to `samples` (interleaving the planes); `samples.extent` and the
// class names are left alone. A count other than the usual one is added to samples.warnings.
// Throws Error of kind data that names the byte and the rule.
void append_cifar(std::span<const std::uint8_t> file, const std::string& name, CifarVariant variant,
                  MemorySamples& samples);

// Split "train" (CIFAR-10: every data_batch_*.bin that is there, in order; fewer than five is a
// warning; CIFAR-100: train.bin) or "test" (test_batch.bin, test.bin). Class names come from
// batches.meta.txt or fine_label_names.txt beside them, where present. A training file that equals
// the test file is an error.
std::unique_ptr<Dataset> open_cifar(const std::filesystem::path& folder, CifarVariant variant,
                                    const std::string& split);

}  // namespace convoy::data
