// SPDX-License-Identifier: MIT
#pragma once
// Which rank of how many this process is, as whoever launched it says: torchrun's variables (RANK,
// LOCAL_RANK, WORLD_SIZE, LOCAL_WORLD_SIZE, MASTER_ADDR, MASTER_PORT), else Open MPI's, else
// Slurm's; without any of them one rank of one.

#include <string>

namespace convoy::dist {

struct Place {
  int rank = 0;
  int world_size = 1;
  int local_rank = 0;        // on this machine
  int local_world_size = 1;  // ranks on this machine
  std::string init = "";     // "tcp://host:port" or "file:///path"; empty with one rank
  std::string job = "";      // told apart from others by this; empty where the launcher has no name
};

// Throws Error of kind usage for values that contradict each other or are not numbers, naming the
// variable. `init` is --dist-init, which goes before MASTER_ADDR and MASTER_PORT where it is given.
Place place_from_environment(const std::string& init = "");

}  // namespace convoy::dist
