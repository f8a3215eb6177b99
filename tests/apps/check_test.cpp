// SPDX-License-Identifier: MIT
// convoy check, as a user types it.
#include <nlohmann/json.hpp>

#include "tests/apps/program.h"

namespace convoy::testing {
namespace {

using nlohmann::json;

TEST(CheckProgram, ExitsWithThreeWhereAFileDoesNotDecode) {
  const Folder folder;
  make_digits(folder);
  const Outcome good = convoy_run(folder, "check digits");
  EXPECT_EQ(good.code, 0) << good.err;
  EXPECT_EQ(last_line(good.out),
            "110 images: 110 good, 0 bad; 0 odd, 0 duplicates, 0 both held out and trained on");
  write_file(folder / "digits/val/3/zz.jpg", "no picture");
  const Outcome bad = convoy_run(folder, "check digits -j 3");
  EXPECT_EQ(bad.code, 3);
  EXPECT_EQ(bad.out.find("unsupported digits/val/3/zz.jpg: expected JPEG"), 0u) << bad.out;
  EXPECT_EQ(bad.out, convoy_run(folder, "check digits -j 0").out);
  EXPECT_EQ(convoy_run(folder, "check digits/val/3/zz.jpg").code, 3);
  EXPECT_EQ(convoy_run(folder, "check digits/val/3/00001.jpg").code, 0);
  EXPECT_EQ(convoy_run(folder, "check nothing").code, 3);
  EXPECT_EQ(convoy_run(folder, "check").code, 2);
}

TEST(CheckProgram, SetsBadFilesAsideByTheirPaths) {
  const Folder folder;
  make_digits(folder);
  write_file(folder / "digits/val/3/zz.jpg", "no picture");
  const Outcome first = convoy_run(folder, "check digits --move-bad digits/bad --json");
  EXPECT_EQ(first.code, 3);
  const json report = json::parse(first.out);
  EXPECT_EQ(report["images"], 111);
  EXPECT_EQ(report["bad"], 1);
  EXPECT_EQ(report["set_aside"], 1);
  EXPECT_EQ(report["findings"][0]["file"], "digits/val/3/zz.jpg");
  EXPECT_EQ(report["findings"][0]["kind"], "unsupported");
  EXPECT_EQ(read_file(folder / "digits/bad/val/3/zz.jpg"), "no picture");
  EXPECT_FALSE(fs::exists(folder / "digits/val/3/zz.jpg"));
  // What was set aside is not looked at again, and stays when another of its name comes.
  write_file(folder / "digits/val/3/zz.jpg", "another");
  EXPECT_EQ(convoy_run(folder, "check digits --move-bad digits/bad").code, 3);
  EXPECT_EQ(read_file(folder / "digits/bad/val/3/zz.jpg"), "no picture");
  EXPECT_EQ(read_file(folder / "digits/bad/val/3/zz.1.jpg"), "another");
  EXPECT_EQ(convoy_run(folder, "check digits --move-bad digits/bad").code, 0);
}

TEST(CacheFlag, ChangesNoBitOfTraining) {
  const Folder folder;
  make_digits(folder);
  const auto trained = [&](const std::string& flags, const std::string& name) {
    const Outcome run =
        convoy_run(folder, kTinyTrain + "--epochs 2 " + flags + " --output " + name);
    EXPECT_EQ(run.code, 0) << run.err;
    return read_file(folder / (name + "/checkpoints/step-00000010/model.safetensors"));
  };
  const std::string plain = trained("", "plain");
  EXPECT_FALSE(plain.empty());
  EXPECT_EQ(trained("--cache ram --cache-bytes 40K", "some"), plain);
  // Pictures are as large as the model sees them, so nothing is decoded at a smaller scale.
  EXPECT_EQ(trained("--cache decoded", "decoded"), plain);
  const Outcome wrong = convoy_run(folder, kTinyTrain + "--cache disk");
  EXPECT_EQ(wrong.code, 2);
  EXPECT_NE(wrong.err.find("--cache expects none, ram or decoded"), std::string::npos) << wrong.err;
}

}  // namespace
}  // namespace convoy::testing
