// SPDX-License-Identifier: MIT
#pragma once
// What was last given to each device. CUDA reports a kernel's failure at some later call, and from
// then on by every call: the text of that error can only say what was under way.
//
//   note_launch(stream.device, "Conv2dForward", "tensor_core");
//   fail("{}; last launched: {}", text, last_launches(device));
//
// CONVOY_SYNC=1 waits for each launch, so that the error is the failed kernel's own.

#include <string>

#include "kernels/base.h"

namespace convoy {

// An op with its variant, or a kernel. Both texts must live as long as the program.
void note_launch(const Device& device, const char* name, const char* variant = "") noexcept;
// "Copy, Conv2dForward (tensor_core)" with the newest last, at most twelve; "nothing".
std::string last_launches(const Device& device);

// Whether the host waits for each launch; CONVOY_SYNC=1 says so from the start.
bool launches_wait();
void set_launches_wait(bool on);

// Whether kernels are launched so that the next one may begin while the last one's end is still
// under way: programmatic dependent launch, from compute capability 9.0 on. CONVOY_PROGRAMMATIC=1
// says so. On the simulator kernels run one after another; there, in the preset
// simcheck, what a kernel does before it has waited for the previous one is an error.
bool launches_are_programmatic();

// A cudaError_t after which the device is of no use to this process: a kernel went wrong, or the
// hardware did.
constexpr bool ends_the_device(int status) {
  return status == 214 || status == 220 || status == 700 || status == 702 || status == 710 ||
         (status >= 714 && status <= 719) || status == 999;
}
// What an error's text says in that case.
std::string text_of_the_end(const Device& device);

}  // namespace convoy
