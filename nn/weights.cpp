// SPDX-License-Identifier: MIT
#include "nn/weights.h"

#include <algorithm>
#include <optional>

#include "kernels/copy.h"
#include "nn/in_quotes.h"
#include "runtime/autograd.h"
#include "runtime/ops/view.h"
#include "runtime/run.h"

namespace convoy::nn {
namespace {

const Shape kToFile{0, 3, 1, 2};    // KRSC -> OIHW
const Shape kFromFile{0, 2, 3, 1};  // OIHW -> KRSC

std::vector<std::uint64_t> file_shape(const Tensor& tensor) {
  std::vector<std::uint64_t> shape;
  for (int i = 0; i < tensor.rank(); ++i) {
    const int dim = tensor.rank() == 4 ? static_cast<int>(kToFile[i]) : i;
    shape.push_back(static_cast<std::uint64_t>(tensor.shape()[dim]));
  }
  return shape;
}

bool is_counter(std::string_view name) { return name.ends_with("num_batches_tracked"); }

// "module." if all names begin with it.
std::string_view common_prefix(const SafetensorsHeader& header) {
  constexpr std::string_view kPrefix = "module.";
  const bool all = std::all_of(header.tensors.begin(), header.tensors.end(),
                               [&](const TensorEntry& t) { return t.name.starts_with(kPrefix); });
  return all ? kPrefix : std::string_view();
}

// "2 missing (a, b)", the first three by name.
struct Problems {
  const char* kind;
  std::vector<std::string> names;
  void add_to(std::string& text) const {
    if (names.empty()) return;
    constexpr std::size_t kShown = 3;
    const auto shown = std::span(names).first(std::min(kShown, names.size()));
    text += fmt::format("{}{} {} ({}{})", text.empty() ? "" : ", ", names.size(), kind,
                        fmt::join(shown, ", "), names.size() > kShown ? ", ..." : "");
  }
};

using Entries = std::map<std::string_view, const TensorEntry*>;

// The entry of each tensor, in order; a list of all differences if they do not match.
std::vector<const TensorEntry*> match(const std::vector<NamedTensor>& tensors, Entries entries,
                                      const std::string& file, const std::string& what) {
  std::vector<const TensorEntry*> found;
  Problems missing{"missing", {}}, unexpected{"unexpected", {}}, misshaped{"of another shape", {}};
  for (const NamedTensor& t : tensors) {
    const auto at = entries.find(t.name);
    if (at == entries.end()) {
      missing.names.push_back(in_quotes(t.name));
      continue;
    }
    const auto expected = file_shape(t.tensor);
    if (at->second->shape != expected) {
      misshaped.names.push_back(fmt::format("{}: expected [{}], found [{}]", in_quotes(t.name),
                                            fmt::join(expected, ", "),
                                            fmt::join(at->second->shape, ", ")));
    }
    found.push_back(at->second);
    entries.erase(at);
  }
  for (const auto& [name, entry] : entries) {
    if (!is_counter(name)) unexpected.names.push_back(in_quotes(name));
  }
  std::string text;
  missing.add_to(text);
  unexpected.add_to(text);
  misshaped.add_to(text);
  if (!text.empty()) {
    fail_data("{}: does not fit {}, which has {} tensors: {}", file, what, tensors.size(), text);
  }
  return found;
}

Shape to_shape(const std::vector<std::uint64_t>& extents) {
  Shape shape;
  for (const std::uint64_t e : extents) shape.push_back(static_cast<std::int64_t>(e));
  return shape;
}

// The entry's values in host memory, in `dtype` and our layout (perhaps as a strided view).
Tensor read_tensor(const SafetensorsReader& reader, const TensorEntry& entry, DType dtype) {
  const DType stored = to_dtype(entry.dtype, entry.name);
  if (stored != dtype && !(is_floating(stored) && is_floating(dtype))) {
    fail_data("{}: tensor {}: expected values of {}, found {}", reader.path(),
              in_quotes(entry.name), dtype, stored);
  }
  Tensor tensor = empty(to_shape(entry.shape), {.dtype = stored});
  reader.read(entry, {static_cast<std::byte*>(tensor.data()), entry.bytes()});
  if (stored != dtype) {
    const Tensor converted = empty(tensor.shape(), {.dtype = dtype});
    run(Cast{tensor.count(), tensor.data(), stored, converted.data(), dtype}, tensor.stream());
    tensor = converted;
  }
  return tensor.rank() == 4 ? permute(tensor, kFromFile) : tensor;
}

}  // namespace

void load_tensors(const std::vector<NamedTensor>& tensors, const std::filesystem::path& path,
                  const std::string& what) {
  const NoGrad inference;
  const SafetensorsReader reader(path);
  const std::string_view prefix = common_prefix(reader.header());
  Entries entries;
  for (const TensorEntry& entry : reader.header().tensors) {
    entries[std::string_view(entry.name).substr(prefix.size())] = &entry;
  }
  const auto found = match(tensors, std::move(entries), reader.path(), what);
  std::vector<Tensor> values;  // all are read before any is written
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    values.push_back(read_tensor(reader, *found[i], tensors[i].tensor.dtype()));
  }
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    Tensor target = tensors[i].tensor;
    target.copy_(values[i]);
  }
}

WrittenFile save_tensors(const std::vector<NamedTensor>& tensors, const std::filesystem::path& path,
                         const std::map<std::string, std::string>& metadata) {
  const NoGrad inference;
  std::vector<Tensor> values;
  std::vector<StoredTensor> stored;
  for (const NamedTensor& t : tensors) {
    const Tensor host = t.tensor.detach().to({});
    values.push_back((host.rank() == 4 ? permute(host, kToFile) : host).contiguous());
    const auto bytes = static_cast<std::size_t>(host.count()) * size_of(host.dtype());
    stored.push_back({t.name,
                      to_stored(host.dtype()),
                      file_shape(host),
                      {static_cast<const std::byte*>(values.back().data()), bytes}});
  }
  return write_safetensors(path, std::move(stored), metadata);
}

void load_weights(Module& model, const std::filesystem::path& path) {
  load_tensors(model.state(), path, "the model");
}

void load_weights(Module& model, ParameterStore& store, const std::filesystem::path& path) {
  store.load_weights(model, [&](const auto& weights) { load_tensors(weights, path, "the model"); });
}

namespace {
// "pt": what PyTorch's loaders look for.
const std::map<std::string, std::string> kMetadata{{"format", "pt"}};
}  // namespace

WrittenFile save_weights(const Module& model, const std::filesystem::path& path) {
  return save_weights(model.state(), path);
}

WrittenFile save_weights(const Module& model, const ParameterStore& store,
                         const std::filesystem::path& path) {
  return save_weights(store.weights(model), path);
}

WrittenFile save_weights(const std::vector<NamedTensor>& weights,
                         const std::filesystem::path& path) {
  return save_tensors(weights, path, kMetadata);
}

}  // namespace convoy::nn
