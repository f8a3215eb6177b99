// SPDX-License-Identifier: MIT
#pragma once
// How ranks do an operation in host memory: by messages between every two of them, in one thread.

#include <cstddef>
#include <memory>

#include "dist/operation.h"
#include "dist/peers.h"

namespace convoy::dist {

// One operation's memory, as the thread that runs it sees it.
struct Job {
  Operation operation;
  Partition parts;
  const std::byte* in;
  std::byte* out;

  std::size_t bytes(std::int64_t count) const { return count * size_of(operation.dtype); }
  std::size_t begin(int rank) const { return bytes(parts.of(rank).begin); }
  std::size_t length(int rank) const { return bytes(parts.of(rank).count()); }
};

class GlooEngine {
 public:
  // The peers must outlive it.
  explicit GlooEngine(Peers& peers);
  ~GlooEngine();
  // Returns when this rank's side is done. Throws PeerError that names the rank to blame.
  void run(const Job& job);

 private:
  class Messages;
  std::unique_ptr<Messages> messages_;
};

}  // namespace convoy::dist
