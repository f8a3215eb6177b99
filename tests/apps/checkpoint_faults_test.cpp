// SPDX-License-Identifier: MIT
// A checkpoint is saved while every call that changes a file fails in turn, the process ends at
// every call, the disk fills at every place, and the power goes. What was saved last, or before it,
// is found to the bit; what a finished save has written stays.
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "kernels/require.h"
#include "tests/apps/checkpoints.h"
#include "tests/support/errors.h"
#include "tests/support/file_calls.h"
#include "tests/support/survivors.h"

namespace convoy::testing {
namespace {

// The newest whole checkpoint of a run, empty where there is none.
Files found_in(const fs::path& run) {
  ::testing::internal::CaptureStderr();  // of damaged ones it tells
  Files files;
  if (fs::exists(run)) {
    try {
      files = files_of(apps::find_checkpoint(run));
    } catch (const Error&) {
    }
  }
  ::testing::internal::GetCapturedStderr();
  return files;
}

struct Case {
  const char* name;
  void (*before)(Checkpointed& job, const fs::path& run);
  std::int64_t step;  // that is saved
};
void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }
const Case kCases[] = {
    {"TheFirst", [](Checkpointed&, const fs::path&) {}, 5},
    {"TheNext", [](Checkpointed& job, const fs::path& run) { job.save(run, 4, 1); }, 5},
    {"TheSameStepAgain", [](Checkpointed& job, const fs::path& run) { job.save(run, 5, 1); }, 5},
    {"InPlaceOfADamagedOne",
     [](Checkpointed& job, const fs::path& run) {
       job.save(run, 4, 1);
       job.save(run, 5, 3, 2);
       write_text(run / "checkpoints/step-00000005/state.json", "{}");
     },
     5},
};

class CheckpointFaults : public ::testing::TestWithParam<Case> {
 protected:
  // A run as it is before the save, in a folder of its own.
  struct Run {
    Run(Checkpointed& job, const Case& c) : output(folder / "run") {
      c.before(job, output);
      old_files = found_in(output);
    }
    TemporaryFolder folder;
    fs::path output;
    Files old_files;
  };

  // What the save says: nothing where it was done.
  std::string save(const Run& run) {
    try {
      job.save(run.output, GetParam().step, 2);
    } catch (const std::exception& error) {
      return error.what();
    }
    return "";
  }
  void SetUp() override {
    const Run run(job, GetParam());
    FileCalls calls(run.folder.path());
    ASSERT_EQ(save(run), "");
    number_of_calls = calls.count();
    record = calls.done();
    new_files = found_in(run.output);
    ASSERT_EQ(new_files.size(), 5u);
    ASSERT_NE(new_files, run.old_files);
  }

