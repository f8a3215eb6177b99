// SPDX-License-Identifier: MIT
// convoy launch from outside: ranks that train, fail, are killed and stopped, and a launcher that
// is ended; whatever happens no process stays behind.
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>

#include "apps/convoy/rank_process.h"
#include "tests/apps/program.h"
#include "tests/support/errors.h"

namespace convoy::testing {
namespace {

// Three ranks that train until they are told to end. Starts them, runs `then` when five steps are
// logged, with the launcher's process in $p and the ranks' in $1 $2 $3, and waits for the launcher.
// Who still runs afterwards (a zombie does not) is named on standard output.
Outcome during_training(const Folder& folder, const std::string& then) {
  make_digits(folder);
  return run_script(
      folder,
      "\"$convoy\" launch --nproc-per-node 3 -- " + kTinyTrain +
          "--epochs 100000 --checkpoint-hist 1 --dist-timeout 2 --output run "
          ">\"$out\" 2>\"$err\" & p=$!; i=0; "
          "while [ $(cat run/metrics.jsonl 2>/dev/null | wc -l) -lt 5 ] && "
          "[ $i -lt 1200 ]; do sleep 0.05; i=$((i+1)); done; "
          "set -- $(cat /proc/$p/task/$p/children); " +
          then +
          "; wait $p; code=$?; sleep 0.2; for q in \"$@\"; do "
          "grep -q '^State:.*[RSDT] ' /proc/$q/status 2>/dev/null && echo \"$q stays behind\" "
          ">>\"$out\"; done; exit $code");
}

void expect_nobody_stays(const Outcome& run) {
  EXPECT_EQ(run.out.find("stays behind"), std::string::npos) << run.out;
}

TEST(Launch, RanksTrainAndRank0Speaks) {
  const Folder folder;
  make_digits(folder);
  const Outcome run =
      convoy_run(folder, "launch --nproc-per-node 2 -- " + kTinyTrain + "--epochs 1 --output run");
  EXPECT_EQ(run.code, 0) << run.err;
  expect_says(last_line(run.out), "top1 ");
  EXPECT_EQ(run.out.find("[rank"), std::string::npos) << run.out;
  EXPECT_EQ(run.out.find("top1 ", run.out.rfind("top1 ") + 1), std::string::npos);
}

TEST(Launch, ErrorsHaveTheirRankAndTheFirstsExitCode) {
  const Folder folder;
  const Outcome run = convoy_run(folder, "launch --nproc-per-node 2 -- bench com");
  EXPECT_EQ(run.code, 2);
  for (const char* rank : {"[rank 0] ", "[rank 1] "}) {
    expect_says(run.err, std::string(rank) + "convoy: ");
  }
  expect_says(run.err, " ended with exit code 2");
}

TEST(Launch, AWrongFlagOfTrainIsSaidOnce) {
  const Folder folder;
  for (const auto& [flags, text] :
       {std::pair{"--modle x", "convoy: unknown flag --modle; did you mean --model?\n"},
        {"--batch-size 0", "convoy: --batch-size expects 1 or more, found 0\n"},
        {"--dist-timeout nan", "convoy: --dist-timeout expects"}}) {
    const Outcome run =
        convoy_run(folder, std::string("launch --nproc-per-node 2 -- train ") + flags);
    EXPECT_EQ(run.code, 2);
    EXPECT_TRUE(run.err.starts_with(text)) << run.err;
    EXPECT_EQ(std::ranges::count(run.err, '\n'), 1) << run.err;
  }
  const Outcome help = convoy_run(folder, "launch --nproc-per-node 2 -- train --help");
  EXPECT_EQ(help.code, 0);
  expect_says(help.out, "--batch-size");
  EXPECT_EQ(help.out.find("[rank"), std::string::npos);
}

// A port of loopback's at which another program, this one, listens.
class TakenPort {
 public:
  TakenPort() : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* const any = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(bind(socket_, any, size), 0);
    EXPECT_EQ(listen(socket_, 8), 0);
    EXPECT_EQ(getsockname(socket_, any, &size), 0);
    number_ = std::to_string(ntohs(address.sin_port));
  }
  ~TakenPort() { close(socket_); }
  const std::string& number() const { return number_; }

