// SPDX-License-Identifier: MIT
#pragma once
// What there is of CUDA, for people: `convoy doctor` and error texts. Linked where the build has
// the cuda device.

#include <cstddef>
#include <string>

namespace convoy::on_cuda {

// "sm_80 with PTX, sm_90a".
std::string compiled_architectures();

struct Versions {
  std::string driver;   // the newest CUDA that it can run, "13.0"; empty where there is no driver
  std::string runtime;  // that this program was built with
};
Versions versions();

// Why no GPU can be used, in CUDA's words; empty where there is one.
std::string problem();

struct Place {
  std::string pci_bus;  // "0000:17:00.0"
  int numa_node = -1;   // of the host's memory that is next to it; -1: the kernel names none
  std::size_t free_bytes = 0, total_bytes = 0;
};
// Throws Error where there is no such device.
Place place(int index);

}  // namespace convoy::on_cuda
