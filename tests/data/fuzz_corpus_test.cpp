// SPDX-License-Identifier: MIT
// What scripts/fuzz.sh starts from and what it once found, read again by every build, those of the
// sanitizers above all.
#include <map>

#include "data/file.h"
#include "tests/data/files.h"
#include "tests/fuzz/targets.h"

namespace convoy::data {
namespace {

namespace fs = std::filesystem;

const std::map<std::string, void (*)(fuzz::Bytes)> kTargets = {
    {"bitmap", fuzz::bitmap},
    {"cifar", fuzz::cifar},
    {"idx", fuzz::idx},
    {"jpeg", fuzz::jpeg},
    {"json", fuzz::json},
    {"pack", fuzz::pack},
    {"png", fuzz::png},
    {"safetensors", fuzz::safetensors},
    {"store", fuzz::store},
};

TEST(FuzzCorpus, EveryInputIsTakenOrRefused) {
  int inputs = 0;
  for (const auto& folder : fs::directory_iterator(CONVOY_FUZZ_CORPUS)) {
    const std::string target = folder.path().filename().string();
    ASSERT_TRUE(kTargets.contains(target)) << target;
    for (const auto& file : fs::directory_iterator(folder)) {
      SCOPED_TRACE(file.path().string());
      const auto bytes = read_file(file.path(), 1 << 20);
      EXPECT_NO_THROW(kTargets.at(target)(bytes));
      ++inputs;
      // Cut short and damaged, it is another input.
      for (std::size_t i = 0; i < bytes.size(); i += 1 + bytes.size() / 40) {
        testing::Bytes changed(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(i));
        EXPECT_NO_THROW(kTargets.at(target)(changed)) << i;
        changed = bytes;
        changed[i] ^= 0x55;
        EXPECT_NO_THROW(kTargets.at(target)(changed)) << i;
      }
    }
  }
  EXPECT_GE(inputs, 30);
}

}  // namespace
}  // namespace convoy::data
