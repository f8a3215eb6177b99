// SPDX-License-Identifier: MIT
// What ranks can say to each other in a second, measured and printed as nccl-tests does: with its
// letters and columns.
#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "apps/convoy/arguments.h"
#include "apps/convoy/bench.h"
#include "apps/convoy/comm_measurement.h"
#include "apps/trainer/config.h"
#include "dist/group.h"
#include "dist/launch.h"
#include "kernels/require.h"
#include "runtime/atomic_file.h"

namespace convoy::apps {
namespace {

struct CommBenchConfig {
  std::string collective = "all_reduce";
  std::string min_bytes = "8", max_bytes = "128M", step_bytes = "0";
  double factor = 2;
  int iters = 20, warmup = 5, check = 1, root = 0;
  std::string op = "sum", dtype = "f32", device = "cpu";
  std::string init, json;
  double timeout_s = 600;
};

void describe(CommBenchConfig& c, FlagAdder& flags) {
  flags.group("Sizes, with K, M or G");
  flags("minbytes,-b", c.min_bytes, "the first size");
  flags("maxbytes,-e", c.max_bytes, "the last size");
  flags("stepfactor,-f", c.factor, "from one size to the next");
  flags("stepbytes,-i", c.step_bytes, "added to get the next size; 0: multiplied");
  flags.group("Measuring");
  flags("iters,-n", c.iters, "operations timed at each size");
  flags("warmup-iters,-w", c.warmup, "operations before");
  flags("check,-c", c.check, "0: do not compare results with what they must be");
  flags("op,-o", c.op, "sum, the only one");
  flags("datatype,-d", c.dtype, "f32, f16, bf16 or i64; or float, half, bfloat16, int64");
  flags("root,-r", c.root, "of broadcast");
  flags.group("Ranks");
  flags("device", c.device, "cpu, sim or cuda; cuda is the GPU of the local rank");
  flags("dist-init", c.init, "tcp://host:port or file:///path");
  flags("dist-timeout", c.timeout_s, "seconds that a rank may be silent");
  flags.group("Output");
  flags("json", c.json, "a file for the figures");
}

std::int64_t parse_bytes(const std::string& text, const char* flag) {
  std::size_t read = 0;
  double value = -1;
  try {
    value = std::stod(text, &read);
  } catch (const std::exception&) {  // said below
  }
  const std::string unit = read < text.size() ? text.substr(read) : "";
  const int shift = unit.empty() ? 0 : unit == "K" ? 10 : unit == "M" ? 20 : unit == "G" ? 30 : -1;
  if (value < 0 || value > 1e12 || shift < 0) {
    fail_usage("{} expects bytes such as 8, 64K, 128M or 1G, found '{}'", flag, text);
  }
  return static_cast<std::int64_t>(value * static_cast<double>(std::int64_t{1} << shift));
}

struct DTypeName {
  DType dtype;
  const char *ours, *theirs;
};
constexpr DTypeName kDTypes[] = {{DType::f32, "f32", "float"},
                                 {DType::f16, "f16", "half"},
                                 {DType::bf16, "bf16", "bfloat16"},
                                 {DType::i64, "i64", "int64"}};

DTypeName parse_dtype(const std::string& text) {
  for (const DTypeName& each : kDTypes) {
    if (text == each.ours || text == each.theirs) return each;
  }
  fail_usage("--datatype expects f32, f16, bf16 or i64, found '{}'", text);
}

std::vector<std::int64_t> sizes_of(const CommBenchConfig& c) {
  const std::int64_t first = parse_bytes(c.min_bytes, "--minbytes");
  const std::int64_t last = parse_bytes(c.max_bytes, "--maxbytes");
  const std::int64_t step = parse_bytes(c.step_bytes, "--stepbytes");
  if (step == 0 && c.factor <= 1)
    fail_usage("--stepfactor expects more than 1, found {}", c.factor);
  std::vector<std::int64_t> sizes;
  for (std::int64_t size = first; size <= last;) {
    sizes.push_back(size);
    const auto scaled = static_cast<std::int64_t>(static_cast<double>(size) * c.factor);
    size = step > 0 ? size + step : std::max(scaled, size + 1);
  }
  if (sizes.empty()) fail_usage("--minbytes expects at most --maxbytes, found {}", c.min_bytes);
  return sizes;
}

void print_head(const CommBenchConfig& c, const dist::Communicator& ranks, const Device& device) {
  fmt::print(
      "# {} of {} ranks by {} on {}, minBytes {} maxBytes {} step: {}, warmup iters: {} "
      "iters: {} validate: {}\n#\n",
      c.collective, ranks.world_size(), ranks.name(), name(device.type), c.min_bytes, c.max_bytes,
      c.step_bytes == "0" ? fmt::format("{}(factor)", c.factor) : c.step_bytes, c.warmup, c.iters,
      c.check);
  fmt::print("# {:>55} {:>42}\n", "out-of-place", "in-place");
  fmt::print("# {:>10} {:>12} {:>9} {:>7} {:>7}", "size", "count", "type", "redop", "root");
  for (int i = 0; i < 2; ++i)
    fmt::print(" {:>9} {:>7} {:>7} {:>6}", "time", "algbw", "busbw", "#wrong");
  fmt::print("\n# {:>10} {:>12} {:>9} {:>7} {:>7}", "(B)", "(elements)", "", "", "");
  for (int i = 0; i < 2; ++i)
    fmt::print(" {:>9} {:>7} {:>7} {:>6}", "(us)", "(GB/s)", "(GB/s)", "");
  fmt::print("\n");
}

void print_figures(const Figures& f) {
  fmt::print(" {:>9.2f} {:>7.2f} {:>7.2f} {:>6}", f.seconds * 1e6, f.algbw, f.busbw,
             f.wrong < 0 ? "N/A" : fmt::format("{}", f.wrong));
}

nlohmann::ordered_json to_json(const Figures& f) {
  nlohmann::ordered_json json{
      {"time_us", f.seconds * 1e6}, {"algbw_gbs", f.algbw}, {"busbw_gbs", f.busbw}};
  if (f.wrong >= 0) json["wrong"] = f.wrong;
  return json;
}

const Collective& parse_collective(const std::string& text) {
  if (const Collective* const found = find_collective(text)) return *found;
  fail_usage(
      "bench comm expects all_reduce, reduce_scatter, all_gather or broadcast, "
      "found '{}'",
      text);
}

void check(const CommBenchConfig& c) {
  parse_collective(c.collective);
  parse_dtype(c.dtype);
  if (c.op != "sum") fail_usage("--op expects sum, found '{}'", c.op);
  if (c.iters < 1) fail_usage("--iters expects 1 or more, found {}", c.iters);
  if (c.warmup < 0) fail_usage("--warmup-iters expects 0 or more, found {}", c.warmup);
  check_dist_timeout(c.timeout_s);
}

struct Results {
  nlohmann::ordered_json sizes = nlohmann::ordered_json::array();
  double busbw = 0;  // the mean
  std::int64_t wrong = 0;
};

Results measure_all(const CommBenchConfig& c, dist::Communicator& ranks, const Device& device,
                    const std::vector<std::int64_t>& sizes) {
  const Collective& collective = parse_collective(c.collective);
  const DTypeName dtype = parse_dtype(c.dtype);
  const bool prints = ranks.rank() == 0, rooted = collective.is_rooted();
  const CommOptions options{.dtype = dtype.dtype,
                            .device = device,
                            .iters = c.iters,
                            .warmup = c.warmup,
                            .root = c.root,
                            .check = c.check != 0};
  Results results;
  if (prints) print_head(c, ranks, device);
  for (const std::int64_t size : sizes) {
    CommMeasurement measurement(ranks, collective, options, size);
    const Figures apart = measurement.run(false), in_place = measurement.run(true);
    results.busbw += (apart.busbw + in_place.busbw) / 2 / static_cast<double>(sizes.size());
    results.wrong += std::max<std::int64_t>(apart.wrong, 0);
    results.wrong += std::max<std::int64_t>(in_place.wrong, 0);
    results.sizes.push_back({{"bytes", measurement.bytes()},
                             {"count", measurement.count()},
                             {"out_of_place", to_json(apart)},
                             {"in_place", to_json(in_place)}});
    if (!prints) continue;
    fmt::print("  {:>10} {:>12} {:>9} {:>7} {:>7}", measurement.bytes(), measurement.count(),
               dtype.theirs, collective.sums ? "sum" : "none", rooted ? c.root : -1);
    print_figures(apart);
    print_figures(in_place);
    fmt::print("\n");
    std::fflush(stdout);
  }
  ranks.barrier();
  return results;
}

void report(const CommBenchConfig& c, dist::Communicator& ranks, const Device& device,
            const Results& results) {
  fmt::print("# Out of bounds values : {} {}\n# Avg bus bandwidth    : {:g}\n", results.wrong,
             results.wrong == 0 ? "OK" : "FAILED", results.busbw);
  if (c.json.empty()) return;
  const nlohmann::ordered_json json{{"collective", c.collective},
                                    {"ranks", ranks.world_size()},
                                    {"engine", ranks.name()},
                                    {"device", to_text(device)},
                                    {"dtype", parse_dtype(c.dtype).ours},
                                    {"iters", c.iters},
                                    {"avg_busbw_gbs", results.busbw},
                                    {"wrong", results.wrong},
                                    {"sizes", results.sizes}};
  AtomicFile file(c.json);
  file.write(json.dump(2) + "\n");
  file.commit();
}

}  // namespace

int run_bench_comm(const Arguments& arguments) {
  CommBenchConfig config;
  CLI::App app("Measure what ranks can say to each other in a second.", "convoy bench comm");
  app.add_option("collective", config.collective,
                 "all_reduce, reduce_scatter, all_gather or broadcast")
      ->capture_default_str();
  FlagAdder flags(app);
  describe(config, flags);
  if (!parse(app, arguments)) return 0;
  check(config);
  const std::vector<std::int64_t> sizes = sizes_of(config);
  const dist::Place place = dist::place_from_environment(config.init);
  if (config.root < 0 || config.root >= place.world_size) {
    fail_usage("--root expects a rank from 0 to {}, found {}", place.world_size - 1, config.root);
  }
  const Device device = dist::own_device(config.device, place);
  const auto timeout = std::chrono::milliseconds(static_cast<std::int64_t>(config.timeout_s * 1e3));
  dist::Group group(place, device, {.timeout = timeout});
  Results results;
  group.run([&] {
    if (place.rank == 0 && !config.json.empty()) require_writable("json", config.json);
    results = measure_all(config, group.communicator(), device, sizes);
  });
  if (place.rank == 0) report(config, group.communicator(), device, results);
  return results.wrong == 0 ? 0 : 1;
}

}  // namespace convoy::apps
