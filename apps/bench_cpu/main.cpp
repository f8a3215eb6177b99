// SPDX-License-Identifier: MIT
// bench_cpu: reads one command a line and answers with one line of JSON, so that
// scripts/bench_cpu.py can let us and PyTorch take turns. By hand:
//
//   echo "conv resnet18 0.3" | build/release/bin/bench_cpu
//
//   conv FILTER SECONDS            each convolution against the bare oneDNN primitive
//   model NAME BATCH SIZE          makes a model
//   step COUNT                     seconds of COUNT training steps of the last model, and its loss
//   add COUNT                      seconds of one recorded add of one-element tensors
//   chain COUNT LENGTH             the same in chains, with backward
//   blocks SECONDS                 seconds of taking a block of memory and giving it back
//   memory                         bytes of the cpu's memory: at most in use so far, and held now
//   decode SECONDS FOLDER          JPEG files to crops, against decoding them whole
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdio>
#include <iostream>
#include <sstream>

#include "apps/bench_cpu/bench.h"
#include "runtime/allocator.h"

namespace {

using namespace convoy::bench;

std::string json(const Row& r) {
  return fmt::format(R"({{"layer": "{}", "pass": "{}", "variant": "{}", "ours_ms": {:.4f}, )"
                     R"("onednn_ms": {:.4f}, "onednn_layout": "{}", "ratio": {:.4f}}})",
                     r.layer, r.pass, r.variant, r.ours * 1e3, r.bare * 1e3, r.bare_layout,
                     r.ours / r.bare);
}

std::string conv(std::istringstream& words) {
  std::string filter;
  double seconds = 0.3;
  words >> filter >> seconds;
  std::vector<std::string> rows;
  for (const Row& row : conv_layers(filter == "all" ? "" : filter, seconds)) {
    rows.push_back(json(row));
  }
  return fmt::format("[{}]", fmt::join(rows, ", "));
}

std::string step(std::istringstream& words, TrainStep& model) {
  int count = 1;
  words >> count;
  std::vector<double> seconds;
  for (int i = 0; i < count; ++i) seconds.push_back(model.run());
  return fmt::format(R"({{"seconds": [{:.6f}], "loss": {:.6f}}})", fmt::join(seconds, ", "),
                     model.loss());
}

std::string decode(std::istringstream& words) {
  double seconds = 5;
  std::string folder;
  words >> seconds >> std::ws;
  std::getline(words, folder);
  const DecodeSpeed s = decode_speed(folder, seconds);
  return fmt::format(R"({{"files": {}, "framed_per_s": {:.1f}, "whole_per_s": {:.1f}, )"
                     R"("ratio": {:.3f}}})",
                     s.files, s.framed, s.whole, s.framed / s.whole);
}

std::string blocks(std::istringstream& words) {
  double seconds = 1;
  words >> seconds;
  const BlockSeconds s = block_seconds(seconds);
  return fmt::format(R"({{"cut": {:.3g}, "exact": {:.3g}, "direct": {:.3g}}})", s.cut, s.exact,
                     s.direct);
}

std::string memory() {
  const convoy::AllocatorStats s = convoy::allocator({}).stats();
  return fmt::format(R"({{"peak_bytes": {}, "held_bytes": {}, "ratio": {:.3f}}})", s.peak_bytes,
                     s.held_bytes,
                     static_cast<double>(s.held_bytes) / static_cast<double>(s.peak_bytes));
}

std::string answer(const std::string& line, std::unique_ptr<TrainStep>& model) {
  std::istringstream words(line);
  std::string command, name;
  std::int64_t a = 1, b = 1;
  words >> command;
  if (command == "conv") return conv(words);
  if (command == "blocks") return blocks(words);
  if (command == "memory") return memory();
  if (command == "decode") return decode(words);
  if (command == "model") {
    words >> name >> a >> b;
    model = std::make_unique<TrainStep>(name, a, b);
    return "{}";
  }
  if (command == "step" && model) return step(words, *model);
  words >> a >> b;
  if (command == "add") return fmt::format("{:.12f}", recorded_add(a));
  if (command == "chain") return fmt::format("{:.12f}", recorded_chain(a, b));
  return R"({"error": "unknown command"})";
}

}  // namespace

int main() {
  std::unique_ptr<TrainStep> model;
  for (std::string line; std::getline(std::cin, line);) {
    fmt::print("{}\n", answer(line, model));
    std::fflush(stdout);
  }
}