  Checkpointed job;
  Files new_files;
  int number_of_calls = 0;
  std::vector<FileCall> record;
};

INSTANTIATE_TEST_SUITE_P(Saving, CheckpointFaults, ::testing::ValuesIn(kCases),
                         [](const auto& c) { return c.param.name; });

struct Fault {
  const char* name;
  FileFault fault;
  int error;
};
const Fault kFaults[] = {{"end of the process", FileFault::end_before, 0},
                         {"no space", FileFault::error, ENOSPC},
                         {"input/output error", FileFault::error, EIO},
                         {"quota", FileFault::error, EDQUOT},
                         {"signal", FileFault::error, EINTR},
                         {"half a write", FileFault::less, 0}};

TEST_P(CheckpointFaults, AtEveryCallLeaveTheOldOrTheNewOne) {
  EXPECT_GE(number_of_calls, 25);
  for (const Fault& fault : kFaults) {
    for (int call = 0; call < number_of_calls; ++call) {
      SCOPED_TRACE(fmt::format("{} at call {}", fault.name, call));
      const Run run(job, GetParam());
      std::string error;
      {
        FileCalls calls(run.folder.path());
        calls.fail({.call = call, .fault = fault.fault, .error = fault.error});
        error = save(run);
        ASSERT_TRUE(calls.failed());
        // Both go on where they were; all else is told.
        const bool goes_on = fault.fault == FileFault::less ||
                             (fault.error == EINTR && (calls.failed() == FileOperation::create ||
                                                       calls.failed() == FileOperation::write ||
                                                       calls.failed() == FileOperation::close));
        EXPECT_EQ(error.empty(), goes_on) << error;
      }
      const Files found = found_in(run.output);
      EXPECT_TRUE(found == new_files || (!error.empty() && found == run.old_files));
      // Whatever lies there, the next one is saved.
      EXPECT_EQ(save(run), "");
      EXPECT_EQ(found_in(run.output), new_files);
      for (const auto& entry : fs::directory_iterator(run.output / "checkpoints")) {
        EXPECT_TRUE(entry.path().filename().string().starts_with("step-")) << entry.path();
      }
    }
  }
}

// After one that fails, the kernel may have dropped what was written: a second would say that all
// is well.
TEST_P(CheckpointFaults, AFailedSyncIsNotTriedAgain) {
  for (int call = 0; call < number_of_calls; ++call) {
    const Run run(job, GetParam());
    FileCalls calls(run.folder.path());
    calls.fail({.call = call, .error = EIO});
    save(run);
    if (calls.failed() != FileOperation::sync) continue;
    const auto synced = [](const FileCall& c) { return c.operation == FileOperation::sync; };
    EXPECT_EQ(std::ranges::count_if(calls.done(), synced),
              std::ranges::count_if(record.begin(), record.begin() + call, synced))
        << call;
  }
}

TEST_P(CheckpointFaults, AFullDiskKeepsTheOldOneAndSaysWhatIsNeededAndFree) {
  std::uint64_t bytes = 0;
  for (const FileCall& call : record) bytes += call.bytes.size();
  for (int part = 0; part < 20; ++part) {
    const Run run(job, GetParam());
    {
      FileCalls calls(run.folder.path());
      calls.fail({.space = bytes * part / 20});
      const std::string error = save(run);
      expect_says(error, " bytes: No space left on device; the volume of ");
      const std::size_t of = error.find(" of ", error.find(" it after "));
      ASSERT_NE(of, error.npos) << error;
      const std::uint64_t needed = std::stoull(error.substr(of + 4));
      EXPECT_GT(needed, 0U) << error;
      EXPECT_LE(needed, bytes) << error;
      expect_says(error, " bytes free; what was there before is untouched");
    }
    EXPECT_EQ(found_in(run.output), run.old_files);
  }
}

// How many of the disk's possible states after `done` calls have neither of the two; of the last,
// not the new one.
int lost_after(const Disk& disk, std::size_t done, std::size_t calls, int states,
               const std::vector<const Files*>& good) {
  std::mt19937 random(static_cast<std::uint32_t>(done));
  int lost = 0;
  for (int i = 0; i < states; ++i) {
    const TemporaryFolder folder;
    disk.write_survivors(random, folder / "survivors");
    const Files found = found_in(folder / "survivors/run");
    const auto is = [&](const Files* files) { return *files == found; };
    lost += std::ranges::any_of(done == calls ? std::vector{good.back()} : good, is) ? 0 : 1;
  }
  return lost;
}

TEST_P(CheckpointFaults, LossOfPowerLeavesTheOldOrTheNewOne) {
  const auto lost = [&](int states, const std::function<bool(const FileCall&)>& is_done) {
    const Run run(job, GetParam());
    FileCalls calls(run.folder.path());
    Disk disk(run.folder.path());
    EXPECT_EQ(save(run), "");
    const std::vector<FileCall>& all = calls.done();
    int count = lost_after(disk, 0, all.size(), 1, {&run.old_files, &new_files});
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (is_done(all[i])) disk.apply(all[i]);
      count += lost_after(disk, i + 1, all.size(), states, {&run.old_files, &new_files});
    }
    return count;
  };
  EXPECT_EQ(lost(12, [](const FileCall&) { return true; }), 0);
  const auto is_sync = [](const FileCall& c) { return c.operation == FileOperation::sync; };
  EXPECT_GT(lost(2, [&](const FileCall& c) { return !is_sync(c) || c.path.has_extension(); }), 0)
      << "it does not matter whether folders are synced";
  EXPECT_GT(lost(2, [&](const FileCall& c) { return !is_sync(c) || !c.path.has_extension(); }), 0)
      << "it does not matter whether files are synced";
}

}  // namespace
}  // namespace convoy::testing
