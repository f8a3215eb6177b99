// SPDX-License-Identifier: MIT
#pragma once
// Ranks with a GPU each, by NCCL. Operations run on a stream of the communicator's own, after what
// the caller's stream has been given, and Work::wait() holds the caller's stream, not the host.
// Captured into a graph they are part of it, and run at each replay; the graph must go before the
// communicator, whose end waits for it (NCCL 2.26 and later).
//
// What differs from Gloo:
// - sums are taken in an order of NCCL's choice, along its rings or trees; the same one each time
//   for the same machines, version and settings (NCCL_ALGO, NCCL_PROTO);
// - f16 and bf16 are rounded to their type at every step of it;
// - ranks that ask for different things do not hear of each other until one has waited for the
//   timeout; then the error says what each is waiting for.
//
// A thread watches the operations: one that takes longer than the timeout, counted from when the
// caller's stream has come to it, or an error of NCCL's own, aborts the communicator; the next call
// throws. Those inside a graph are watched for NCCL's errors alone.

#include <chrono>
#include <memory>
#include <string>

#include "dist/communicator.h"
#include "dist/store.h"

namespace convoy::dist {

// Ranks that are to meet name the same prefix in the same store, each prefix once. Throws Error
// naming the first rank that did not come within `timeout`. The device is cuda; sim has streams
// too, for tests with a stand-in for the library.
std::unique_ptr<Communicator> nccl_communicator(Store& store, int rank, int world_size,
                                                const Device& device,
                                                std::chrono::milliseconds timeout,
                                                const std::string& prefix);

// Whether this build can use it, where the library is found.
bool nccl_is_built();
// Why there is no NCCL: this build has none, or its library was not found. Empty where there is.
std::string why_no_nccl();

}  // namespace convoy::dist
