// SPDX-License-Identifier: MIT
#include "dist/launch.h"

#include <gtest/gtest.h>

#include <map>

#include "kernels/require.h"
#include "tests/dist/on_ranks.h"

namespace convoy::dist {
namespace {

using Variables = std::map<std::string, std::string>;

Place place_in(const Variables& variables, const std::string& init = "") {
  return place_from_environment(init, [&](const char* name) -> const char* {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second.c_str();
  });
}

std::string said(const Place& p) {
  return fmt::format("{}/{} {}/{} {} '{}'", p.rank, p.world_size, p.local_rank, p.local_world_size,
                     p.init, p.job);
}

Variables with(Variables variables, const Variables& more) {
  for (const auto& [name, value] : more) variables[name] = value;
  return variables;
}

const Variables kTorchrun = {{"RANK", "5"},
                             {"WORLD_SIZE", "8"},
                             {"LOCAL_RANK", "1"},
                             {"LOCAL_WORLD_SIZE", "4"},
                             {"MASTER_ADDR", "head"},
                             {"MASTER_PORT", "29501"},
                             {"TORCHELASTIC_RUN_ID", "abc"}};
const Variables kOpenMpi = {{"OMPI_COMM_WORLD_RANK", "2"},
                            {"OMPI_COMM_WORLD_SIZE", "4"},
                            {"OMPI_COMM_WORLD_LOCAL_RANK", "2"},
                            {"OMPI_COMM_WORLD_LOCAL_SIZE", "4"}};
const Variables kSlurm = {{"SLURM_PROCID", "3"},           {"SLURM_NTASKS", "5"},
                          {"SLURM_LOCALID", "1"},          {"SLURM_TASKS_PER_NODE", "2(x2),1"},
                          {"SLURM_NODEID", "1"},           {"SLURM_JOB_ID", "4711"},
                          {"SLURM_STEP_ID", "0"},          {"MASTER_PORT", "1234"},
                          {"SLURM_NODELIST", "gpu[03-05]"}};

TEST(Launch, ReadsWhatEachLauncherSays) {
  const struct {
    Variables variables;
    const char* place;
  } cases[] = {
      {{}, "0/1 0/1  ''"},
      {{{"CONVOY_JOB", "mine"}}, "0/1 0/1  'mine'"},
      {{{"MASTER_ADDR", "head"}, {"MASTER_PORT", "x"}}, "0/1 0/1  ''"},
      {{{"RANK", "0"}, {"WORLD_SIZE", "1"}}, "0/1 0/1  ''"},
      {kTorchrun, "5/8 1/4 tcp://head:29501 'abc'"},
      {with(kTorchrun, {{"LOCAL_RANK", ""}}), "5/8 1/4 tcp://head:29501 'abc'"},
      {with(kTorchrun, {{"LOCAL_RANK", ""}, {"LOCAL_WORLD_SIZE", ""}}),
       "5/8 5/8 tcp://head:29501 'abc'"},
      {with(kTorchrun, {{"MASTER_PORT", ""}, {"MASTER_ADDR", "fe80::1"}}),
       "5/8 1/4 tcp://[fe80::1]:29500 'abc'"},
      {with(kTorchrun,
            {{"TORCHELASTIC_USE_AGENT_STORE", "True"}, {"TORCHELASTIC_RESTART_COUNT", "2"}}),
       "5/8 1/4 tcp://head:29502 'abc/2'"},
      {with(kTorchrun, {{"TORCHELASTIC_USE_AGENT_STORE", "False"}, {"CONVOY_JOB", "mine"}}),
       "5/8 1/4 tcp://head:29501 'mine'"},
      {with(with(kOpenMpi, kSlurm), kTorchrun), "5/8 1/4 tcp://head:29501 'abc'"},
      {with(kOpenMpi, {{"MASTER_PORT", "7"}}), "2/4 2/4 tcp://localhost:7 ''"},
      {kOpenMpi, "2/4 2/4 tcp://localhost:29500 ''"},
      {with(with(kSlurm, kOpenMpi), {{"PMIX_NAMESPACE", "prte-1"}, {"MASTER_ADDR", "head"}}),
       "2/4 2/4 tcp://head:1234 'prte-1'"},
      {kSlurm, "3/5 1/2 tcp://gpu03:1234 '4711.0'"},
      {with(kSlurm, {{"SLURM_PROCID", "4"}, {"SLURM_NODEID", "2"}, {"SLURM_LOCALID", "0"}}),
       "4/5 0/1 tcp://gpu03:1234 '4711.0'"},
      {with(kSlurm, {{"SLURM_TASKS_PER_NODE", ""}, {"SLURM_NTASKS_PER_NODE", "2"}}),
       "3/5 1/2 tcp://gpu03:1234 '4711.0'"},
      {with(kSlurm, {{"MASTER_ADDR", "head"}}), "3/5 1/2 tcp://head:1234 '4711.0'"},
  };
  for (const auto& [variables, place] : cases) EXPECT_EQ(said(place_in(variables)), place);
}

TEST(Launch, TheFlagGoesBeforeTheMastersAddress) {
  EXPECT_EQ(place_in(kTorchrun, "file:///shared/x").init, "file:///shared/x");
  EXPECT_EQ(place_in(with(kSlurm, {{"SLURM_NODELIST", ""}}), "tcp://a:1").init, "tcp://a:1");
}

TEST(Launch, TwoJobsOfAMachineHavePortsOfTheirOwn) {
  const auto port = [](const std::string& job) {
    const Place place = place_in(with(kSlurm, {{"MASTER_PORT", ""}, {"SLURM_JOB_ID", job}}));
    return std::stoi(place.init.substr(place.init.rfind(':') + 1));
  };
  EXPECT_EQ(port("4711"), port("4711"));
  EXPECT_NE(port("4711"), port("4712"));
  for (int job = 0; job < 100; ++job) {
    EXPECT_GE(port(std::to_string(job)), 15000);
    EXPECT_LT(port(std::to_string(job)), 25000);
  }
}

TEST(Launch, NamesTheVariableThatIsWrong) {
  const struct {
    Variables variables;
    const char* said;
  } cases[] = {
      {{{"RANK", "0"}}, "WORLD_SIZE: expects a number, as RANK is set, found none"},
      {{{"WORLD_SIZE", "2"}}, "RANK: expects a number, as WORLD_SIZE is set, found none"},
      {with(kTorchrun, {{"RANK", "8"}}),
       "RANK: expects a number from 0 to 7 (WORLD_SIZE is 8), found '8'"},
      {with(kTorchrun, {{"RANK", "-1"}}), "RANK: expects a number from 0 to 7"},
      {with(kTorchrun, {{"RANK", "1x"}}), "found '1x'"},
      {with(kTorchrun, {{"WORLD_SIZE", "0"}}), "WORLD_SIZE: expects a number from 1"},
      {with(kTorchrun, {{"WORLD_SIZE", "99999999999"}}), "WORLD_SIZE: expects"},
      {with(kTorchrun, {{"LOCAL_RANK", "4"}}),
       "LOCAL_RANK: expects a number from 0 to 3 (4 ranks on this machine), found '4'"},
      {with(kTorchrun, {{"LOCAL_WORLD_SIZE", "9"}}), "LOCAL_WORLD_SIZE: expects"},
      {with(kTorchrun, {{"MASTER_PORT", "65536"}}), "MASTER_PORT: expects"},
      {with(kTorchrun, {{"MASTER_ADDR", ""}}),
       "MASTER_ADDR: expects rank 0's host, as torchrun has started 8 ranks, found none"},
      {with(kOpenMpi, {{"OMPI_COMM_WORLD_LOCAL_SIZE", "3"}}), "MASTER_ADDR: expects"},
      {with(kSlurm, {{"SLURM_NTASKS", ""}}), "SLURM_NTASKS: expects"},
      {with(kSlurm, {{"SLURM_TASKS_PER_NODE", "2(x"}}), "SLURM_TASKS_PER_NODE: expects"},
      {with(kSlurm, {{"SLURM_TASKS_PER_NODE", "(x2)"}}), "SLURM_TASKS_PER_NODE: expects"},
      {with(kSlurm, {{"SLURM_NODEID", "3"}}), "an entry for node 3"},
      {with(kSlurm, {{"SLURM_NODELIST", ""}}), "MASTER_ADDR: expects"},
  };
  for (const auto& [variables, text] : cases) {
    try {
      place_in(variables);
      ADD_FAILURE() << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::usage);
      testing::expect_says(error.what(), text);
    }
  }
}

TEST(Launch, FindsTheFirstHostOfSlurmsList) {
  EXPECT_EQ(first_slurm_host("node7"), "node7");
  EXPECT_EQ(first_slurm_host("node7,node9"), "node7");
  EXPECT_EQ(first_slurm_host("node[003-007,9],gpu1"), "node003");
  EXPECT_EQ(first_slurm_host("node[9,003-007]-ib"), "node9-ib");
  EXPECT_EQ(first_slurm_host("rack[2-3]n[10-11]"), "rack2n10");
  EXPECT_EQ(first_slurm_host("broken["), "broken");
  EXPECT_EQ(first_slurm_host(""), "");
}

// Where there is no such GPU the error names it.
TEST(Launch, ARankHasTheGpuOfItsNumberUnlessOneIsNamed) {
  const auto device = [](const std::string& text, const Place& place) {
    std::string found;
    const std::string error = testing::error_of([&] { found = to_text(own_device(text, place)); });
    return found.empty() ? error : found;
  };
  const Place third = {.rank = 6, .world_size = 8, .local_rank = 2, .local_world_size = 4};
  EXPECT_EQ(device("cpu", third), "cpu");
  testing::expect_says(device("cuda", third), "cuda:2");
  testing::expect_says(device("cuda:1", third), "cuda:1");
  const Place alone = {.rank = 6, .world_size = 8};
  EXPECT_EQ(device("cuda", alone), device("cuda", {}));
}

}  // namespace
}  // namespace convoy::dist
