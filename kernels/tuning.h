// SPDX-License-Identifier: MIT
#pragma once
// Which variant of an op's ladder runs. plan follows its own rule, unless it was told otherwise
// before the work began:
//
//   set_kernel_family(KernelFamily::vendor);    // --kernels own, vendor or auto
//   set_tuning_table(table);                    // --tuning-table, or what --autotune has measured
//
// The table says for each op, by a text of everything that matters to its speed, what was fastest
// on one device. With `own` only hand-written kernels run; with `vendor` the vendor's where it has
// any for the op; `automatic` leaves the choice to the table, and to plan's rule where that says
// nothing. What the table names and the op does not have, or the family does not allow, is passed
// over; the former is said (choices_not_there). Nothing is timed here: apps/trainer/autotune.h does
// that.

#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "kernels/batch_norm.h"
#include "kernels/conv2d.h"
#include "kernels/gemm.h"

namespace convoy {

enum class KernelFamily : std::uint8_t { own, vendor, automatic };
const char* name(KernelFamily family);  // "auto" for automatic
void set_kernel_family(KernelFamily family);
KernelFamily kernel_family();

// Everything but addresses and what an address is aligned to.
std::string tuning_key(const Gemm& op);
std::string tuning_key(const Conv2dForward& op);
std::string tuning_key(const Conv2dBackwardInput& op);
std::string tuning_key(const Conv2dBackwardWeight& op);
std::string tuning_key(const BatchNormForward& op);
std::string tuning_key(const BatchNormBackward& op);

using TuningTable = std::map<std::string, std::string>;  // from key to variant
// Not while another thread plans: between a plan and its run the choice must stay the same.
void set_tuning_table(TuningTable table);
const TuningTable& tuning_table();

// The ops that were planned since, each once; their operands may be gone. Ends the recording.
using TunableOp = std::variant<Gemm, Conv2dForward, Conv2dBackwardInput, Conv2dBackwardWeight,
                               BatchNormForward, BatchNormBackward>;
void start_recording_ops();
std::map<std::string, TunableOp> stop_recording_ops();

// Ops that --kernels vendor found no variant for, by key: a hand-written kernel took them.
std::vector<std::string> ops_without_vendor();

// Is there such a variant, on any device, of the kind of op that the key is of? It need not take
// this one.
bool is_variant(std::string_view key, std::string_view name);

// What the table has asked for in vain: no variant of that name takes the op. A sentence per op.
std::vector<std::string> choices_not_there();

// For the plans of ladders.
namespace choice {

bool is_open();  // false: no table, no family and no recording, which costs nothing to ask
void record(const std::string& key, TunableOp op);
// How many of the vendor's variants can matter for the op: each may be slow to build.
std::size_t vendors_wanted(const std::string& key);
// One of `own` or `vendor`, or null: plan's own rule decides.
const char* pick(const std::string& key, const std::vector<const char*>& own,
                 const std::vector<const char*>& vendor);

}  // namespace choice

// What was asked for, or null. `own(op)` and `vendor(op, limit)` list the variants. The limit is 0
// where the family is `own`, so that no library is loaded.
// Static: the kernels' two object sets may share no symbol.
template <class Op, class Own, class Vendor>
static const char* chosen_variant(const Op& op, Own own, Vendor vendor) {
  if (!choice::is_open()) return nullptr;
  const std::string key = tuning_key(op);
  choice::record(key, op);
  return choice::pick(key, own(op), vendor(op, choice::vendors_wanted(key)));
}

template <class Op>
static std::vector<const char*> no_vendor(const Op&, std::size_t) {
  return {};
}

}  // namespace convoy
