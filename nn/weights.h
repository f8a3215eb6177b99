// SPDX-License-Identifier: MIT
#pragma once
// Weights of a model from and to safetensors files, by PyTorch's names and in PyTorch's layout:
// tensors of four dimensions are filters, OIHW in the file and KRSC (OHWI) here.
//
//   save_weights(model, "out/model.safetensors");
//   load_weights(model, "resnet20.safetensors");

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "nn/module.h"
#include "nn/parameter_store.h"
#include "nn/safetensors.h"

namespace convoy::nn {

// Fills all parameters and buffers of the model. Throws Error (data) if the file does not hold
// exactly those, in their shapes: the text counts what is missing, unexpected and of another shape,
// and names the first three of each; the model is left as it was. F16, BF16, F32 and F64 are
// converted. Tolerated: the counters `num_batches_tracked`, which nothing here needs, and the
// prefix "module." that PyTorch's DataParallel leaves on every name.
void load_weights(Module& model, const std::filesystem::path& path);

WrittenFile save_weights(const Module& model, const std::filesystem::path& path);

// The same for a model whose parameters are half: weights in full precision, from their store.
void load_weights(Module& model, ParameterStore& store, const std::filesystem::path& path);
WrittenFile save_weights(const Module& model, const ParameterStore& store,
                         const std::filesystem::path& path);
// The same for weights that stand for the model's own, under the names of its state().
WrittenFile save_weights(const std::vector<NamedTensor>& weights,
                         const std::filesystem::path& path);

// The same for any list of tensors, say an optimizer's state. `what` names them in errors: "the
// model".
void load_tensors(const std::vector<NamedTensor>& tensors, const std::filesystem::path& path,
                  const std::string& what);
WrittenFile save_tensors(const std::vector<NamedTensor>& tensors, const std::filesystem::path& path,
                         const std::map<std::string, std::string>& metadata = {});

}  // namespace convoy::nn
