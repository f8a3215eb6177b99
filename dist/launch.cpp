// SPDX-License-Identifier: MIT
#include "dist/launch.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <initializer_list>

#include "kernels/require.h"

namespace convoy::dist {
namespace {

constexpr int kMaxWorldSize = 1 << 20, kDefaultPort = 29500;

int number_in(const std::string& name, const std::string& text, int least, int most,
              const std::string& because = "") {
  int value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end || value < least || value > most) {
    fail_usage("{}: expects a number from {} to {}{}, found '{}'", name, least, most, because,
               text);
  }
  return value;
}

// Which variables a launcher uses.
struct Launcher {
  const char* name;
  const char *rank, *world_size, *local_rank, *local_world_size;
};
constexpr Launcher kTorchrun = {"torchrun", "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE"};
constexpr Launcher kOpenMpi = {"Open MPI", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE",
                               "OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE"};
constexpr Launcher kSlurm = {"Slurm", "SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID",
                             "SLURM_NTASKS_PER_NODE"};

class Reader {
 public:
  Reader(const Environment& environment, const std::string& init)
      : environment_(environment), init_(init) {}

  Place read() const {
    for (const Launcher* launcher : {&kTorchrun, &kOpenMpi, &kSlurm}) {
      if (is_set(launcher->rank) || (launcher == &kTorchrun && is_set(launcher->world_size))) {
        return read(*launcher);
      }
    }
    return {.init = init_, .job = text("CONVOY_JOB")};
  }

 private:
  std::string text(const char* name) const {
    const char* value = environment_(name);
    return value == nullptr ? "" : value;
  }
  bool is_set(const char* name) const { return !text(name).empty(); }
  // The first of them that is set.
  std::string first_of(std::initializer_list<const char*> names) const {
    for (const char* name : names) {
      if (is_set(name)) return text(name);
    }
    return "";
  }

  Place read(const Launcher& launcher) const {
    for (const char* name : {launcher.rank, launcher.world_size}) {
      if (!is_set(name)) {
        fail_usage("{}: expects a number, as {} is set, found none", name,
                   name == launcher.rank ? launcher.world_size : launcher.rank);
      }
    }
    Place place;
    place.world_size = number_in(launcher.world_size, text(launcher.world_size), 1, kMaxWorldSize);
    place.rank = number_in(launcher.rank, text(launcher.rank), 0, place.world_size - 1,
                           fmt::format(" ({} is {})", launcher.world_size, place.world_size));
    place.local_world_size = local_world_size(launcher, place);
    place.local_rank = local_rank(launcher, place);
    place.job = job(launcher);
    place.init = init_.empty() && place.world_size > 1 ? init(launcher, place) : init_;
    return place;
  }

  // Not said: all are on one machine.
  int local_world_size(const Launcher& launcher, const Place& place) const {
    const bool slurm = &launcher == &kSlurm;
    const std::string per_node = first_of({"SLURM_STEP_TASKS_PER_NODE", "SLURM_TASKS_PER_NODE"});
    if (slurm && !per_node.empty()) return slurm_tasks_here(per_node, place);
    if (!is_set(launcher.local_world_size)) return place.world_size;
    return number_in(launcher.local_world_size, text(launcher.local_world_size), 1,
                     slurm ? kMaxWorldSize : place.world_size);
  }

  int local_rank(const Launcher& launcher, const Place& place) const {
    if (!is_set(launcher.local_rank)) return place.rank % place.local_world_size;
    return number_in(launcher.local_rank, text(launcher.local_rank), 0, place.local_world_size - 1,
                     fmt::format(" ({} ranks on this machine)", place.local_world_size));
  }

