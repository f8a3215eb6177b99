// SPDX-License-Identifier: MIT
// convoy launch: one process per rank on this machine, with torchrun's names for flags and
// variables. A rank that fails takes the others with it: they notice by themselves (dist/health.h);
// who has not in time is ended here. The launcher's own end ends all of them.
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <random>
#include <vector>

#include "apps/convoy/arguments.h"
#include "apps/convoy/command.h"
#include "apps/convoy/outlet.h"
#include "apps/convoy/rank_process.h"
#include "apps/convoy/starting_config.h"
#include "apps/convoy/verdict.h"
#include "dist/socket.h"
#include "kernels/require.h"
#include "runtime/device.h"

namespace convoy::apps {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kGrace{2000};  // beyond their patience, and between SIGTERM and SIGKILL

struct LaunchConfig {
  int nproc_per_node = 1, nnodes = 1, node_rank = 0;
  std::string master_addr;
  int master_port = 0;
  bool standalone = false;
};

LaunchConfig read_flags(const Arguments& flags, bool& help) {
  LaunchConfig c;
  CLI::App app(
      "Start a rank per process on this machine:\n"
      "  convoy launch --nproc-per-node 4 -- train --dataset cifar10 --model resnet20",
      "convoy launch");
  app.add_option("--nproc-per-node", c.nproc_per_node, "ranks on this machine")
      ->capture_default_str();
  app.add_option("--nnodes", c.nnodes, "machines; start convoy launch on each")
      ->capture_default_str();
  app.add_option("--node-rank", c.node_rank, "which of them this is")->capture_default_str();
  app.add_option("--master-addr", c.master_addr, "machine 0's address [127.0.0.1 for one]");
  app.add_option("--master-port", c.master_port,
                 "port of rank 0's store [a free one; 29500 on several machines]");
  app.add_flag("--standalone", c.standalone, "one machine, a free port, whatever else is given");
  help = !parse(app, flags);
  if (c.standalone) c.nnodes = 1, c.node_rank = 0, c.master_port = 0, c.master_addr.clear();
  return c;
}

void check(const LaunchConfig& c) {
  const auto check_range = [](const char* flag, int value, int least, int most) {
    if (value >= least && value <= most) return;
    fail_usage("{} expects {} to {}, found {}", flag, least, most, value);
  };
  check_range("--nproc-per-node", c.nproc_per_node, 1, 1024);
  check_range("--nnodes", c.nnodes, 1, 65536);
  check_range("--node-rank", c.node_rank, 0, c.nnodes - 1);
  check_range("--master-port", c.master_port, 0, 65535);
  if (c.nnodes > 1 && c.master_addr.empty()) {
    fail_usage("--master-addr expects machine 0's address, as --nnodes is {}; found none",
               c.nnodes);
  }
}

std::string fresh_name() {
  std::random_device device;
  return fmt::format("launch-{:08x}{:08x}", device(), device());
}

class Launch {
 public:
  Launch(const LaunchConfig& config, const Arguments& command)
      : config_(config),
        patience_(Verdict::patience(
            std::strtod(peek(command, "--dist-timeout", "600").c_str(), nullptr))) {
    signal(SIGPIPE, SIG_IGN);  // ranks train on where nobody reads what they print
    choose_port(peek(command, "--dist-init", ""));
    sigset_t set;
    sigemptyset(&set);
    for (const int signal : {SIGCHLD, SIGINT, SIGTERM}) sigaddset(&set, signal);
    sigprocmask(SIG_BLOCK, &set, nullptr);
    signals_ = dist::Socket(signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC));
    for (int local = 0; local < config_.nproc_per_node; ++local) start(local, command);
  }

  int run() {
    while (is_any_running()) {
      wait_for_news();
      end_who_stays();
    }
    pass_on_the_rest();
    if (!verdict_.sentence().empty()) say(verdict_.sentence());
    pass_on_the_rest();
    return verdict_.exit_code();
  }

 private:
  // Kept bound until the end, so that no connection of another program is given rank 0's port. One
  // that is taken ends the job here: rank 0 could tell nobody.
  void choose_port(const std::string& init) {
    if (config_.master_addr.empty()) config_.master_addr = "127.0.0.1";
    const bool any_is_good = config_.nnodes == 1 && init.empty();
    if (config_.master_port == 0 && !any_is_good) config_.master_port = 29500;
    if (config_.node_rank > 0 || init.starts_with("file:")) return;
    const dist::Endpoint store = init.empty()
                                     ? dist::Endpoint{config_.master_addr, config_.master_port}
                                     : dist::tcp_endpoint(init);
    reserved_ = dist::reserve_port(store.host, store.port);
    if (init.empty()) config_.master_port = dist::port_of(reserved_);
  }

