// SPDX-License-Identifier: MIT
#include "apps/convoy/rank_process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "kernels/require.h"

namespace convoy::apps {
namespace {

constexpr std::size_t kLongestLine = 64 * 1024;

std::array<int, 2> open_pipe() {
  std::array<int, 2> ends;
  require(pipe2(ends.data(), O_CLOEXEC) == 0, "launch: could not open a pipe: {}",
          std::strerror(errno));
  // Only the launcher's end: a rank writes as it would to a file.
  fcntl(ends[0], F_SETFL, O_NONBLOCK);
  return ends;
}

// In the child, between fork and exec.
[[noreturn]] void become(char* const* arguments, const RankProcess::Variables& variables,
                         pid_t launcher, int output, int errors) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != launcher) _exit(1);  // it went before the line above
  // Ctrl-C goes to the launcher alone, which passes it on.
  setpgid(0, 0);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  signal(SIGPIPE, SIG_DFL);
  const int nothing = open("/dev/null", O_RDONLY);
  if (nothing >= 0) dup2(nothing, STDIN_FILENO);
  if (output >= 0) dup2(output, STDOUT_FILENO);
  dup2(errors, STDERR_FILENO);
  for (const auto& [name, value] : variables) {
    value.empty() ? unsetenv(name.c_str()) : setenv(name.c_str(), value.c_str(), 1);
  }
  execv("/proc/self/exe", arguments);
  dprintf(STDERR_FILENO, "convoy: could not start: %s\n", std::strerror(errno));
  _exit(127);
}

}  // namespace

std::string PrefixedLines::take(std::string_view piece) {
  std::string lines;
  for (const char c : piece) {
    if (c != '\n') line_ += c;
    if (c == '\n' || line_.size() >= kLongestLine) {
      lines += prefix_ + line_ + '\n';
      line_.clear();
    }
  }
  return lines;
}

std::string PrefixedLines::rest() {
  if (line_.empty()) return "";
  return prefix_ + std::exchange(line_, "") + '\n';
}

RankProcess::RankProcess(int rank, const Arguments& arguments, const Variables& variables,
                         Outlet& output, Outlet& errors)
    : rank_(rank),
      output_{-1, &output, PrefixedLines(rank)},
      errors_{-1, &errors, PrefixedLines(rank)} {
  const std::array<int, 2> out = rank == 0 ? std::array<int, 2>{-1, -1} : open_pipe();
  const std::array<int, 2> err = open_pipe();
  std::vector<std::string> words = {"convoy"};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  const pid_t launcher = getpid();
  pid_ = fork();
  if (pid_ == 0) become(pointers.data(), variables, launcher, out[1], err[1]);
  const int error = errno;
  if (out[1] >= 0) close(out[1]);
  close(err[1]);
  output_.descriptor = out[0];
  errors_.descriptor = err[0];
  require(pid_ > 0, "launch: could not start rank {}: {}", rank, std::strerror(error));
}

RankProcess::RankProcess(RankProcess&& other) noexcept
    : rank_(other.rank_),
      pid_(std::exchange(other.pid_, -1)),
      running_(std::exchange(other.running_, false)),
      stopped_(other.stopped_),
      status_(other.status_),
      exit_code_(other.exit_code_),
      output_(other.output_),
      errors_(other.errors_) {
  other.output_.descriptor = other.errors_.descriptor = -1;
}

RankProcess::~RankProcess() {
  if (running_ && pid_ > 0) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  for (const Pipe& pipe : {output_, errors_}) {
    if (pipe.descriptor >= 0) close(pipe.descriptor);
  }
}

void RankProcess::send(int signal) const {
  if (running_) kill(pid_, signal);
}

bool RankProcess::look() {
  int status = 0;
  while (running_ && waitpid(pid_, &status, WNOHANG | WUNTRACED | WCONTINUED) == pid_) {
    stopped_ = WIFSTOPPED(status);
    if (WIFSTOPPED(status) || WIFCONTINUED(status)) continue;
    running_ = false;
    status_ = status;
    exit_code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return true;
  }
  return false;
}

bool RankProcess::was_killed() const { return !running_ && WIFSIGNALED(status_); }

std::string RankProcess::how_it_ended() const {
  if (!was_killed()) return fmt::format("ended with exit code {}", exit_code_);
  const int signal = WTERMSIG(status_);
  return fmt::format("was killed by signal {} ({})", signal, strsignal(signal));
}

void RankProcess::pass_on_output() {
  pass_on(output_);
  pass_on(errors_);
}

void RankProcess::add_pipes_to(std::vector<pollfd>& polled) const {
  for (const Pipe* pipe : {&output_, &errors_}) {
    if (pipe->descriptor < 0 || pipe->to->is_behind()) continue;
    polled.push_back({pipe->descriptor, POLLIN, 0});
  }
}

void RankProcess::pass_on(Pipe& pipe) {
  std::array<char, 16384> bytes;
  while (pipe.descriptor >= 0 && !pipe.to->is_behind()) {
    const ssize_t got = read(pipe.descriptor, bytes.data(), bytes.size());
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got > 0) {
      pipe.to->write(pipe.lines.take({bytes.data(), static_cast<std::size_t>(got)}));
    } else {
      pipe.to->write(pipe.lines.rest());
      close(std::exchange(pipe.descriptor, -1));
    }
  }
}

}  // namespace convoy::apps
