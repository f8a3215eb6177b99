// SPDX-License-Identifier: MIT
#include "kernels/tuning.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <set>

#include "kernels/vendor/names.h"

namespace convoy {
namespace {

struct Choices {
  std::mutex mutex;
  std::atomic<bool> open = false;
  std::atomic<KernelFamily> family = KernelFamily::own;
  TuningTable table;
  bool recording = false;
  std::map<std::string, TunableOp> recorded;
  std::set<std::string> without_vendor;
  std::set<std::string> not_there;

  void look_again() { open = family != KernelFamily::own || !table.empty() || recording; }
};
Choices& choices() {
  static Choices all;
  return all;
}

std::string text(const Conv2dGeometry& g) {
  return fmt::format(
      "N{} H{} W{} C{} K{} R{} S{} stride {},{} padding {},{} dilation {},{} groups {}", g.N, g.H,
      g.W, g.C, g.K, g.R, g.S, g.stride_h, g.stride_w, g.pad_h, g.pad_w, g.dilation_h, g.dilation_w,
      g.groups);
}

const char* word(bool there, const char* text) { return there ? text : ""; }

std::string text(const Epilogue& e) {
  return fmt::format("{}{}{}{}", word(e.bias != nullptr, " bias"),
                     word(e.residual != nullptr, " residual"),
                     word(e.activation == Activation::relu, " relu"),
                     word(e.statistics.mean != nullptr, " statistics"));
}

std::string result_text(DType operands, std::optional<DType> result) {
  const DType out = result.value_or(operands);
  return out == operands ? name(operands) : fmt::format("{} to {}", operands, out);
}

struct Ladder {
  std::string_view op;
  std::vector<std::string_view> names;
};
const Ladder kLadders[] = {
    {"gemm",
     {"plain", "onednn", "naive", "shared_tile", "register_tile", "warp_tile", "tensor_core",
      "wgmma"}},
    {"conv2d",
     {"plain", "onednn", "depthwise", "taps", "winograd", "direct", "implicit_gemm",
      "register_tile", "tensor_core", "padded", "halo", "wgmma", "gemm"}},
    {"batch_norm", {"wide_rows", "columns"}},
};

const char* find(const std::vector<const char*>& names, std::string_view wanted) {
  const auto found = std::find(names.begin(), names.end(), wanted);
  return found == names.end() ? nullptr : *found;
}

}  // namespace

const char* name(KernelFamily family) {
  switch (family) {
    case KernelFamily::own:
      return "own";
    case KernelFamily::vendor:
      return "vendor";
    case KernelFamily::automatic:
      return "auto";
  }
  fail("kernels: unknown family {}", static_cast<int>(family));
}

void set_kernel_family(KernelFamily family) {
  Choices& c = choices();
  const std::lock_guard lock(c.mutex);
  c.family = family;
  c.without_vendor.clear();
  c.look_again();
}

KernelFamily kernel_family() { return choices().family; }

std::string tuning_key(const Gemm& op) {
  return fmt::format("gemm M{} N{} K{} batch {} {}{} ld {},{},{} {}{}{}", op.M, op.N, op.K,
                     op.batch, op.transpose_a ? 'T' : 'N', op.transpose_b ? 'T' : 'N', op.lda,
                     op.ldb, op.ldc, result_text(op.dtype, op.out_dtype), text(op.epilogue),
                     word(op.accumulate, " accumulate"));
}

std::string tuning_key(const Conv2dForward& op) {
  return fmt::format("conv2d_forward {} {}{}{}", text(op.g), op.dtype,
                     word(op.prologue.lines != nullptr, " prologue"), text(op.epilogue));
}

std::string tuning_key(const Conv2dBackwardInput& op) {
  return fmt::format(
      "conv2d_backward_input {} {}{}{}{}{}", text(op.g), op.dtype,
      word(op.accumulate, " accumulate"), word(op.prologue.lines != nullptr, " prologue"),
      word(op.epilogue.addend != nullptr, " addend"), word(op.epilogue.raw != nullptr, " mask"));
}

std::string tuning_key(const Conv2dBackwardWeight& op) {
  return fmt::format(
      "conv2d_backward_weight {} {}{}{}{}{}{}", text(op.g), result_text(op.dtype, op.grad_dtype),
      word(op.accumulate, " accumulate"), word(op.prologue.lines != nullptr, " prologue"),
      word(op.gradient_prologue.lines != nullptr, " gradient_prologue"),
      word(op.dweight == nullptr, " no dweight"), word(op.dbias != nullptr, " dbias"));
}

std::string tuning_key(const BatchNormForward& op) {
  return fmt::format("batch_norm_forward rows {} channels {} {}{}{}{}{}", op.rows, op.channels,
                     op.dtype, word(op.training, " training"), word(op.relu, " relu"),
                     word(op.residual != nullptr, " residual"),
                     word(op.running_mean != nullptr, " running"));
}

std::string tuning_key(const BatchNormBackward& op) {
  return fmt::format("batch_norm_backward rows {} channels {} {}{}{}{}{}", op.rows, op.channels,
                     result_text(op.dtype, op.grad_dtype), word(op.training, " training"),
                     word(op.relu, " relu"), word(op.accumulate, " accumulate"),
                     word(op.d_residual != nullptr, " d_residual"));
}

bool is_variant(std::string_view key, std::string_view name) {
  if (vendor::is_vendor(name)) return true;
  return std::any_of(std::begin(kLadders), std::end(kLadders), [&](const Ladder& ladder) {
    return key.starts_with(ladder.op) &&
           std::find(ladder.names.begin(), ladder.names.end(), name) != ladder.names.end();
  });
}

void set_tuning_table(TuningTable table) {
  Choices& c = choices();
  const std::lock_guard lock(c.mutex);
  c.table = std::move(table);
  c.not_there.clear();
  c.look_again();
}

const TuningTable& tuning_table() { return choices().table; }

void start_recording_ops() {
  Choices& c = choices();
  const std::lock_guard lock(c.mutex);
  c.recording = true;
  c.recorded.clear();
  c.look_again();
}

std::map<std::string, TunableOp> stop_recording_ops() {
  Choices& c = choices();
  const std::lock_guard lock(c.mutex);
  c.recording = false;
  c.look_again();
  return std::exchange(c.recorded, {});
}

std::vector<std::string> ops_without_vendor() {
  Choices& c = choices();
  const std::lock_guard lock(c.mutex);
  return {c.without_vendor.begin(), c.without_vendor.end()};
}

std::vector<std::string> choices_not_there() {
  Choices& c = choices();
  const std::lock_guard lock(c.mutex);
  return {c.not_there.begin(), c.not_there.end()};
}

namespace choice {

bool is_open() { return choices().open; }

void record(const std::string& key, TunableOp op) {
  Choices& c = choices();
  const std::lock_guard lock(c.mutex);
  if (c.recording) c.recorded.emplace(key, std::move(op));
}

std::size_t vendors_wanted(const std::string& key) {
  Choices& c = choices();
  const std::lock_guard lock(c.mutex);
  if (c.family == KernelFamily::own) return 0;
  const auto entry = c.table.find(key);
  if (entry != c.table.end() && vendor::is_vendor(entry->second)) {
    return vendor::index_of(entry->second) + 1;
  }
  return c.family == KernelFamily::vendor ? 1 : 0;
}

const char* pick(const std::string& key, const std::vector<const char*>& own,
                 const std::vector<const char*>& vendor) {
  Choices& c = choices();
  const std::lock_guard lock(c.mutex);
  const bool vendors_alone = c.family == KernelFamily::vendor;
  if (vendors_alone && vendor.empty()) c.without_vendor.insert(key);
  const auto entry = c.table.find(key);
  if (entry != c.table.end()) {
    const char* of_vendor = find(vendor, entry->second);
    if (of_vendor != nullptr) return of_vendor;
    const char* ours = find(own, entry->second);
    if (ours != nullptr && (!vendors_alone || vendor.empty())) return ours;
    // With the family `own` the vendor's were not asked for.
    const bool left_out = c.family == KernelFamily::own && vendor::is_vendor(entry->second);
    if (ours == nullptr && !left_out) {
      c.not_there.insert(fmt::format(
          "{} expects {}{}{}, found '{}'{}", key, fmt::join(own, ", "), vendor.empty() ? "" : ", ",
          fmt::join(vendor, ", "), entry->second,
          is_variant(key, entry->second) ? ", which does not take it" : ", which is no variant"));
    }
  }
  return vendors_alone && !vendor.empty() ? vendor.front() : nullptr;
}

}  // namespace choice
}  // namespace convoy
