// SPDX-License-Identifier: MIT
#include "dist/group.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <thread>
#include <tuple>
#include <vector>

#include "dist/address.h"
#include "dist/gloo.h"
#include "dist/nccl.h"
#include "dist/patience.h"
#include "dist/socket.h"
#include "dist/store_entry.h"
#include "kernels/require.h"
#include "runtime/cuda_info.h"

namespace convoy::dist {
namespace {

constexpr std::chrono::milliseconds kLook{16};  // between two looks at the store

std::string key_of(const char* what, int rank) { return fmt::format("group/{}/{}", what, rank); }

std::string ranks_text(const std::vector<int>& ranks) {
  return fmt::format("{} {}", ranks.size() == 1 ? "rank" : "ranks", fmt::join(ranks, ", "));
}

// The machine, as NCCL tells machines apart: containers may share a name, machines a boot's number.
std::string machine() {
  if (const char* id = std::getenv("NCCL_HOSTID"); id != nullptr && *id != '\0') return id;
  char name[256] = "";
  gethostname(name, sizeof name - 1);
  std::string boot;
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::getline(file, boot);
  return fmt::format("{} ({})", name, boot);
}

std::string gpu(const Device& device) {
  if constexpr (kHasCuda) {
    if (device.type == DeviceType::cuda) return on_cuda::place(device.index).pci_bus;
  }
  return "";
}

bool is_set(const char* variable) {
  const char* const value = std::getenv(variable);
  return value != nullptr && *value != '\0';
}

// From the key before `at`, where there is one on the same line, to the value's end.
std::string excerpt(const std::string& text, std::size_t at) {
  const auto colon = text.rfind("\":", at);
  const auto quote =
      colon == std::string::npos || colon == 0 ? std::string::npos : text.rfind('"', colon - 1);
  const std::size_t begin = quote != std::string::npos ? quote : at - std::min<std::size_t>(at, 20);
  const std::size_t end = std::min(text.find_first_of(",}\n", at), text.size());
  std::string part = text.substr(begin, std::min<std::size_t>(end - begin, 120));
  return part.empty() ? "its end" : part;
}

}  // namespace

Difference first_difference(const std::string& first, const std::string& second) {
  const auto at = static_cast<std::size_t>(
      std::mismatch(first.begin(), first.end(), second.begin(), second.end()).first -
      first.begin());
  return {excerpt(first, at), excerpt(second, at)};
}

void require_own_gpus(const std::vector<GpuPlace>& places) {
  std::map<std::pair<std::string, std::string>, int> owners;
  for (int rank = 0; rank < std::ssize(places); ++rank) {
    const auto& [host, bus] = places[static_cast<std::size_t>(rank)];
    const auto [owner, is_first] = owners.emplace(std::pair(host, bus), rank);
    require(is_first,
            "group: expects a GPU for each rank, but ranks {} and {} both use the one at {} of {}; "
            "start fewer ranks, or give each its own by --device cuda or CUDA_VISIBLE_DEVICES",
            owner->second, rank, bus, host);
  }
}

Group::Group(const Place& place, const Device& device, const GroupOptions& options)
    : place_(place), timeout_(options.timeout), fault_(parse_fault(std::getenv("CONVOY_FAULT"))) {
  require(place_.rank >= 0 && place_.rank < place_.world_size,
          "group: expects a rank below the number of ranks, found {} of {}", place_.rank,
          place_.world_size);
  if (place_.world_size == 1) {
    store_ = memory_store();
    communicator_ = single_communicator();
    host_ = single_communicator();
    return;
  }
  store_ = open_store(place_, timeout_);
  health_ = std::make_unique<Health>(*store_, place_.rank, place_.world_size,
                                     HealthOptions{timeout_, {}, {}});
  try {
    await_all_ranks();
  } catch (const Error& error) {
    health_->fail(error.what());
    throw;
  }
  run([&] {
    require_same("the devices' kind", name(device.type));
    require_own_gpu(device);
    std::ignore = enter("connect", 0);  // there are no weights yet
    connect(device);
  });
}

Group::~Group() = default;

void Group::await_all_ranks() {
  const std::string all = "group/all";
  store_->set(key_of("here", rank()), "");
  if (rank() != 0) {
    // Rank 0 gives up first, and says for whom.
    store_->wait(all, timeout_ + std::chrono::seconds(2));
    return;
  }
  std::vector<int> missing;
  Patience patience(timeout_);
  do {
    missing.clear();
    for (int other = 1; other < world_size(); ++other) {
      if (!store_->get(key_of("here", other))) missing.push_back(other);
    }
    if (missing.empty()) return store_->set(all, "");
  } while (patience.pause());
  fail("group: expects {} ranks within {} s, but {} did not come", world_size(),
       in_seconds(timeout_), ranks_text(missing));
}

void Group::require_own_gpu(const Device& device) {
  if (device.type != DeviceType::cuda) return;
  store_->set(key_of("machine", rank()), machine());
  store_->set(key_of("gpu", rank()), gpu(device));
  std::vector<GpuPlace> places;
  for (int other = 0; other < world_size(); ++other) {
    places.push_back({store_->wait(key_of("machine", other), timeout_),
                      store_->wait(key_of("gpu", other), timeout_)});
  }
  require_own_gpus(places);
}

// Where our other connections start from: the interface that leads to rank 0. A folder names no
// machine: there rank 0 says where it is.
std::string Group::own_address() {
  if (place_.local_world_size == world_size()) return "127.0.0.1";
  if (place_.init.starts_with("tcp://")) return address_towards(tcp_endpoint(place_.init).host);
  if (is_set("GLOO_SOCKET_IFNAME") || is_set("MASTER_ADDR")) return "";  // Gloo finds it by those
  const std::string key = "group/address";
  if (rank() != 0) return address_towards(store_->wait(key, timeout_));
  const std::string address = network_address();
  if (address.empty()) {
    fail_usage(
        "--dist-init {}: expects an interface by which other machines reach rank 0's, found none; "
        "set MASTER_ADDR to its address, or GLOO_SOCKET_IFNAME to the interface's name",
        place_.init);
  }
  store_->set(key, address);
  return address;
}

void Group::connect(const Device& device) {
  const std::string address = own_address();
  host_ = gloo_communicator(*store_, rank(), world_size(), timeout_, "host", address);
  communicator_ =
      device.type == DeviceType::cuda
          ? nccl_communicator(*store_, rank(), world_size(), device, timeout_, "device")
          : gloo_communicator(*store_, rank(), world_size(), timeout_, "device", address);
}

// Rank 0 compares; a value of one round is replaced only when everybody has seen its verdict.
void Group::require_same(const std::string& name, const std::string& value) {
  if (world_size() == 1) return;
  const std::string round = std::to_string(compared_[name]++) + "\n";
  const std::string verdict_key = "group/same/" + name;
  if (rank() == 0) {
    const std::string verdict = compare(name, round, value);
    store_->set(verdict_key, round + verdict);
    require(verdict.empty(), "group: {}", verdict);
    return;
  }
  store_->set(verdict_key + "/" + std::to_string(rank()), round + value);
  Patience patience(timeout_ + std::chrono::seconds(2));
  std::string verdict;
  while (!(verdict = store_->get(verdict_key).value_or("")).starts_with(round)) {
    require(patience.pause(), "group: expects rank 0 to compare {} within {} s, but it has not",
            name, in_seconds(timeout_));
  }
  verdict.erase(0, round.size());
  require(verdict.empty(), "group: {}", verdict);
}

std::string Group::compare(const std::string& name, const std::string& round,
                           const std::string& value) {
  std::vector<int> others;
  Difference difference;
  Patience patience(timeout_);
  for (int rank = 1; rank < world_size(); ++rank) {
    const std::string key = fmt::format("group/same/{}/{}", name, rank);
    std::string theirs;
    while (!(theirs = store_->get(key).value_or("")).starts_with(round)) {
      if (patience.pause()) continue;
      return fmt::format("expects all ranks to compare {} within {} s, but rank {} has not", name,
                         in_seconds(timeout_), rank);
    }
    theirs.erase(0, round.size());
    if (theirs == value) continue;
    if (others.empty()) difference = first_difference(value, theirs);
    others.push_back(rank);
  }
  if (others.empty()) return "";
  return fmt::format("expects {} to be the same on all ranks, but rank 0 has {} and {} {} {}", name,
                     difference.first, ranks_text(others), others.size() == 1 ? "has" : "have",
                     difference.second);
}

// In pieces, as values are small; then how many there are. Others need no end to their waiting:
// where rank 0 fails or is lost the watch ends them.
std::string Group::made_by_first(const std::string& name,
                                 const std::function<std::string()>& make) {
  if (world_size() == 1) return make();
  const std::string count_key = "group/made/" + name;
  const auto piece_key = [&](std::size_t i) { return fmt::format("{}/{}", count_key, i); };
  if (rank() == 0) {
    const std::string made = make();
    std::size_t pieces = 0;
    for (std::size_t at = 0; at < made.size(); at += kMaxValueBytes) {
      store_->set(piece_key(pieces++), made.substr(at, kMaxValueBytes));
    }
    store_->set(count_key, std::to_string(pieces));
    return made;
  }
  std::optional<std::string> count;
  while (!(count = store_->get(count_key))) std::this_thread::sleep_for(kLook);
  std::string made;
  for (std::size_t i = 0; i < std::stoull(*count); ++i) {
    made += store_->wait(piece_key(i), timeout_);
  }
  return made;
}

void Group::fail_together(const std::string& what) {
  if (health_) health_->stop_watching();
  // Who ends takes its connections along: all must have come here first.
  try {
    if (host_) host_->barrier();
  } catch (const Error&) {
  }
  throw Error(what, ErrorKind::diverged);
}

void Group::run(const std::function<void()>& body) {
  if (!health_) return body();
  try {
    body();
  } catch (const std::exception& error) {
    const auto* ours = dynamic_cast<const Error*>(&error);
    // What is wrong with flags or data is wrong here, whatever the others do.
    const bool may_be_loss = ours == nullptr || ours->kind() == ErrorKind::failure;
    const auto sentence = may_be_loss ? health_->blame() : std::nullopt;
    if (sentence) throw Error(fmt::format("{}: {}", *sentence, error.what()));
    health_->fail(error.what());
    throw;
  }
}

}  // namespace convoy::dist
