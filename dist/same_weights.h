// SPDX-License-Identifier: MIT
#pragma once
// Whether all ranks have the same weights, as they must have after each step, in which they step
// alike by the same gradients. Where they come apart, memory or a processor of a rank is at fault,
// and no sum tells: all go on, and what is saved is rank 0's.
//
// What is compared is a hash per parameter, made on the host: of what the model computes with, of
// whole f32 masters, and of averages of weights (nn/ema.h), which show in no step. An optimizer's
// state that has come apart shows a step later. With ZeRO neither it nor averages can come apart:
// each part has one owner, whose faults all share.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "dist/communicator.h"
#include "nn/ema.h"
#include "nn/parameter_store.h"

namespace convoy::dist {

// For all ranks to call together, over host memory: what is wrong, the same text on all of them,
// and nothing where nothing is. `averages` may be null.
std::optional<std::string> compare_weights(const nn::ParameterStore& store, const nn::Ema* averages,
                                           Communicator& host);

// FNV-1a over words of 64 bits and what is left of one, its upper half folded into its lower after
// each: else upper bits would never reach lower ones, and two changed signs cancel. Bytes that
// differ in one word never have the same.
std::uint64_t hash_words(const void* data, std::size_t bytes,
                         std::uint64_t hash = 0xcbf29ce484222325);

// What is wrong where ranks have different hashes, nothing where they have not. `hashes` are all
// ranks', one per name each, in the ranks' order. A rank is named where more than half of all
// agree on another hash.
std::optional<std::string> difference_of_weights(const std::vector<std::string>& names,
                                                 const std::vector<std::int64_t>& hashes);

// Changes one bit of the first parameter, as a fault of memory would.
void flip_bit(const nn::ParameterStore& store);

}  // namespace convoy::dist
