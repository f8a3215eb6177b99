// SPDX-License-Identifier: MIT
// A worker that does not come back from a sample: named at its deadline, and left behind.
#include <atomic>
#include <mutex>

#include "runtime/seconds.h"
#include "tests/data/files.h"
#include "tests/data/numbered.h"

namespace convoy::data {
namespace {

using testing::Numbered;
using Clock = std::chrono::steady_clock;

// One sample is read only when it is let go.
class Stuck : public Numbered {
 public:
  Stuck(std::int64_t size, std::int64_t at) : Numbered(size), at_(at) {}
  Stored stored(std::int64_t index, std::vector<std::uint8_t>& scratch) const override {
    if (index == at_) let_go.wait(false);
    return Numbered::stored(index, scratch);
  }
  mutable std::atomic<bool> let_go = false;

 private:
  std::int64_t at_;
};

TEST(LoaderWatch, NamesTheSampleAtItsDeadlineAndGoesOn) {
  for (const int workers : {1, 3}) {
    const auto set = std::make_shared<Stuck>(32, 13);
    std::vector<std::string> told;
    const auto start = Clock::now();
    {
      Loader loader(set, {.batch_size = 4,
                          .workers = workers,
                          .depth = 2,
                          .deadline_s = 0.4,
                          .on_stall = [&](const std::string& text) { told.push_back(text); }});
      for (int batch = 0; batch < 3; ++batch) ASSERT_NE(loader.next(), nullptr);
      for (int time = 0; time < 2; ++time) {
        testing::expect_data_error([&] { loader.next(); },
                                   {"worker", "reading [13]", "at most 0.4 s"});
      }
      EXPECT_GE(seconds_since(start), 0.4);
    }
    EXPECT_LT(seconds_since(start), 2);
    ASSERT_EQ(told.size(), 1U);
    EXPECT_NE(told[0].find("reading [13] for 0.2"), std::string::npos) << told[0];
    set->let_go = true;
    set->let_go.notify_all();
  }
}

TEST(LoaderWatch, EndsWithAStuckWorkerWhenNobodyAsks) {
  const auto set = std::make_shared<Stuck>(32, 0);
  const auto start = Clock::now();
  {
    Loader loader(set, {.batch_size = 4, .training = true, .workers = 2, .deadline_s = 0.3});
    loader.next();
  }
  EXPECT_LT(seconds_since(start), 2);
  set->let_go = true;
  set->let_go.notify_all();
}

// A deadline is for one sample, not for a batch or a wait.
TEST(LoaderWatch, LetsSlowButLivingWorkersBe) {
  class Slow : public Numbered {
   public:
    using Numbered::Numbered;
    Stored stored(std::int64_t index, std::vector<std::uint8_t>& scratch) const override {
      std::this_thread::sleep_for(std::chrono::milliseconds(15));
      return Numbered::stored(index, scratch);
    }
  };
  Loader loader(std::make_shared<Slow>(24),
                {.batch_size = 12, .workers = 1, .depth = 1, .deadline_s = 0.1});
  ASSERT_NE(loader.next(), nullptr);
  std::this_thread::sleep_for(std::chrono::milliseconds(250));  // the worker waits for the slot
  ASSERT_NE(loader.next(), nullptr);
}

}  // namespace
}  // namespace convoy::data
