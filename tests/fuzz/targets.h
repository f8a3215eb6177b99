// SPDX-License-Identifier: MIT
#pragma once
// One function per format that comes from outside: any bytes must be taken or refused with an Error
// of kind data. libFuzzer calls them with bytes of its making (scripts/fuzz.sh), and a test with
// the files of tests/fuzz/corpus, where a finding's input stays for good.

#include <cstdint>
#include <span>

namespace convoy::fuzz {

using Bytes = std::span<const std::uint8_t>;

void jpeg(Bytes file);  // whole, and framed by a decoder that has seen the inputs before
void png(Bytes file);   // its checksums are put right first, so that what is behind them is reached
void bitmap(Bytes file);  // BMP and PNM
void idx(Bytes file);
void cifar(Bytes file);
void pack(Bytes file);  // its checksums are put right first
void safetensors(Bytes file);
void json(Bytes file);   // a checkpoint's state and manifest, a tuning table, a configuration
void store(Bytes stream);  // what a stranger, a rank and rank 0 send

}  // namespace convoy::fuzz