 private:
  int socket_;
  std::string number_;
};

// Rank 0 could not serve the store there, and so tell nobody: the others would wait for it.
TEST(Launch, ATakenPortEndsTheJobAtOnce) {
  const Folder folder;
  make_digits(folder);
  const TakenPort port;
  const std::string init = "--dist-init tcp://127.0.0.1:" + port.number();
  for (const auto& [launch, train] :
       {std::pair{"--master-port " + port.number(), std::string()},
        {"--nnodes 2 --master-addr 127.0.0.1 --master-port " + port.number(), std::string()},
        {std::string(), init}}) {
    const auto begin = std::chrono::steady_clock::now();
    const Outcome run = convoy_run(folder, "launch --nproc-per-node 2 " + launch + " -- " +
                                               kTinyTrain + "--output run " + train);
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5));
    EXPECT_EQ(run.code, 1);
    expect_says(run.err, "rank 0 expects port " + port.number() +
                             " at 127.0.0.1 to be free, but another program has it");
    EXPECT_EQ(run.err.find("[rank"), std::string::npos) << run.err;
  }
}

TEST(Launch, AKilledRankEndsAllAndIsNamed) {
  const Folder folder;
  const Outcome run = during_training(folder, "kill -9 $2");
  EXPECT_EQ(run.code, 128 + SIGKILL);
  expect_says(run.err, "convoy launch: rank 1 was killed by signal 9 (Killed)");
  for (const char* rank : {"[rank 0] ", "[rank 2] "}) {
    expect_says(run.err, std::string(rank) + "convoy: rank 1 is gone (killed or crashed)");
  }
  expect_nobody_stays(run);
}

TEST(Launch, AStoppedRankEndsAllAndIsEnded) {
  const Folder folder;
  const Outcome run = during_training(folder, "kill -STOP $3");
  EXPECT_EQ(run.code, 1);
  for (const char* rank : {"[rank 0] ", "[rank 1] "}) {
    expect_says(run.err, std::string(rank) + "convoy: rank 2 has not been heard of for 2.0 s");
  }
  expect_nobody_stays(run);
}

TEST(Launch, NobodyOutlivesTheLauncher) {
  const Folder folder;
  const Outcome run = during_training(folder, "kill -9 $p");
  EXPECT_EQ(run.code, 128 + SIGKILL);
  expect_nobody_stays(run);
}

TEST(Launch, ASignalLetsAllRanksSaveAndStop) {
  for (const char* signal : {"INT", "TERM"}) {
    const Folder folder;
    const Outcome run = during_training(folder, std::string("kill -") + signal + " $p");
    EXPECT_EQ(run.code, 75) << run.err;
    EXPECT_EQ(run.err, "");
    expect_says(last_line(run.out), "stopped by a signal at step ");
    expect_nobody_stays(run);
  }
}

// Whoever tells a whole job to stop tells ranks twice, directly and by the launcher.
TEST(Launch, ASignalToAllProcessesIsOneWish) {
  const Folder folder;
  const Outcome run = during_training(folder, "kill -TERM $1 $2 $3 $p");
  EXPECT_EQ(run.code, 75) << run.err;
  expect_says(last_line(run.out), "stopped by a signal at step ");
}

TEST(Launch, ABadImageOfOneRankIsBadDataOfAll) {
  const Folder folder;
  make_digits(folder);
  std::string bad;
  for (const auto& entry : fs::recursive_directory_iterator(folder / "digits" / "train")) {
    if (entry.path().extension() == ".jpg") bad = entry.path().string();
  }
  write_file(bad, "no image");
  const Outcome run =
      convoy_run(folder, "launch --nproc-per-node 3 -- " + kTinyTrain + "--epochs 2 --output run");
  EXPECT_EQ(run.code, 3) << run.err;
  expect_says(last_line(run.err), "ended with exit code 3");
}

TEST(Launch, GoesOnWhereNobodyReadsItsErrors) {
  const Folder folder;
  run_script(folder,
             "{ \"$convoy\" launch --nproc-per-node 2 -- bench com 2>&1 >/dev/null; "
             "echo $? >code; } | true");
  EXPECT_EQ(read_file(folder / "code"), "2\n");
}

// Ranks that print more than a pipe holds, to a reader that has stopped reading.
TEST(Launch, TakesSignalsWhileNobodyReads) {
  const Folder folder;
  const Outcome run = run_script(
      folder,
      "mkfifo slow; sleep 30 <slow & s=$!; \"$convoy\" launch --nproc-per-node 2 -- bench --" +
          std::string(100000, 'x') +
          " 2>slow & p=$!; sleep 1; i=0; while kill -TERM $p 2>/dev/null && [ $i -lt 20 ]; do "
          "sleep 0.2; i=$((i+1)); done; kill -KILL $p 2>/dev/null; kill $s; wait $p");
  EXPECT_NE(run.code, 128 + SIGKILL) << "it hung until it was killed";
}

