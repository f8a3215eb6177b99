// SPDX-License-Identifier: MIT
#pragma once
// Runs the convoy program as a user would, in a folder of the test's own.

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "tests/support/places.h"

namespace convoy::testing {

namespace fs = std::filesystem;

struct Outcome {
  int code = -1;
  std::string out, err;
};

inline std::string read_file(const fs::path& path) {
  std::stringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

inline void write_file(const fs::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

// Removed when the test is over.
class Folder {
 public:
  Folder() {
    const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
    std::string name = std::string("convoy_") + test->test_suite_name() + "_" + test->name();
    std::ranges::replace(name, '/', '_');  // a parametrised test's would be a folder in a folder
    path_ = fs::temp_directory_path() / name;
    fs::remove_all(path_);
    fs::create_directories(path_);
  }
  ~Folder() { fs::remove_all(path_); }
  fs::path operator/(const std::string& name) const { return path_ / name; }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

// Runs a shell script in the folder; the program is $convoy, its outputs go to $out and $err.
inline Outcome run_script(const Folder& folder, const std::string& script) {
  const fs::path out = folder / "stdout.txt", err = folder / "stderr.txt";
  const std::string command = "cd '" + folder.path().string() + "' && convoy='" +
                              place("CONVOY_PROGRAM", CONVOY_PROGRAM) + "' out='" + out.string() +
                              "' err='" + err.string() + "'; " + script;
  const int status = std::system(command.c_str());
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, read_file(out), read_file(err)};
}

inline Outcome convoy_run(const Folder& folder, const std::string& arguments) {
  return run_script(folder, "\"$convoy\" " + arguments + " >\"$out\" 2>\"$err\"");
}

// The same, interrupted (SIGINT) once a run in folder/run has logged `steps` steps.
inline Outcome convoy_interrupted(const Folder& folder, const std::string& arguments, int steps) {
  return run_script(folder,
                    "\"$convoy\" " + arguments +
                        " >\"$out\" 2>\"$err\" & p=$!; i=0; while [ $(cat run/metrics.jsonl "
                        "2>/dev/null | wc -l) -lt " +
                        std::to_string(steps) +
                        " ] && [ $i -lt 1200 ]; do sleep 0.05; i=$((i+1)); done; "
                        "kill -INT $p; wait $p");
}

// A small data set of drawn digits, 28 x 28, in folder/digits.
inline void make_digits(const Folder& folder) {
  const Outcome run = convoy_run(
      folder, "synth digits --train-per-class 8 --val-per-class 3 --img-size 28 --seed 3");
  ASSERT_EQ(run.code, 0) << run.err;
}

// Flags of a run on them that takes a second: 80 images, 5 steps an epoch.
inline const std::string kTinyTrain =
    "train --dataset image_folder --data-dir digits --img-size 28 --model lenet5 --batch-size 16 "
    "--lr 0.01 --sched constant --warmup-epochs 0 --seed 5 ";

inline std::string last_line(std::string text) {
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text.substr(text.rfind('\n') + 1);
}

}  // namespace convoy::testing
