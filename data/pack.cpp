// SPDX-License-Identifier: MIT
#include "data/pack.h"

#include <atomic>
#include <fstream>
#include <system_error>

#include "data/mapped_file.h"
#include "data/pack_view.h"
#include "kernels/require.h"

namespace convoy::data {
namespace {

bool is_held_out(const std::string& split) {
  return split == "test" || split == "val" || split == "validation";
}

class Pack : public Dataset {
 public:
  Pack(const std::filesystem::path& path, const DecodeLimits& limits)
      : Dataset(limits),
        file_(path),
        view_(file_.bytes(), file_.path()),
        checked_(std::make_unique<std::atomic<bool>[]>(static_cast<std::size_t>(view_.size()))) {}

  const PackView& view() const { return view_; }

  std::int64_t size() const override { return view_.size(); }
  const std::vector<std::string>& class_names() const override { return view_.class_names(); }
  ImageExtent extent() const override { return view_.extent(); }
  std::int32_t label(std::int64_t index) const override { return view_.label(index); }
  bool decodes() const override { return view_.extent().count() == 0; }

  Stored stored(std::int64_t index, std::vector<std::uint8_t>&) const override {
    const Stored record = view_.stored(index);
    std::atomic<bool>& checked = checked_[static_cast<std::size_t>(index)];
    // Nothing else is published by the flag: at worst two threads both check.
    if (!checked.load(std::memory_order_relaxed)) {
      view_.check_record(index);
      checked.store(true, std::memory_order_relaxed);
    }
    if (record.bytes.size() > limits().max_file_bytes) {
      fail_data("{}: expected at most {} bytes, the record has {}", Dataset::sample_name(index),
                limits().max_file_bytes, record.bytes.size());
    }
    return record;
  }

  void sample_name(std::int64_t index, std::string& out) const override {
    out.assign(view_.name()).append(": ").append(view_.sample_name(index));
  }

 private:
  MappedFile file_;
  PackView view_;
  std::unique_ptr<std::atomic<bool>[]> checked_;
};

void expect_split(Pack& pack, const std::string& split) {
  const std::string& own = pack.view().split();
  if (split.empty() || own == split || (is_held_out(own) && is_held_out(split))) return;
  if (own.empty()) {
    pack.warn(fmt::format("{} does not say of which split it is: it serves as {}",
                          pack.view().name(), split));
    return;
  }
  fail_data(
      "{}: expected a pack of {}, found one of {}; give the folder that has both, as {}.pack "
      "and {}.pack",
      pack.view().name(), split, own, split, own);
}

}  // namespace

bool is_pack(const std::filesystem::path& path) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) return false;
  char magic[8] = {};
  std::ifstream(path, std::ios::binary).read(magic, sizeof magic);
  return std::string_view(magic, sizeof magic) == kPackMagic;
}

PackSource pack_source(const std::filesystem::path& path) {
  const MappedFile file(path);
  const PackView view(file.bytes(), file.path());
  return {view.split(), view.dataset()};
}

std::unique_ptr<Dataset> open_pack(const std::filesystem::path& path, const std::string& split,
                                   const std::vector<std::string>& class_names,
                                   const DecodeLimits& limits) {
  auto pack = std::make_unique<Pack>(path, limits);
  expect_split(*pack, split);
  if (!class_names.empty() && pack->class_names() != class_names) {
    fail_data(
        "{}: expected the {} classes of the other split or the checkpoint, found {}, or others",
        path.string(), class_names.size(), pack->class_names().size());
  }
  return pack;
}

}  // namespace convoy::data