  // "2(x3),1": two tasks on each of three nodes, then one; of them this node's.
  int slurm_tasks_here(const std::string& per_node, const Place& place) const {
    const char* name = "SLURM_TASKS_PER_NODE";
    int nodes_before = is_set("SLURM_NODEID")
                           ? number_in("SLURM_NODEID", text("SLURM_NODEID"), 0, kMaxWorldSize)
                           : 0;
    for (std::size_t at = 0; at < per_node.size();) {
      const std::string part = per_node.substr(at, per_node.find(',', at) - at);
      at += part.size() + 1;
      const auto open = part.find("(x");
      const int tasks = number_in(name, part.substr(0, open), 1, place.world_size);
      const int nodes =
          open == std::string::npos
              ? 1
              : number_in(name, part.substr(open + 2, part.size() - open - 3), 1, kMaxWorldSize);
      if (nodes_before < nodes) return tasks;
      nodes_before -= nodes;
    }
    fail_usage("{}: expects an entry for node {} (SLURM_NODEID), found '{}'", name,
               text("SLURM_NODEID"), per_node);
  }

  std::string job(const Launcher& launcher) const {
    if (is_set("CONVOY_JOB")) return text("CONVOY_JOB");
    if (&launcher == &kTorchrun) {
      // A restarted job's ranks must not meet those of the attempt before.
      const std::string run = text("TORCHELASTIC_RUN_ID");
      const std::string attempt = text("TORCHELASTIC_RESTART_COUNT");
      return attempt.empty() || run.empty() ? run : run + "/" + attempt;
    }
    if (&launcher == &kSlurm) {
      const std::string id = first_of({"SLURM_JOB_ID", "SLURM_JOBID"});
      const std::string step = first_of({"SLURM_STEP_ID", "SLURM_STEPID"});
      return step.empty() ? id : id + "." + step;
    }
    return first_of({"PMIX_NAMESPACE", "OMPI_MCA_ess_base_jobid", "OMPI_MCA_orte_ess_jobid"});
  }

  std::string init(const Launcher& launcher, const Place& place) const {
    std::string host = text("MASTER_ADDR");
    if (host.empty() && &launcher == &kSlurm) {
      host = first_slurm_host(
          first_of({"SLURM_STEP_NODELIST", "SLURM_JOB_NODELIST", "SLURM_NODELIST"}));
    }
    if (host.empty() && &launcher == &kOpenMpi && place.local_world_size == place.world_size) {
      host = "localhost";
    }
    if (host.empty()) {
      fail_usage(
          "MASTER_ADDR: expects rank 0's host, as {} has started {} ranks, found none; set it, or "
          "give --dist-init",
          launcher.name, place.world_size);
    }
    if (host.find(':') != std::string::npos) host = "[" + host + "]";
    return fmt::format("tcp://{}:{}", host, port(launcher, place.job));
  }

  int port(const Launcher& launcher, const std::string& job) const {
    if (!is_set("MASTER_PORT")) {
      if (&launcher == &kTorchrun || job.empty()) return kDefaultPort;
      return port_of_job(job);
    }
    const bool taken = text("TORCHELASTIC_USE_AGENT_STORE") == "True";
    return number_in("MASTER_PORT", text("MASTER_PORT"), 1, taken ? 65534 : 65535) +
           (taken ? 1 : 0);
  }

  // By FNV-1a: jobs that follow each other on one machine use ports of their own.
  static int port_of_job(const std::string& job) {
    std::uint32_t hash = 2166136261u;
    for (const unsigned char c : job) hash = (hash ^ c) * 16777619u;
    return 15000 + static_cast<int>(hash % 10000);
  }

  const Environment& environment_;
  const std::string& init_;
};

}  // namespace

const char* process_environment(const char* name) { return std::getenv(name); }

Place place_from_environment(const std::string& init, const Environment& environment) {
  return Reader(environment, init).read();
}

Device own_device(const std::string& text, const Place& place) {
  const bool choose = text == "cuda" && place.local_world_size > 1;
  return parse_device(choose ? fmt::format("cuda:{}", place.local_rank) : text);
}

std::string first_slurm_host(const std::string& hosts) {
  std::string host;
  for (std::size_t at = 0; at < hosts.size() && hosts[at] != ','; ++at) {
    if (hosts[at] != '[') {
      host += hosts[at];
      continue;
    }
    // Of "[003-007,9]" the first number, as it is written.
    const std::size_t close = std::min(hosts.find(']', at), hosts.size());
    const std::size_t end = std::min(hosts.find_first_of("-,]", at), close);
    host += hosts.substr(at + 1, end - at - 1);
    at = close;
  }
  return host;
}

}  // namespace convoy::dist
