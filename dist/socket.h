// SPDX-License-Identifier: MIT
#pragma once
// TCP sockets that close themselves, and the two ways to get one. Both kinds never block.

#include <string>
#include <utility>

namespace convoy::dist {

class Socket {
 public:
  Socket() = default;
  explicit Socket(int descriptor) : descriptor_(descriptor) {}
  Socket(Socket&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  Socket& operator=(Socket&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  ~Socket();

  int descriptor() const { return descriptor_; }
  bool is_open() const { return descriptor_ >= 0; }
  int release() { return std::exchange(descriptor_, -1); }  // whoever takes it closes it
  void close() { *this = Socket(); }

 private:
  int descriptor_ = -1;
};

struct Endpoint {
  std::string host;
  int port = 0;
  friend bool operator==(const Endpoint&, const Endpoint&) = default;
};
std::string to_text(const Endpoint& endpoint);  // "host:port", "[::1]:port"
// Of "tcp://host:port"; throws Error of kind usage for anything else.
Endpoint tcp_endpoint(const std::string& init);

// "localhost", "127.…", "::1": nobody outside this machine means us by it.
bool is_loopback(const std::string& host);

// Waits for connections at the endpoint: at loopback where the host is a name of it, else at the
// host's address, or at all of this machine's where that is none of them (a translated address, a
// name that resolves to loopback here). Port 0: one that is free. Throws Error, also where the port
// is taken.
Socket listen_at(const Endpoint& endpoint);
// Waits for connections at this address of ours alone, at a port that is free; closed where that
// failed, and `why` says why.
Socket listen_on(const std::string& address, std::string& why);
// A port that nobody else gets while the socket is open; listen_at can have it. 0: one that is
// free; throws Error where another program has this one.
Socket reserve_port(const std::string& host, int port = 0);
int port_of(const Socket& socket);

// One attempt, in up to `milliseconds`; closed where it failed, and `why` says why.
Socket connect_to(const Endpoint& endpoint, int milliseconds, std::string& why);

// Bytes received, 0 when there are none yet, -1 when the connection is over. The same for sending.
long receive_some(const Socket& socket, char* bytes, std::size_t count);
long send_some(const Socket& socket, const char* bytes, std::size_t count);
// Waits until the socket can be read (or written); false after `milliseconds`.
bool wait_readable(const Socket& socket, int milliseconds);
bool wait_writable(const Socket& socket, int milliseconds);

}  // namespace convoy::dist
