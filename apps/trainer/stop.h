// SPDX-License-Identifier: MIT
#pragma once
// Why a run ends before its last step.

#include <cstdint>

namespace convoy::apps {

enum class Stop : std::uint8_t { go_on, time_is_up, signal };

// From now on the first SIGINT or SIGTERM is a wish to stop: the run ends the step and saves. What
// comes within a second of it is the same wish, told twice; later ones have their default effect.
void take_signals();
bool signal_came();

}  // namespace convoy::apps
