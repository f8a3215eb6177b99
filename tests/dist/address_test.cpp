// SPDX-License-Identifier: MIT
#include "dist/address.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <net/if.h>
#include <netinet/in.h>

#include <deque>

#include "kernels/require.h"
#include "tests/support/errors.h"

namespace convoy::dist {
namespace {

TEST(AddressTowards, IsLoopbackForThisMachineAndAnErrorForNone) {
  EXPECT_EQ(address_towards("127.0.0.1"), "127.0.0.1");
  EXPECT_EQ(address_towards("localhost").substr(0, 4),
            address_towards("localhost")[0] == '1' ? "127." : "::1");
  EXPECT_THROW(address_towards("no.such.machine.invalid"), Error);
}

// A machine's interfaces, as getifaddrs lists them.
class Interfaces {
 public:
  Interfaces& add(unsigned flags, int family, const char* address) {
    ifaddrs& last = all_.emplace_back();
    last.ifa_flags = flags;
    auto* const bytes = reinterpret_cast<sockaddr*>(&addresses_.emplace_back());
    bytes->sa_family = static_cast<sa_family_t>(family);
    void* const numbers = family == AF_INET
                              ? static_cast<void*>(&reinterpret_cast<sockaddr_in*>(bytes)->sin_addr)
                              : &reinterpret_cast<sockaddr_in6*>(bytes)->sin6_addr;
    EXPECT_EQ(inet_pton(family, address, numbers), 1) << address;
    last.ifa_addr = bytes;
    if (all_.size() > 1) all_[all_.size() - 2].ifa_next = &last;
    return *this;
  }
  Interfaces& add_without_address() {
    add(IFF_UP, AF_INET, "192.0.2.99");
    all_.back().ifa_addr = nullptr;
    return *this;
  }
  std::string address() const { return network_address(all_.empty() ? nullptr : &all_.front()); }

 private:
  std::deque<ifaddrs> all_;  // whose elements stay where they are
  std::deque<sockaddr_storage> addresses_;
};

TEST(NetworkAddress, IsOneThatOtherMachinesMayReach) {
  Interfaces machine;
  EXPECT_EQ(machine.address(), "");
  machine.add(IFF_UP | IFF_LOOPBACK, AF_INET, "127.0.0.1").add_without_address();
  machine.add(0, AF_INET, "192.0.2.1");      // down
  machine.add(IFF_UP, AF_INET6, "fe80::1");  // of one link
  EXPECT_EQ(machine.address(), "");
  machine.add(IFF_UP, AF_INET6, "2001:db8::7");
  EXPECT_EQ(machine.address(), "2001:db8::7");
  machine.add(IFF_UP, AF_INET, "192.0.2.5").add(IFF_UP, AF_INET, "192.0.2.6");
  EXPECT_EQ(machine.address(), "192.0.2.5");
}

TEST(AddressOfInterface, IsThatOfItsName) {
  EXPECT_EQ(address_of_interface("lo"), "127.0.0.1");
  testing::expect_says(testing::error_of([] { address_of_interface("none7"); }),
                       "expects an interface with an address, found 'none7'; there are lo");
}

}  // namespace
}  // namespace convoy::dist
