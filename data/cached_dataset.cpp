// SPDX-License-Identifier: MIT
#include "data/cached_dataset.h"

#include <charconv>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <new>
#include <utility>

#include "kernels/require.h"

namespace convoy::data {

// In front of the bytes, in one piece of memory with them.
struct CachedDataset::Kept {
  std::uint64_t bytes;
  ImageExtent extent;

  std::uint8_t* data() { return reinterpret_cast<std::uint8_t*>(this + 1); }
};

namespace {

constexpr std::uint64_t kBookkeeping = 16;  // of malloc, for each piece

bool lies_in(std::span<const std::uint8_t> bytes, const std::vector<std::uint8_t>& memory) {
  const std::less_equal<const std::uint8_t*> before;
  return before(memory.data(), bytes.data()) &&
         before(bytes.data() + bytes.size(), memory.data() + memory.size());
}

}  // namespace

CachedDataset::CachedDataset(std::shared_ptr<const Dataset> source, CacheKind kind,
                             std::uint64_t budget)
    : Dataset(source->limits()),
      source_(std::move(source)),
      kind_(kind),
      budget_(budget),
      kept_(std::make_unique<std::atomic<Kept*>[]>(static_cast<std::size_t>(source_->size()))) {
  for (const std::string& warning : source_->warnings()) warn(warning);
}

CachedDataset::~CachedDataset() {
  for (std::int64_t i = 0; i < size(); ++i) std::free(kept_[static_cast<std::size_t>(i)].load());
}

Stored CachedDataset::stored(std::int64_t index, std::vector<std::uint8_t>& scratch) const {
  require(index >= 0 && index < size(), "cache: index expects 0 to {}, found {}", size() - 1,
          index);
  // Acquire: the bytes were written before their address.
  Kept* const kept = kept_[static_cast<std::size_t>(index)].load(std::memory_order_acquire);
  if (kept != nullptr) return {{kept->data(), kept->bytes}, kept->extent};
  const Stored stored = read(index, scratch);
  // What is not in the caller's memory is in memory, or mapped, already.
  if (kind_ != CacheKind::none && lies_in(stored.bytes, scratch)) keep(index, stored);
  return stored;
}

Stored CachedDataset::read(std::int64_t index, std::vector<std::uint8_t>& scratch) const {
  const Stored stored = source_->stored(index, scratch);
  if (kind_ != CacheKind::decoded || !stored.is_file()) return stored;
  Image image =
      with_channels(decode_image(stored.bytes, sample_name(index), limits()), extent().channels);
  scratch = std::move(image.pixels);
  return {scratch, image.extent};
}

void CachedDataset::keep(std::int64_t index, const Stored& stored) const {
  const std::uint64_t cost = sizeof(Kept) + kBookkeeping + stored.bytes.size();
  // Taken before it is used, so that threads together do not pass the budget.
  if (bytes_.fetch_add(cost, std::memory_order_relaxed) + cost <= budget_) {
    void* const memory = std::malloc(sizeof(Kept) + stored.bytes.size());
    if (memory != nullptr) {
      Kept* const made = new (memory) Kept{stored.bytes.size(), stored.extent};
      std::memcpy(made->data(), stored.bytes.data(), stored.bytes.size());
      Kept* expected = nullptr;
      if (kept_[static_cast<std::size_t>(index)].compare_exchange_strong(
              expected, made, std::memory_order_release, std::memory_order_relaxed)) {
        samples_.fetch_add(1, std::memory_order_relaxed);
        return;
      }
      std::free(memory);  // another thread was first
    }
  }
  bytes_.fetch_sub(cost, std::memory_order_relaxed);
}

CacheStats CachedDataset::stats() const { return {samples_.load(), bytes_.load()}; }

CacheKind cache_kind(const std::string& name) {
  if (name == "none") return CacheKind::none;
  if (name == "ram") return CacheKind::ram;
  if (name == "decoded") return CacheKind::decoded;
  fail_usage("--cache expects none, ram or decoded, found '{}'", name);
}

std::uint64_t parse_bytes(const std::string& text) {
  std::uint64_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  const std::string unit(rest, end);
  const std::size_t power = std::string("KMGT").find(unit);
  const std::size_t shift = unit.empty() ? 0 : 10 * (power + 1);
  const bool known = unit.size() <= 1 && (unit.empty() || power != std::string::npos);
  if (error != std::errc{} || !known || number > UINT64_MAX >> shift) {
    fail_usage("--cache-bytes expects a number of bytes, as 512M or 4G, found '{}'", text);
  }
  return number << shift;
}

}  // namespace convoy::data
