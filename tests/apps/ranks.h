// SPDX-License-Identifier: MIT
#pragma once
// Runs the convoy program as several ranks, and reads what they leave.

#include <nlohmann/json.hpp>

#include "tests/apps/program.h"

namespace convoy::testing {

using nlohmann::json;

// `convoy train ARGUMENTS` as each of `ranks` processes, which meet in a folder; 0 when all are.
// `meanwhile` is a command that knows their $pids.
inline Outcome train_on(const Folder& folder, int ranks, const std::string& arguments,
                        const std::string& environment = "", const std::string& meanwhile = ":") {
  return run_script(
      folder, "rm -rf meet; codes=; for r in $(seq 0 " + std::to_string(ranks - 1) +
                  "); do RANK=$r LOCAL_RANK=$r LOCAL_WORLD_SIZE=" + std::to_string(ranks) +
                  " WORLD_SIZE=" + std::to_string(ranks) + " " + environment + " \"$convoy\" " +
                  kTinyTrain + "--dist-init \"file://$PWD/meet\" --dist-timeout 60 --threads 1 " +
                  arguments + " >\"$out.$r\" 2>\"$err.$r\" & pids=\"$pids $!\"; done; code=0; " +
                  meanwhile +
                  "; "
                  "for p in $pids; do wait $p || code=$?; done; cat \"$out\".* >\"$out\"; "
                  "cat \"$err\".* >\"$err\"; exit $code");
}

inline std::vector<json> steps_of(const fs::path& run) {
  std::vector<json> steps;
  std::stringstream lines(read_file(run / "metrics.jsonl"));
  for (std::string line; std::getline(lines, line);) steps.push_back(json::parse(line));
  return steps;
}

inline fs::path newest(const fs::path& run) {
  fs::path found;
  for (const auto& entry : fs::directory_iterator(run / "checkpoints")) {
    found = std::max(found, entry.path());
  }
  return found;
}

inline void expect_same_weights(const fs::path& a, const fs::path& b) {
  for (const char* file : {"model.safetensors", "optimizer.safetensors", "model_ema.safetensors"}) {
    EXPECT_TRUE(read_file(newest(a) / file) == read_file(newest(b) / file)) << file << " of " << b;
  }
}

}  // namespace convoy::testing
