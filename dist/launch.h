// SPDX-License-Identifier: MIT
#pragma once
// Which rank of how many this process is, as whoever launched it says: torchrun's variables (RANK,
// LOCAL_RANK, WORLD_SIZE, LOCAL_WORLD_SIZE, MASTER_ADDR, MASTER_PORT), else Open MPI's, else
// Slurm's; without any of them one rank of one.

#include <functional>
#include <string>

#include "runtime/device.h"

namespace convoy::dist {

struct Place {
  int rank = 0;
  int world_size = 1;
  int local_rank = 0;        // on this machine
  int local_world_size = 1;  // ranks on this machine
  std::string init = "";     // "tcp://host:port" or "file:///path"; empty with one rank
  std::string job = "";      // told apart from others by this; empty where the launcher has no name
};

// A variable's value; nullptr or empty where it is not set.
using Environment = std::function<const char*(const char*)>;
const char* process_environment(const char* name);

// Throws Error of kind usage for values that contradict each other or are not numbers, naming the
// variable. `init` is --dist-init, which goes before MASTER_ADDR and MASTER_PORT where it is given.
//
// Under torchrun the agent may serve a store of its own at MASTER_PORT and say so
// (TORCHELASTIC_USE_AGENT_STORE=True): ours is then at the next port. Open MPI and Slurm name no
// port: it is made of the job's number, between 15000 and 24999. Slurm's first host is the master;
// Open MPI names none, so that a job on several machines needs MASTER_ADDR.
Place place_from_environment(const std::string& init = "",
                             const Environment& environment = process_environment);

// The device that --device names, for this rank: "cuda" is the GPU of its number on this machine.
Device own_device(const std::string& text, const Place& place);

// "node[003-007,9],gpu1" gives "node003".
std::string first_slurm_host(const std::string& hosts);

}  // namespace convoy::dist
