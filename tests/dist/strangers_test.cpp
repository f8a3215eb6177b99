// SPDX-License-Identifier: MIT
// Programs that are no ranks connect to the ports that ranks open for each other: they cost a
// little memory for a while, and nobody's place.

#include <dirent.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <random>
#include <set>
#include <sstream>

#include "dist/patience.h"
#include "dist/socket.h"
#include "tests/support/communicators.h"

namespace convoy::dist {
namespace {

using std::chrono::milliseconds;

// The inodes of this process's sockets, as /proc/net/tcp names them.
std::set<std::string> own_sockets() {
  std::set<std::string> inodes;
  DIR* const folder = opendir("/proc/self/fd");
  while (const dirent* entry = readdir(folder)) {
    char target[64] = "";
    const auto link = std::string("/proc/self/fd/") + entry->d_name;
    if (readlink(link.c_str(), target, sizeof target - 1) < 0) continue;
    const std::string text = target;  // socket:[12345]
    if (text.starts_with("socket:[")) inodes.insert(text.substr(8, text.size() - 9));
  }
  closedir(folder);
  return inodes;
}

// Where this process listens, as a stranger who tries all ports would find out.
std::set<int> open_ports() {
  const std::set<std::string> ours = own_sockets();
  std::set<int> ports;
  std::ifstream table("/proc/net/tcp");
  std::string line;
  std::getline(table, line);
  while (std::getline(table, line)) {
    std::istringstream fields(line);
    std::string number, local, remote, state, skipped, inode;
    fields >> number >> local >> remote >> state;
    for (int i = 0; i < 5; ++i) fields >> skipped;
    fields >> inode;
    constexpr const char* kListening = "0A";
    if (state == kListening && ours.contains(inode)) {
      ports.insert(std::stoi(local.substr(local.find(':') + 1), nullptr, 16));
    }
  }
  return ports;
}

struct Said {
  const char* name;
  std::string bytes;
};
void PrintTo(const Said& said, std::ostream* out) { *out << said.name; }

std::string random_bytes(std::size_t count) {
  std::mt19937 random(7);
  std::string bytes(count, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random());
  return bytes;
}

// A message of Gloo's: its length, kind, slot, offset, length, offset there.
std::string gloo_message(std::uint64_t bytes, std::uint64_t kind) {
  const std::uint64_t head[] = {bytes, kind, 0, 0, bytes, 0};
  return {reinterpret_cast<const char*>(head), sizeof head};
}

// At two ranks: more than may wait at a time.
constexpr int kVisits = 200;

// Connects to every port that opens, until the ranks have met, and stays.
class Stranger {
 public:
  explicit Stranger(std::string says) : says_(std::move(says)), thread_([this] { knock(); }) {}
  ~Stranger() {
    stopped_ = true;
    thread_.join();
  }
  void await_visits(int count) const {
    Patience patience(std::chrono::seconds(10));
    while (visits_ < count) ASSERT_TRUE(patience.pause());
  }

 private:
  void knock() {
    while (!stopped_) {
      for (const int port : open_ports()) {
        for (int i = 0; i < 16; ++i) call(port);
      }
      std::this_thread::sleep_for(milliseconds(2));
    }
  }
  void call(int port) {
    std::string why;
    Socket socket = connect_to({"127.0.0.1", port}, 100, why);
    if (!socket.is_open() || visits_ == 2 * kVisits) return;
    if (!says_.empty()) send_some(socket, says_.data(), says_.size());
    sockets_.push_back(std::move(socket));
    ++visits_;
  }

  std::string says_;
  std::vector<Socket> sockets_;
  std::atomic<bool> stopped_ = false;
  std::atomic<int> visits_ = 0;
  std::thread thread_;
};

class Strangers : public ::testing::TestWithParam<Said> {};

TEST_P(Strangers, TakeNobodysPlace) {
  Stranger stranger(GetParam().bytes);
  const auto make = [&](Store& store, int rank, int world_size, const std::string& prefix) {
    if (rank == 1) stranger.await_visits(kVisits);  // the others wait for it
    return gloo()(store, rank, world_size, prefix);
  };
  const auto errors = errors_of_ranks(3, make, [&](std::unique_ptr<Communicator>& ranks) {
    const Tensor data = full({1000}, 1);
    for (int i = 0; i < 3; ++i) ranks->all_reduce(data).wait();
    EXPECT_EQ(to_vector<float>(data)[999], 27);
    EXPECT_EQ(open_ports(), std::set<int>()) << "all have met";
    ranks->barrier();
  });
  EXPECT_EQ(errors, std::vector<std::string>(3));
}

INSTANTIATE_TEST_SUITE_P(
    Dist, Strangers,
    ::testing::Values(Said{"Nothing", ""}, Said{"RandomBytes", random_bytes(100'000)},
                      Said{"AGreetingWithoutTheSecret",
                           fmt::format("convoy {:032} {:10} {:10}", 0, 1, 0)},
                      Said{"AHugeMessage", gloo_message(std::uint64_t{1} << 62, 1)},
                      Said{"AMessageNobodyAskedFor", gloo_message(48, 2)}),
    [](const auto& said) { return said.param.name; });

}  // namespace
}  // namespace convoy::dist
