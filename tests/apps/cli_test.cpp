// SPDX-License-Identifier: MIT
// The command line: help, spellings, listings, and one line for a mistake.
#include "tests/apps/program.h"

namespace convoy::testing {
namespace {

TEST(Cli, HelpIsGroupedAndGoesToStandardOutput) {
  const Folder folder;
  const Outcome top = convoy_run(folder, "--help");
  EXPECT_EQ(top.code, 0);
  for (const char* name :
       {"train", "eval", "predict", "pack", "synth", "models", "summary", "doctor"}) {
    EXPECT_NE(top.out.find(std::string("  ") + name), std::string::npos) << name;
  }
  const Outcome train = convoy_run(folder, "train --help");
  EXPECT_EQ(train.code, 0);
  for (const char* group : {"Data:", "Optimizer:", "Schedule:", "Device:"}) {
    EXPECT_NE(train.out.find(group), std::string::npos) << group;
  }
  EXPECT_EQ(convoy_run(folder, "").code, 2);
}

TEST(Cli, UnknownFlagsAndCommandsAreAnsweredWithTheNearest) {
  const Folder folder;
  const Outcome flag = convoy_run(folder, "train --bacth-size 3");
  EXPECT_EQ(flag.code, 2);
  EXPECT_NE(flag.err.find("--bacth-size; did you mean --batch-size?"), std::string::npos)
      << flag.err;
  const Outcome command = convoy_run(folder, "trian");
  EXPECT_EQ(command.code, 2);
  EXPECT_NE(command.err.find("did you mean train?"), std::string::npos) << command.err;
  const Outcome value = convoy_run(folder, "train --epochs many");
  EXPECT_EQ(value.code, 2);
  EXPECT_EQ(value.err,
            "convoy: --epochs = many cannot be read; convoy train --help says what is expected\n");
}

TEST(Cli, BothSpellingsOfAFlagAreTaken) {
  const Folder folder;
  const Outcome run = convoy_run(folder, "train --batch_size=0 --data_dir . --dataset cifar10");
  EXPECT_EQ(run.code, 2);
  EXPECT_NE(run.err.find("--batch-size expects 1 or more, found 0"), std::string::npos) << run.err;
}

TEST(Cli, ModelsAndDevicesAreListed) {
  const Folder folder;
  const Outcome models = convoy_run(folder, "models");
  EXPECT_EQ(models.code, 0);
  for (const char* name : {"lenet5", "resnet20", "resnet50", "vgg16_bn", "convnext_tiny"}) {
    EXPECT_NE(models.out.find(name), std::string::npos) << name;
  }
  EXPECT_EQ(convoy_run(folder, "devices").out.find("cpu"), 0u);
}

// Whatever GPUs the machine has are hidden.
TEST(Cli, DevicesAndDoctorSayWhatThereIsAndWhy) {
  const Folder folder;
  const auto said = [&](const std::string& variables, const std::string& command) {
    const Outcome run = run_script(folder, "CUDA_VISIBLE_DEVICES= " + variables + " \"$convoy\" " +
                                               command + " >\"$out\" 2>\"$err\"");
    EXPECT_EQ(run.code, 0) << run.err;
    return run.out;
  };
  const std::string devices = said("CONVOY_SIM_DEVICES=2", "devices");
  for (const char* part :
       {"\nsim      sim, SIMT simulator", "\nsim:1    sim:1", "\ncuda     none: "}) {
    EXPECT_NE(devices.find(part), std::string::npos) << part << devices;
  }
  const std::string doctor = said("NCCL_DEBUG=INFO CONVOY_SYNC=1", "doctor");
  for (const char* part : {"compute threads", "NUMA nodes", "/dev/shm", "NCCL_DEBUG", "INFO",
                           "CONVOY_SYNC", "cuda device"}) {
    EXPECT_NE(doctor.find(part), std::string::npos) << part << doctor;
  }
  const std::string misspelt = said(
      "CONVOY_SYNK=1 CONVOY_ALLOCATOR=dirct CONVOY_FAULT=1:here CONVOY_PROGRAMMATIC=yes", "doctor");
  for (const char* part : {"--   CONVOY_SYNK", "nothing reads it; did you mean CONVOY_SYNC?",
                           "CONVOY_ALLOCATOR expects exact or direct, found 'dirct'",
                           "CONVOY_FAULT expects", "CONVOY_PROGRAMMATIC expects 0 or 1"}) {
    EXPECT_NE(misspelt.find(part), std::string::npos) << part << misspelt;
  }
  const Outcome wrong =
      run_script(folder, "CONVOY_SIM_DEVICES=many \"$convoy\" devices >\"$out\" 2>\"$err\"");
  EXPECT_EQ(wrong.code, 2);
  EXPECT_NE(wrong.err.find("CONVOY_SIM_DEVICES expects 1 to 16, found 'many'"), std::string::npos)
      << wrong.err;
}

TEST(Cli, SummaryCountsParametersAndMultiplications) {
  const Folder folder;
  const Outcome run = convoy_run(folder, "summary --model lenet5");
  EXPECT_EQ(run.code, 0) << run.err;
  // 28·28·6·25 + 10·10·16·150 + 400·120 + 120·84 + 84·10 = 416,520.
  EXPECT_NE(run.out.find("total: 61706 parameters"), std::string::npos) << run.out;
  EXPECT_NE(run.out.find("0.0004165 G multiply-adds"), std::string::npos) << run.out;
}

TEST(Cli, SummarySeesTheLayersInsideBlocks) {
  const Folder folder;
  const Outcome run = convoy_run(folder, "summary --model resnet18");
  EXPECT_EQ(run.code, 0) << run.err;
  EXPECT_NE(run.out.find("layer3.1.conv2 "), std::string::npos) << run.out;
  // He et al., table 1: 1.8 G multiply-adds.
  EXPECT_NE(run.out.find(" 1.814 G multiply-adds"), std::string::npos) << run.out;
}

TEST(Cli, PlanShowsWhatZeroSaves) {
  const Folder folder;
  const std::string job = "plan --model lenet5 --world-size 4 --batch-size 8 --amp --opt adamw ";
  const Outcome run = convoy_run(folder, job);
  EXPECT_EQ(run.code, 0) << run.err;
  EXPECT_NE(run.out.find("lenet5: 61706 parameters"), std::string::npos) << run.out;
  // 12 bytes each: masters and two moments, in slices of whole 256 bytes.
  EXPECT_NE(run.out.find("optimizer_bytes                      0.75             0.19"),
            std::string::npos)
      << run.out;
  EXPECT_EQ(run.out.find("averages"), std::string::npos) << run.out;
  const Outcome averaged = convoy_run(folder, job + "--model-ema");
  EXPECT_NE(averaged.out.find("averages                             0.25             0.06"),
            std::string::npos)
      << averaged.out;
  const Outcome one = convoy_run(folder, job + "--zero-stage 1");
  EXPECT_EQ(one.out.find("zero-stage 0"), std::string::npos) << one.out;
  EXPECT_EQ(convoy_run(folder, job + "--zero-stage 2").code, 2);
  EXPECT_EQ(convoy_run(folder, job + "--img-size 40").code, 2);
  for (const char* flag : {"--bandwidth 0", "--bandwidth inf", "--latency inf", "--latency nan"}) {
    EXPECT_EQ(convoy_run(folder, job + flag).code, 2) << flag;
  }
  const Outcome many = convoy_run(folder, "plan --model lenet5 --world-size 30000000");
  EXPECT_EQ(many.code, 2);
  EXPECT_NE(many.err.find("--world-size expects a number from 1 to 65536, found 30000000"),
            std::string::npos)
      << many.err;
}

TEST(Cli, SynthWritesTheSameBytesForTheSameSeed) {
  const Folder folder;
  const std::string flags = " --train-per-class 2 --val-per-class 1 --seed 9";
  ASSERT_EQ(convoy_run(folder, "synth a" + flags).code, 0);
  ASSERT_EQ(convoy_run(folder, "synth b" + flags).code, 0);
  EXPECT_EQ(read_file(folder / "a/train/7/00002.jpg"), read_file(folder / "b/train/7/00002.jpg"));
  EXPECT_NE(read_file(folder / "a/train/7/00002.jpg"), read_file(folder / "a/train/7/00001.jpg"));
  EXPECT_EQ(convoy_run(folder, "synth a" + flags).code, 2) << "a folder that is not empty";
}

}  // namespace
}  // namespace convoy::testing