  void start(int local, const Arguments& command) {
    const auto text = [](int number) { return std::to_string(number); };
    const int rank = config_.node_rank * config_.nproc_per_node + local;
    RankProcess::Variables variables = {
        {"RANK", text(rank)},
        {"LOCAL_RANK", text(local)},
        {"WORLD_SIZE", text(config_.nnodes * config_.nproc_per_node)},
        {"LOCAL_WORLD_SIZE", text(config_.nproc_per_node)},
        {"GROUP_RANK", text(config_.node_rank)},
        {"MASTER_ADDR", config_.master_addr},
        {"MASTER_PORT", text(config_.master_port)},
        // Of a launcher around this one.
        {"TORCHELASTIC_USE_AGENT_STORE", ""},
        {"TORCHELASTIC_RUN_ID", ""},
        {"TORCHELASTIC_RESTART_COUNT", ""},
    };
    // Where all ranks are ours, no other job's may come in.
    if (config_.nnodes == 1) variables.emplace_back("CONVOY_JOB", job_);
    if (std::getenv("OMP_NUM_THREADS") == nullptr) {
      variables.emplace_back("OMP_NUM_THREADS",
                             text(std::max(1, compute_threads() / config_.nproc_per_node)));
    }
    ranks_.emplace_back(rank, command, variables, output_, errors_);
  }

  bool is_any_running() const {
    return std::ranges::any_of(ranks_, [](const RankProcess& r) { return r.is_running(); });
  }

  void wait_for_news() {
    std::vector<pollfd> polled = {{signals_.descriptor(), POLLIN, 0}};
    for (const Outlet* outlet : {&output_, &errors_}) {
      if (outlet->is_behind()) polled.push_back({outlet->descriptor(), POLLOUT, 0});
    }
    for (const RankProcess& rank : ranks_) rank.add_pipes_to(polled);
    poll(polled.data(), polled.size(), 100);
    signalfd_siginfo signal;
    while (read(signals_.descriptor(), &signal, sizeof signal) == sizeof signal) {
      const int number = static_cast<int>(signal.ssi_signo);
      if (number != SIGCHLD) pass_on(number);
    }
    pass_on_output();
    for (RankProcess& rank : ranks_) {
      if (rank.look()) note_end(rank);
    }
  }

  void pass_on_output() {
    output_.flush();
    errors_.flush();
    for (RankProcess& rank : ranks_) rank.pass_on_output();
  }

  // Until it has been read, or a signal says that nobody will.
  void pass_on_the_rest() {
    pass_on_output();
    while ((output_.is_behind() || errors_.is_behind()) && !unheard_) wait_for_news();
  }

  void say(const std::string& line) { errors_.write("convoy launch: " + line + "\n"); }

  // The first and the second as they are: ranks save at one and end at once at two. A repeat within
  // a second is the same wish, told twice (apps/trainer/stop.h).
  void pass_on(int signal) {
    unheard_ = !is_any_running();
    const auto now = Clock::now();
    if (signals_seen_ > 0 && now - last_signal_ < std::chrono::seconds(1)) return;
    last_signal_ = now;
    ++signals_seen_;
    ends_ranks_ = ends_ranks_ || signals_seen_ > 1;
    for (const RankProcess& rank : ranks_) rank.send(signals_seen_ > 2 ? SIGKILL : signal);
  }

  void note_end(const RankProcess& rank) {
    verdict_.note(rank.rank(), rank.exit_code(), rank.how_it_ended(),
                  ends_ranks_ && rank.was_killed(), Clock::now());
  }

  // After a failure: who is stopped will not notice, all others have the time that they need.
  void end_who_stays() {
    if (!verdict_.failed_since()) return;
    const auto late = Clock::now() - *verdict_.failed_since() - patience_ - kGrace;
    for (const RankProcess& rank : ranks_) {
      if (!rank.is_running()) continue;
      if (rank.is_stopped() || late > kGrace) {
        ends_ranks_ = true;
        rank.send(SIGKILL);
      } else if (late > Clock::duration(0) && !asked_to_end_) {
        say(fmt::format("rank {} has not noticed; it is ended", rank.rank()));
        rank.send(SIGTERM);
      }
    }
    asked_to_end_ = asked_to_end_ || late > Clock::duration(0);
    ends_ranks_ = ends_ranks_ || asked_to_end_;
  }

  LaunchConfig config_;
  milliseconds patience_;
  std::string job_ = fresh_name();
  dist::Socket reserved_, signals_;
  Outlet output_{STDOUT_FILENO}, errors_{STDERR_FILENO};
  std::vector<RankProcess> ranks_;
  Verdict verdict_;
  int signals_seen_ = 0;
  Clock::time_point last_signal_;
  bool ends_ranks_ = false;    // who is killed from now on may have been killed by us
  bool asked_to_end_ = false;  // those that have not noticed a failure
  bool unheard_ = false;       // what is left to be said is dropped
};

}  // namespace

int run_launch(const Arguments& arguments) {
  const auto split = std::ranges::find(arguments, "--");
  bool help = false;
  const LaunchConfig config = read_flags(Arguments(arguments.begin(), split), help);
  if (help) return 0;
  check(config);
  if (split == arguments.end() || split + 1 == arguments.end()) {
    fail_usage(
        "launch expects -- and a command after its flags, as in convoy launch --nproc-per-node 2 "
        "-- train --model lenet5; found none");
  }
  // Other commands would do the whole work on each rank, and write one file all at once.
  const std::string command = split[1];
  if (command != "train" && command != "bench") {
    fail_usage("launch expects train or bench comm after --, found {}", command);
  }
  if (command == "train") {
    // Here once, before as many ranks say the same.
    const auto train = training_config(Arguments(split + 2, arguments.end()));
    if (!train) return 0;
    check(*train);
  }
  return Launch(config, Arguments(split + 1, arguments.end())).run();
}

}  // namespace convoy::apps