TEST(Launch, BadUseIsExplained) {
  const Folder folder;
  const struct {
    const char *arguments, *said;
  } cases[] = {
      {"launch --nproc-per-node 2", "launch expects -- and a command"},
      {"launch --nproc-per-node 2 --", "launch expects -- and a command"},
      {"launch --nproc-per-node 0 -- train", "--nproc-per-node expects 1 to 1024, found 0"},
      {"launch --nnodes 2 -- train", "--master-addr expects machine 0's address"},
      {"launch --nnodes 2 --node-rank 2 -- train", "--node-rank expects 0 to 1, found 2"},
      {"launch --master_port 70000 -- train", "--master-port expects 0 to 65535, found 70000"},
      {"launch --nprocs 2 -- train", "did you mean --"},
      {"launch --nproc-per-node 2 -- eval --checkpoint run", "launch expects train or bench comm"},
      {"launch --nproc-per-node 2 -- pack digits", "launch expects train or bench comm"},
      {"launch --nproc-per-node 2 -- train --dist-timeout 1e300",
       "and at most a year, found 1e+300"},
      {"launch --nproc-per-node 2 -- bench comm --dist-timeout 1e300", "at most a year"},
      {"bench comm --dist-timeout nan", "at most a year, found nan"},
  };
  for (const auto& [arguments, said] : cases) {
    const Outcome run = convoy_run(folder, arguments);
    EXPECT_EQ(run.code, 2) << arguments;
    expect_says(run.err, said);
  }
  expect_says(convoy_run(folder, "launch --help").out, "--nproc-per-node");
}

TEST(Launch, AFileThatCannotBeWrittenIsSaidBeforeTheMeasurement) {
  const Folder folder;
  const Outcome run = convoy_run(
      folder, "launch --nproc-per-node 2 -- bench comm -b 1K -e 1K --json nowhere/figures.json");
  EXPECT_EQ(run.code, 2);
  expect_says(run.err, "--json expects a file in a folder that can be written to");
  EXPECT_EQ(run.out, "");
}

// Figures that a full disk did not take are no success; RLIMIT_FSIZE stands for one.
TEST(Launch, FiguresThatAreNotWrittenAreAFailure) {
  const Folder folder;
  const Outcome run = run_script(folder,
                                 "trap '' XFSZ; (ulimit -f 0; \"$convoy\" launch -- bench comm "
                                 "-b 1K -e 1K --json figures.json 2>&1 >/dev/null) | "
                                 "cat >\"$err\"; test ! -e figures.json");
  EXPECT_EQ(run.code, 0);
  expect_says(run.err, "write figures.json: could not write it");
  expect_says(run.err, "convoy launch: rank 0 ended with exit code 1");
}

// Whatever else is given.
TEST(Launch, StandaloneNeedsNoAddress) {
  const Folder folder;
  const Outcome run =
      convoy_run(folder,
                 "launch --standalone --nnodes 2 --node-rank 1 --master-addr nowhere.invalid "
                 "--nproc-per-node 2 -- bench comm -b 1K -e 1K");
  EXPECT_EQ(run.code, 0) << run.err;
  EXPECT_EQ(convoy_run(folder, "launch --standalone --nnodes 2 -- bench comm -b 8 -e 8").code, 0);
}

// Sanitizers end the program themselves.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
TEST(Launch, SizesBeyondMemoryAreToldAsSuch) {
  const Folder folder;
  const Outcome run = convoy_run(folder, "bench comm -b 90000000G -e 90000000G");
  EXPECT_EQ(run.code, 1);
  EXPECT_EQ(run.err,
            "convoy: out of memory; try smaller sizes, as of --batch-size, --img-size or "
            "--maxbytes\n");
}
#endif

TEST(PrefixedLines, KeepsPiecesOfALineTogether) {
  apps::PrefixedLines lines(12);
  EXPECT_EQ(lines.take("one\ntw"), "[rank 12] one\n");
  EXPECT_EQ(lines.take("o"), "");
  EXPECT_EQ(lines.take("\n\nfour"), "[rank 12] two\n[rank 12] \n");
  EXPECT_EQ(lines.rest(), "[rank 12] four\n");
  EXPECT_EQ(lines.rest(), "");
  std::string endless;
  for (int i = 0; i < 100; ++i) endless += lines.take(std::string(10000, 'x'));
  EXPECT_GT(endless.size(), 900000u) << "a line without an end is kept in memory";
}

}  // namespace
}  // namespace convoy::testing
