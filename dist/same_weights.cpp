// SPDX-License-Identifier: MIT
#include "dist/same_weights.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <set>
#include <span>

#include "runtime/device.h"
#include "runtime/stream.h"

namespace convoy::dist {
namespace {

// A parameter's hash on each rank.
using Column = std::vector<std::int64_t>;

std::span<const std::byte> bytes_of(const Tensor& flat, const nn::NamedSlice& slice) {
  const auto size = static_cast<std::int64_t>(size_of(flat.dtype()));
  const auto* data = static_cast<const std::byte*>(flat.data());
  return {data + slice.offset * size, static_cast<std::size_t>(slice.count * size)};
}

// What ranks compare: names, and this rank's hash of each.
struct Hashes {
  std::vector<std::string> names;
  std::vector<std::int64_t> values;
};

// Of each parameter's elements of the group's buffers.
void add_hashes(const nn::ParameterGroup& group, const std::vector<Tensor>& flats,
                const char* before_name, Hashes& hashes) {
  for (const nn::NamedSlice& slice : group.slices) {
    std::uint64_t hash = hash_words(nullptr, 0);
    for (const Tensor& flat : flats) {
      const auto bytes = bytes_of(flat, slice);
      hash = hash_words(bytes.data(), bytes.size(), hash);
    }
    hashes.names.push_back(before_name + slice.name);
    hashes.values.push_back(std::bit_cast<std::int64_t>(hash));
  }
}

Hashes hashes_of(const nn::ParameterStore& store, const nn::Ema* averages) {
  Hashes hashes;
  for (const nn::ParameterGroup& group : store.groups()) {
    std::vector<Tensor> flats = {group.values.to(Device{})};
    if (nn::ParameterStore::has_masters(group) && !store.is_sharded()) {
      flats.push_back(group.masters.to(Device{}));
    }
    add_hashes(group, flats, "", hashes);
  }
  if (averages == nullptr || store.is_sharded()) return hashes;
  for (std::size_t g = 0; g < store.groups().size(); ++g) {
    add_hashes(store.groups()[g], {averages->of_group(g).to(Device{})}, "the average of ", hashes);
  }
  return hashes;
}

Column column(const std::vector<std::int64_t>& hashes, std::size_t at, std::size_t names) {
  Column found;
  for (; at < hashes.size(); at += names) found.push_back(hashes[at]);
  return found;
}

std::optional<std::int64_t> most_have(const Column& hashes) {
  for (const std::int64_t hash : hashes) {
    if (2 * std::count(hashes.begin(), hashes.end(), hash) > std::ssize(hashes)) return hash;
  }
  return std::nullopt;
}

// Those that do not have what most have, or all where there is no such thing.
void add_suspects(const Column& hashes, std::set<std::size_t>& ranks) {
  const auto most = most_have(hashes);
  for (std::size_t rank = 0; rank < hashes.size(); ++rank) {
    if (hashes[rank] != most) ranks.insert(rank);
  }
}

}  // namespace

std::uint64_t hash_words(const void* data, std::size_t bytes, std::uint64_t hash) {
  constexpr std::uint64_t kPrime = 0x100000001b3;
  const auto* next = static_cast<const unsigned char*>(data);
  while (bytes > 0) {
    const std::size_t taken = std::min(bytes, sizeof(std::uint64_t));
    std::uint64_t word = 0;
    std::memcpy(&word, next, taken);
    hash = (hash ^ word) * kPrime;
    hash ^= hash >> 32;
    next += taken;
    bytes -= taken;
  }
  return hash;
}

std::optional<std::string> difference_of_weights(const std::vector<std::string>& names,
                                                 const std::vector<std::int64_t>& hashes) {
  std::set<std::size_t> ranks;
  std::vector<std::string> apart;
  for (std::size_t at = 0; at < names.size(); ++at) {
    const Column each = column(hashes, at, names.size());
    if (std::count(each.begin(), each.end(), each[0]) == std::ssize(each)) continue;
    apart.push_back(names[at]);
    add_suspects(each, ranks);
  }
  if (apart.empty()) return std::nullopt;
  const std::size_t world = hashes.size() / names.size();
  const std::string more =
      apart.size() > 1 ? fmt::format(" and {} more parameters", apart.size() - 1) : "";
  const char* const who = ranks.size() > 1 ? "ranks" : "rank";
  const std::string wrong =
      ranks.size() == world
          ? fmt::format("the {} ranks do not agree on {}{}", world, apart[0], more)
          : fmt::format("{} {} and the other ranks do not agree on {}{}", who,
                        fmt::join(ranks, ", "), apart[0], more);
  return "weights: " + wrong +
         ", though all step alike; memory or a processor of a rank is at fault, or ranks compute "
         "by other code. Go on from the last checkpoint: it was saved before";
}

std::optional<std::string> compare_weights(const nn::ParameterStore& store, const nn::Ema* averages,
                                           Communicator& host) {
  const Hashes own = hashes_of(store, averages);
  const int world = host.world_size();
  const auto each = std::ssize(own.values);
  const Tensor all = zeros({each * world}, {DType::i64, {}});
  host.all_gather(from_vector(own.values, {each}), all, Partition(each * world, world)).wait();
  return difference_of_weights(own.names, to_vector<std::int64_t>(all));
}

void flip_bit(const nn::ParameterStore& store) {
  const nn::ParameterGroup& group = store.groups().front();
  const Tensor& flat = store.is_sharded() ? group.values : group.masters;
  DeviceBackend& device = backend(flat.device());
  const Stream stream = current_stream(flat.device());
  std::uint8_t byte = 0;
  device.copy(&byte, flat.data(), 1, stream);
  device.synchronize(stream);
  byte ^= 1;
  device.copy(flat.data(), &byte, 1, stream);
  device.synchronize(stream);
}

}  // namespace convoy::dist
