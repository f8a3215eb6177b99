// SPDX-License-Identifier: MIT
#include "dist/socket.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>

#include "kernels/require.h"

namespace convoy::dist {
namespace {

using Addresses = std::unique_ptr<addrinfo, decltype(&freeaddrinfo)>;

// The host's addresses; empty, with `why`, for a name that nobody knows. An empty host is any.
Addresses resolve(const Endpoint& endpoint, std::string& why) {
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV | (endpoint.host.empty() ? AI_PASSIVE : 0);
  addrinfo* found = nullptr;
  const int error = getaddrinfo(endpoint.host.empty() ? nullptr : endpoint.host.c_str(),
                                std::to_string(endpoint.port).c_str(), &hints, &found);
  if (error != 0) why = gai_strerror(error);
  return {error == 0 ? found : nullptr, freeaddrinfo};
}

bool is_loopback_address(const sockaddr* address) {
  if (address->sa_family == AF_INET) {
    const auto* v4 = reinterpret_cast<const sockaddr_in*>(address);
    return ntohl(v4->sin_addr.s_addr) >> 24 == 127;
  }
  const auto* v6 = reinterpret_cast<const sockaddr_in6*>(address);
  return address->sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
}

Socket make_socket(const addrinfo& address) {
  return Socket(socket(address.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
}

// Bound, not yet listening; errno says why not.
Socket bind_to(const addrinfo& address) {
  Socket bound = make_socket(address);
  const int yes = 1;
  setsockopt(bound.descriptor(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (bind(bound.descriptor(), address.ai_addr, address.ai_addrlen) != 0) return Socket();
  return bound;
}

Socket bind_to_any(const Endpoint& endpoint, bool skip_loopback, int& error) {
  std::string why;
  const Addresses addresses = resolve(endpoint, why);
  require(addresses != nullptr, "store: could not resolve '{}': {}", endpoint.host, why);
  error = EADDRNOTAVAIL;
  for (const addrinfo* a = addresses.get(); a != nullptr; a = a->ai_next) {
    if (skip_loopback && is_loopback_address(a->ai_addr)) continue;
    Socket bound = bind_to(*a);
    if (bound.is_open()) return bound;
    error = errno;
  }
  return Socket();
}

Socket bind_at(const Endpoint& endpoint) {
  int error = 0;
  Socket bound = bind_to_any(endpoint, !is_loopback(endpoint.host), error);
  if (!bound.is_open() && error == EADDRNOTAVAIL) {
    bound = bind_to_any({"", endpoint.port}, false, error);
  }
  if (!bound.is_open() && error == EADDRINUSE) {
    fail(
        "store: rank 0 expects port {} at {} to be free, but another program has it; "
        "choose another MASTER_PORT (--master-port of convoy launch)",
        endpoint.port, endpoint.host);
  }
  require(bound.is_open(), "store: rank 0 could not open {}: {}", endpoint, std::strerror(error));
  return bound;
}

bool wait_for(const Socket& socket, short events, int milliseconds) {
  pollfd waiting = {socket.descriptor(), events, 0};
  return poll(&waiting, 1, milliseconds) > 0;
}

// A connection to a port of the system's own range may meet itself where nobody listens.
bool is_connected_to_itself(const Socket& socket) {
  sockaddr_storage own = {}, peer = {};
  socklen_t own_size = sizeof own, peer_size = sizeof peer;
  getsockname(socket.descriptor(), reinterpret_cast<sockaddr*>(&own), &own_size);
  getpeername(socket.descriptor(), reinterpret_cast<sockaddr*>(&peer), &peer_size);
  return own_size == peer_size && std::memcmp(&own, &peer, own_size) == 0;
}

// errno of the attempt, 0 when it stands.
int connect_error(const Socket& socket, const addrinfo& address, int milliseconds) {
  if (!socket.is_open()) return errno;
  if (connect(socket.descriptor(), address.ai_addr, address.ai_addrlen) != 0) {
    if (errno != EINPROGRESS) return errno;
    if (!wait_writable(socket, milliseconds)) return ETIMEDOUT;
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(socket.descriptor(), SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) return error;
  }
  return is_connected_to_itself(socket) ? ECONNREFUSED : 0;
}

}  // namespace

Socket::~Socket() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

std::string to_text(const Endpoint& endpoint) {
  if (endpoint.host.find(':') == std::string::npos) {
    return fmt::format("{}:{}", endpoint.host, endpoint.port);
  }
  return fmt::format("[{}]:{}", endpoint.host, endpoint.port);
}

Endpoint tcp_endpoint(const std::string& init) {
  Endpoint endpoint;
  const std::string scheme = "tcp://";
  const auto colon = init.rfind(':');
  if (init.starts_with(scheme) && colon > scheme.size()) {
    endpoint.host = init.substr(scheme.size(), colon - scheme.size());
    if (endpoint.host.starts_with('[') && endpoint.host.ends_with(']')) {
      endpoint.host = endpoint.host.substr(1, endpoint.host.size() - 2);
    }
    const char *begin = init.data() + colon + 1, *end = init.data() + init.size();
    const auto [stop, error] = std::from_chars(begin, end, endpoint.port);
    const bool good = error == std::errc() && stop == end;
    if (good && endpoint.port > 0 && endpoint.port < 65536 && !endpoint.host.empty()) {
      return endpoint;
    }
  }
  fail_usage("--dist-init: expects tcp://host:port or file:///path, found '{}'", init);
}

bool is_loopback(const std::string& host) {
  return host == "localhost" || host.starts_with("127.") || host == "::1";
}

Socket listen_at(const Endpoint& endpoint) {
  Socket listening = bind_at(endpoint);
  require(listen(listening.descriptor(), 128) == 0,
          "store: rank 0 could not listen at {}: {}; choose another MASTER_PORT", endpoint,
          std::strerror(errno));
  return listening;
}

Socket listen_on(const std::string& address, std::string& why) {
  const Addresses addresses = resolve({address, 0}, why);
  for (const addrinfo* a = addresses.get(); a != nullptr; a = a->ai_next) {
    Socket listening = bind_to(*a);
    if (listening.is_open() && listen(listening.descriptor(), 128) == 0) return listening;
    why = std::strerror(errno);
  }
  return Socket();
}

Socket reserve_port(const std::string& host, int port) { return bind_at({host, port}); }

int port_of(const Socket& socket) {
  sockaddr_storage own = {};
  socklen_t size = sizeof own;
  getsockname(socket.descriptor(), reinterpret_cast<sockaddr*>(&own), &size);
  return ntohs(own.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6*>(&own)->sin6_port
                                         : reinterpret_cast<sockaddr_in*>(&own)->sin_port);
}

Socket connect_to(const Endpoint& endpoint, int milliseconds, std::string& why) {
  const Addresses addresses = resolve(endpoint, why);
  for (const addrinfo* a = addresses.get(); a != nullptr; a = a->ai_next) {
    Socket socket = make_socket(*a);
    const int error = connect_error(socket, *a, milliseconds);
    if (error == 0) {
      const int yes = 1;
      setsockopt(socket.descriptor(), IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
      return socket;
    }
    why = std::strerror(error);
  }
  return Socket();
}

long receive_some(const Socket& socket, char* bytes, std::size_t count) {
  const long got = recv(socket.descriptor(), bytes, count, 0);
  if (got > 0) return got;
  return got < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
}

long send_some(const Socket& socket, const char* bytes, std::size_t count) {
  const long sent = send(socket.descriptor(), bytes, count, MSG_NOSIGNAL);
  if (sent >= 0) return sent;
  return errno == EAGAIN || errno == EINTR ? 0 : -1;
}

bool wait_readable(const Socket& socket, int milliseconds) {
  return wait_for(socket, POLLIN, milliseconds);
}
bool wait_writable(const Socket& socket, int milliseconds) {
  return wait_for(socket, POLLOUT, milliseconds);
}

}  // namespace convoy::dist
