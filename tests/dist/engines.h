// SPDX-License-Identifier: MIT
#pragma once
// The communicators that the conformance test is run over.
//
// Ranks are threads of this process. With CONVOY_TEST_RANKS=file:///FOLDER and a launcher's RANK
// and WORLD_SIZE this process is one rank instead, and runs what its number of ranks can: NCCL
// takes two ranks on one GPU only from different processes (scripts/nccl_one_gpu.sh).

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/communicators.h"

namespace convoy::dist {

struct Engine {
  std::string name;
  MakeCommunicator make;
  std::function<std::vector<Device>(int rank)> devices;
  int most_ranks = 8;         // as threads
  std::string why_not = "";   // it cannot run here
  bool in_rank_order = true;  // and half types rounded once
  bool every_case = false;    // each twenty times: minutes
};

// Those of this test program.
std::vector<Engine> engines();

// This process as one rank of several, where a launcher has said so; else null.
struct OneOfMany {
  Place place;
  std::unique_ptr<Store> store;
  int communicators = 0;
};
OneOfMany* one_of_many();

}  // namespace convoy::dist
