// SPDX-License-Identifier: MIT
#include "dist/group.h"

#include "dist/gloo.h"

namespace convoy::dist {
namespace {

std::unique_ptr<Communicator> connect(const char* prefix, Store& store, const Place& place,
                                      const GroupOptions& options) {
  if (place.world_size == 1) return single_communicator();
  return gloo_communicator(store, place.rank, place.world_size, options.timeout, prefix);
}

}  // namespace

Group::Group(const Place& place, const Device& device, const GroupOptions& options)
    : place_(place),
      options_(options),
      store_(open_store(place, options.timeout)),
      communicator_(connect("device", *store_, place, options)),
      host_(connect("host", *store_, place, options)) {
  require(device.type != DeviceType::cuda || place.world_size == 1,
          "ranks: expect cpu or sim, found {}", device);
}

void Group::require_same(const std::string& name, const std::string& text) {
  const auto key = [&](int rank) { return "same/" + name + "/" + std::to_string(rank); };
  store_->set(key(rank()), text);
  const std::string first = store_->wait(key(0), options_.timeout);
  for (int rank = 1; rank < world_size(); ++rank) {
    const std::string other = store_->wait(key(rank), options_.timeout);
    require(other == first, "ranks disagree on {}: rank 0 has {}, rank {} has {}", name, first,
            rank, other);
  }
}

}  // namespace convoy::dist
