// SPDX-License-Identifier: MIT
#pragma once
// Keeps in memory what was read once, up to a budget. Samples are kept as they are first read; what
// no longer fits is read as before. What a sample is does not depend on whether it is kept: with
// `ram` it is the file's bytes, with `decoded` always the pixels of the whole picture.
//
//   auto cached = std::make_shared<CachedDataset>(dataset, CacheKind::ram, 4ULL << 30);

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "data/dataset.h"

namespace convoy::data {

enum class CacheKind : std::uint8_t { none, ram, decoded };

struct CacheStats {
  std::int64_t samples = 0;  // kept
  std::uint64_t bytes = 0;   // of the budget
};

class CachedDataset : public Dataset {
 public:
  CachedDataset(std::shared_ptr<const Dataset> source, CacheKind kind, std::uint64_t budget);
  ~CachedDataset() override;

  std::int64_t size() const override { return source_->size(); }
  const std::vector<std::string>& class_names() const override { return source_->class_names(); }
  ImageExtent extent() const override { return source_->extent(); }
  std::int32_t label(std::int64_t index) const override { return source_->label(index); }
  bool decodes() const override { return source_->decodes(); }
  using Dataset::sample_name;
  void sample_name(std::int64_t index, std::string& out) const override {
    source_->sample_name(index, out);
  }
  // A sample that is kept costs one load of its address: no lock, no copy. With `decoded` a sample
  // that does not fit costs an allocation.
  Stored stored(std::int64_t index, std::vector<std::uint8_t>& scratch) const override;

  CacheStats stats() const;

 private:
  struct Kept;

  Stored read(std::int64_t index, std::vector<std::uint8_t>& scratch) const;
  void keep(std::int64_t index, const Stored& stored) const;

  std::shared_ptr<const Dataset> source_;
  CacheKind kind_;
  std::uint64_t budget_;
  // Memory of the cache: what stored() may change is safe from many threads.
  std::unique_ptr<std::atomic<Kept*>[]> kept_;  // by index; null: not there
  mutable std::atomic<std::uint64_t> bytes_ = 0;
  mutable std::atomic<std::int64_t> samples_ = 0;
};

// "none", "ram" or "decoded"; throws Error of kind usage for others.
CacheKind cache_kind(const std::string& name);

// "4G", "512M", "100000": a number of bytes, of 2^10, 2^20, 2^30 or 2^40 with K, M, G or T.
// Throws Error of kind usage.
std::uint64_t parse_bytes(const std::string& text);

}  // namespace convoy::data
