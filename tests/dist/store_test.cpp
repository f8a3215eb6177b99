// SPDX-License-Identifier: MIT
#include "dist/store.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "kernels/require.h"
#include "tests/dist/on_ranks.h"
#include "tests/support/temporary_folder.h"

namespace convoy::dist {
namespace {

using namespace std::chrono_literals;
using testing::error_of;
using testing::exchange;
using testing::on_ranks;
using testing::TemporaryFolder;

Place file_place(const TemporaryFolder& folder, const std::string& job = "") {
  return {.init = "file://" + folder.path().string(), .job = job};
}

TEST(FileStore, GivesEachRankWhatTheOthersHaveSet) {
  const TemporaryFolder folder;
  for (int run = 0; run < 3; ++run) {
    const auto seen = on_ranks(4, file_place(folder),
                               [](int rank, Store& store) { return exchange(rank, 4, store); });
    EXPECT_EQ(seen, std::vector<std::string>(4, "abcd"));
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder.path())) << "a run's files stayed behind";
}

TEST(FileStore, TakesAnyBytesAndReplacesThem) {
  const TemporaryFolder folder;
  on_ranks(1, file_place(folder), [](int, Store& store) {
    EXPECT_EQ(store.get("absent"), std::nullopt);
    const std::string keys[] = {"a",
                                "a/b",
                                "../up",
                                ".",
                                "a+b",
                                std::string(256, '%'),
                                std::string(256, 'x'),
                                std::string("nul\0nul", 7)};
    for (const std::string& value : {std::string(), std::string(65536, '\0'), std::string("\n")}) {
      for (const std::string& key : keys) store.set(key, key + value.substr(0, 65000));
      for (const std::string& key : keys) EXPECT_EQ(store.get(key), key + value.substr(0, 65000));
    }
    EXPECT_THROW(store.set("", ""), Error);
    EXPECT_THROW(store.set(std::string(257, 'x'), ""), Error);
    EXPECT_THROW(store.set("x", std::string(65537, 'x')), Error);
    return "";
  });
}

// A job that was killed leaves its values and questions; they must not reach the next one.
TEST(FileStore, IsNotConfusedByWhatAnEarlierJobLeft) {
  const TemporaryFolder folder;
  testing::write_text(folder / "ask.1.0123456789abcdef", "");
  testing::write_text(folder / "answer.0123456789abcdef", "run-old 2");
  std::filesystem::create_directory(folder / "run-old");
  testing::write_text(folder / "run-old" / "key.value%2f1", "z");
  testing::write_text(folder / "notes.txt", "somebody's own");
  const auto seen = on_ranks(2, file_place(folder),
                             [](int rank, Store& store) { return exchange(rank, 2, store); });
  EXPECT_EQ(seen, std::vector<std::string>(2, "ab"));
  EXPECT_EQ(testing::file_text(folder / "notes.txt"), "somebody's own");
}

TEST(FileStore, TwoJobsOfDifferentNamesShareAFolder) {
  const TemporaryFolder folder;
  std::vector<std::string> first, second;
  {
    std::jthread one([&] {
      first = on_ranks(2, file_place(folder, "one"),
                       [](int rank, Store& store) { return exchange(rank, 2, store); });
    });
    second = on_ranks(3, file_place(folder, "two/.."),
                      [](int rank, Store& store) { return exchange(rank, 3, store); });
  }
  EXPECT_EQ(first, std::vector<std::string>(2, "ab"));
  EXPECT_EQ(second, std::vector<std::string>(3, "abc"));
  EXPECT_TRUE(std::filesystem::is_empty(folder.path())) << "a job's folder stayed behind";
}

TEST(FileStore, LeavesWhatOthersHavePutIntoItsFolders) {
  const TemporaryFolder folder;
  std::filesystem::create_directory(folder / "job-one");
  testing::write_text(folder / "job-one" / "notes.txt", "somebody's own");
  std::filesystem::create_directory(folder / "empty");
  Place place = file_place(folder, "one");
  const auto meet = [](int rank, Store& store) { return exchange(rank, 2, store); };
  EXPECT_EQ(on_ranks(2, place, meet), std::vector<std::string>(2, "ab"));
  EXPECT_EQ(testing::file_text(folder / "job-one" / "notes.txt"), "somebody's own");
  place = {.init = "file://" + (folder / "empty").string()};
  EXPECT_EQ(on_ranks(2, place, meet), std::vector<std::string>(2, "ab"));
  EXPECT_TRUE(std::filesystem::exists(folder / "empty")) << "the user's folder is gone";
}

TEST(FileStore, NamesTheRanksThatHaveNotCome) {
  const TemporaryFolder folder;
  Place place = file_place(folder);
  place.world_size = 4;
  const std::string rank0 = error_of([&] { open_store(place, 200ms); });
  EXPECT_NE(rank0.find("within 0.2 s, found no rank 1, 2, 3"), std::string::npos) << rank0;
  place.rank = 3;
  const std::string rank3 = error_of([&] { open_store(place, 200ms); });
  EXPECT_NE(rank3.find("rank 3 expects an answer of rank 0 in '" + folder.path().string()),
            std::string::npos)
      << rank3;
}

TEST(FileStore, RefusesAnotherNumberOfRanksAndTheSameRankTwice) {
  const TemporaryFolder folder;
  std::string wrong_size, first, second;
  {
    std::jthread rank0([&] {
      Place place = file_place(folder);
      place.world_size = 3;
      error_of([&] { open_store(place, 1s); });
    });
    Place place = file_place(folder);
    place.rank = 1;
    place.world_size = 2;
    wrong_size = error_of([&] { open_store(place, 20s); });
    place.world_size = 3;
    std::jthread rank1([&] { first = error_of([&] { open_store(place, 20s); }); });
    const auto here = [&] {
      for (const auto& entry : std::filesystem::recursive_directory_iterator(folder.path())) {
        if (entry.path().filename() == "here.1") return true;
      }
      return false;
    };
    while (!here()) std::this_thread::sleep_for(1ms);
    second = error_of([&] { open_store(place, 20s); });
  }
  EXPECT_NE(wrong_size.find("rank 1 expects 2 ranks, but rank 0 has been started with 3"),
            std::string::npos)
      << wrong_size;
  EXPECT_NE(second.find("expects one process with rank 1"), std::string::npos) << second;
  // Rank 2 never comes: rank 1 hears of it from rank 0.
  EXPECT_NE(first.find("expects 3 ranks"), std::string::npos) << first;
  EXPECT_NE(first.find("within 1 s, found no rank 2"), std::string::npos) << first;
}

TEST(Store, WaitEndsAndNamesTheKey) {
  const auto store = memory_store();
  const std::string text = error_of([&] { store->wait("gloo/2", 50ms); });
  EXPECT_NE(text.find("expects 'gloo/2' to be set within 0.05 s"), std::string::npos) << text;
  std::jthread late([&] {
    std::this_thread::sleep_for(30ms);
    store->set("late", "value");
  });
  EXPECT_EQ(store->wait("late", 20s), "value");
}

TEST(Store, RefusesAnAddressThatIsNone) {
  for (const char* init : {"", "file://relative", "http://host:1", "host:1"}) {
    const Place place = {.world_size = 2, .init = init};
    EXPECT_NE(error_of([&] { open_store(place, 100ms); }).find("--dist-init"), std::string::npos)
        << init;
  }
}

}  // namespace
}  // namespace convoy::dist
