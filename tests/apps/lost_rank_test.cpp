// SPDX-License-Identifier: MIT
// One of three ranks of a training run is killed or stopped in each phase. The others end within
// the timeout and two seconds, naming it and what it was last seen at; nobody stays behind, and the
// last checkpoint loads. Ranks meet in a folder, where the test reads what the rank tells of itself
// and so knows when to strike.
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <thread>
#include <vector>

#include "tests/apps/program.h"

namespace convoy::testing {
namespace {

using Clock = std::chrono::steady_clock;
constexpr double kTimeout = 2;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// `convoy launch` with three ranks, in a folder; killed at the end. The model is large enough for
// its phases to last.
class Launched {
 public:
  explicit Launched(const Folder& folder) {
    const std::string program = place("CONVOY_PROGRAM", CONVOY_PROGRAM);
    const std::string command =
        "cd '" + folder.path().string() + "' && exec '" + program +
        "' launch --nproc-per-node 3 -- " + kTinyTrain +
        "--model resnet20 --epochs 100000 --checkpoint-hist 1 --dist-timeout 2 --output run "
        "--dist-init file://" +
        (folder / "store").string() + " >out.txt 2>err.txt";
    pid_ = fork();
    if (pid_ == 0) {
      execl("/bin/sh", "sh", "-c", command.c_str(), nullptr);
      _exit(127);
    }
  }
  ~Launched() {
    if (pid_ > 0) kill(pid_, SIGKILL);
    await(0);
  }
  std::vector<pid_t> ranks() const {
    const std::string pid = std::to_string(pid_);
    std::ifstream file("/proc/" + pid + "/task/" + pid + "/children");
    std::vector<pid_t> found;
    for (pid_t child; file >> child;) found.push_back(child);
    return found;
  }
  // Its exit code; -1 where it did not end in time.
  int await(double limit) {
    const auto start = Clock::now();
    int status = 0;
    while (pid_ > 0 && waitpid(pid_, &status, limit > 0 ? WNOHANG : 0) == 0) {
      if (seconds_since(start) > limit) return -1;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    pid_ = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

 private:
  pid_t pid_;
};

// What a rank has told last: "<beats> <state> <step> <phase>"; nothing yet: empty.
std::string told_by(const Folder& folder, int rank) {
  std::error_code none;
  for (const auto& job : fs::directory_iterator(folder / "store", none)) {
    for (const auto& run : fs::directory_iterator(job, none)) {
      const std::string text = read_file(run.path() / ("key.health%2f" + std::to_string(rank)));
      if (!text.empty()) return text.substr(0, text.find('\n'));
    }
  }
  return "";
}

// "backward of step 12", or "connect", as errors have it.
std::string phase_in(const std::string& told) {
  std::istringstream words(told);
  std::string beats, state, phase;
  int step = -1;
  words >> beats >> state >> step >> phase;
  return step < 0 ? phase : phase + " of step " + std::to_string(step);
}

bool has_checkpoint(const Folder& folder) {
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(folder / "run" / "checkpoints", none)) {
    const bool complete = entry.path().filename().string().starts_with("step-");
    if (complete && fs::exists(entry.path() / "manifest.json", none)) return true;
  }
  return false;
}

bool is_running(pid_t pid) {
  const std::string status = read_file("/proc/" + std::to_string(pid) + "/status");
  return !status.empty() && status.find("(zombie)") == std::string::npos;
}

struct Loss {
  const char* phase;
  int rank, signal;
};
void PrintTo(const Loss& loss, std::ostream* out) {
  *out << strsignal(loss.signal) << " in " << loss.phase;
}

class LostRank : public ::testing::TestWithParam<Loss> {};
INSTANTIATE_TEST_SUITE_P(Phases, LostRank,
                         ::testing::Values(Loss{"connect", 1, SIGKILL}, Loss{"forward", 2, SIGKILL},
                                           Loss{"backward", 0, SIGKILL}, Loss{"reduce", 1, SIGKILL},
                                           Loss{"optimizer", 2, SIGKILL},
                                           Loss{"saving", 0, SIGKILL}, Loss{"connect", 2, SIGSTOP},
                                           Loss{"forward", 0, SIGSTOP},
                                           Loss{"backward", 1, SIGSTOP}, Loss{"reduce", 2, SIGSTOP},
                                           Loss{"optimizer", 1, SIGSTOP},
                                           Loss{"saving", 0, SIGSTOP}),
                         [](const auto& loss) {
                           return std::string(loss.param.signal == SIGKILL ? "Killed" : "Stopped") +
                                  "In" + loss.param.phase + std::to_string(loss.param.rank);
                         });

// Strikes in the phase; what the rank had told last, which may be the next one already.
std::string strike(const Folder& folder, Launched& job, std::vector<pid_t>& ranks) {
  const auto [phase, rank, signal] = LostRank::GetParam();
  const bool connecting = std::string(phase) == "connect";
  const auto start = Clock::now();
  while (seconds_since(start) < 60) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    if (ranks.size() < 3) ranks = job.ranks();
    if (!connecting && !has_checkpoint(folder)) continue;
    const std::string told = phase_in(told_by(folder, rank));
    if (ranks.size() < 3 || !told.starts_with(phase)) continue;
    kill(ranks[static_cast<std::size_t>(rank)], signal);
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    return phase_in(told_by(folder, rank));
  }
  ADD_FAILURE() << "rank " << rank << " was never seen in " << phase;
  return "";
}

// Every other rank has one line about it. Before all have met it may be one that did not come.
void expect_named(int rank, const std::string& seen, const std::string& err) {
  const std::string name = "rank " + std::to_string(rank);
  if (seen == "connect" && err.find("but " + name + " did not come") != std::string::npos) return;
  for (int other = 0; other < 3; ++other) {
    if (other == rank) continue;
    const std::string line =
        "[rank " + std::to_string(other) + "] convoy: " + name + " has not been heard of for ";
    const auto at = err.find(line);
    EXPECT_NE(at, std::string::npos) << err << "does not say " << line;
    if (at == std::string::npos) continue;
    EXPECT_NE(err.substr(at, err.find('\n', at) - at).find("last seen in " + seen + ";"),
              std::string::npos)
        << err << seen;
  }
}

TEST_P(LostRank, IsNamedInEveryPhase) {
  const auto [phase, rank, signal] = GetParam();
  const Folder folder;
  make_digits(folder);
  std::string seen;
  // It may have gone on before the signal came: then once more.
  for (int attempt = 0; attempt < 5 && !seen.starts_with(phase); ++attempt) {
    fs::remove_all(folder / "run");
    fs::remove_all(folder / "store");
    Launched job(folder);
    std::vector<pid_t> ranks;
    seen = strike(folder, job, ranks);
    const int code = job.await(kTimeout + 2 + 0.5);  // the last for the launcher itself
    EXPECT_EQ(code, signal == SIGKILL ? 128 + SIGKILL : 1);
    for (const pid_t pid : ranks) EXPECT_FALSE(is_running(pid));
    const std::string err = read_file(folder / "err.txt");
    expect_named(rank, seen, read_file(folder / "err.txt"));
    if (has_checkpoint(folder)) {
      const Outcome eval = convoy_run(folder, "eval --checkpoint run --data-dir digits");
      EXPECT_EQ(eval.code, 0) << eval.err;
    }
  }
  EXPECT_TRUE(seen.starts_with(phase)) << seen;
}

}  // namespace
}  // namespace convoy::testing
