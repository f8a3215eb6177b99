// SPDX-License-Identifier: MIT
#include "dist/address.h"

#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "kernels/require.h"

namespace convoy::dist {
namespace {

bool is_of_one_link(const sockaddr* address) {
  return address->sa_family == AF_INET6 &&
         IN6_IS_ADDR_LINKLOCAL(&reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr);
}

bool can_be_reached(const ifaddrs& interface) {
  return interface.ifa_addr != nullptr && (interface.ifa_flags & IFF_UP) != 0 &&
         (interface.ifa_flags & IFF_LOOPBACK) == 0 && !is_of_one_link(interface.ifa_addr);
}

using Interfaces = std::unique_ptr<ifaddrs, void (*)(ifaddrs*)>;

Interfaces interfaces() {
  ifaddrs* all = nullptr;
  if (getifaddrs(&all) != 0) all = nullptr;
  return {all, freeifaddrs};
}

std::string numbers(const sockaddr* address) {
  const socklen_t length =
      address->sa_family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
  char text[NI_MAXHOST] = "";
  getnameinfo(address, length, text, sizeof text, nullptr, 0, NI_NUMERICHOST);
  return text;
}

}  // namespace

std::string address_towards(const std::string& host) {
  addrinfo hints{}, *found = nullptr;
  hints.ai_socktype = SOCK_DGRAM;
  const int error = getaddrinfo(host.c_str(), "9", &hints, &found);
  require(error == 0, "address: expects the address of a machine, found {}: {}", host,
          gai_strerror(error));
  char text[NI_MAXHOST] = "";
  for (const addrinfo* at = found; at != nullptr && text[0] == '\0'; at = at->ai_next) {
    const int socket = ::socket(at->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (socket < 0) continue;
    sockaddr_storage ours{};
    socklen_t length = sizeof ours;
    const auto address = reinterpret_cast<sockaddr*>(&ours);
    if (connect(socket, at->ai_addr, at->ai_addrlen) == 0 &&
        getsockname(socket, address, &length) == 0) {
      getnameinfo(address, length, text, sizeof text, nullptr, 0, NI_NUMERICHOST);
    }
    close(socket);
  }
  freeaddrinfo(found);
  require(text[0] != '\0', "address: expects a machine that can be reached, found no way to {}",
          host);
  return text;
}

std::string network_address(const ifaddrs* interfaces) {
  for (const int family : {AF_INET, AF_INET6}) {
    for (const ifaddrs* at = interfaces; at != nullptr; at = at->ifa_next) {
      if (can_be_reached(*at) && at->ifa_addr->sa_family == family) return numbers(at->ifa_addr);
    }
  }
  return "";
}

std::string network_address() { return network_address(interfaces().get()); }

std::string address_of_interface(const std::string& name) {
  const Interfaces all = interfaces();
  std::vector<std::string> names;
  for (const int family : {AF_INET, AF_INET6}) {
    for (const ifaddrs* at = all.get(); at != nullptr; at = at->ifa_next) {
      if (std::ranges::find(names, at->ifa_name) == names.end()) names.push_back(at->ifa_name);
      if (at->ifa_addr == nullptr || at->ifa_addr->sa_family != family) continue;
      if (name == at->ifa_name && !is_of_one_link(at->ifa_addr)) return numbers(at->ifa_addr);
    }
  }
  fail("GLOO_SOCKET_IFNAME: expects an interface with an address, found '{}'; there are {}", name,
       fmt::join(names, ", "));
}

}  // namespace convoy::dist
