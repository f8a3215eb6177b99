// SPDX-License-Identifier: MIT
#include "apps/kbench/command.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>

#include "apps/convoy/arguments.h"
#include "apps/convoy/command.h"
#include "apps/kbench/report.h"
#include "apps/trainer/config.h"
#include "apps/trainer/kernel_choice.h"
#include "kernels/vendor/library.h"
#include "runtime/atomic_file.h"
#include "runtime/device.h"

namespace convoy::kbench {
namespace {

using Sizes = std::vector<std::pair<std::string, std::vector<std::int64_t>>>;

struct Flags {
  std::string device, shapes, json, filter, tuning_table;
  std::vector<std::string> dtypes, passes;
  Sizes sizes;
  bool list = false, quiet = false;
  Options options;
};

void add_flags(CLI::App& app, const Family& family, Flags& flags) {
  app.add_option("--device", flags.device, "cpu, sim or cuda[:N] (default: cuda where it is)");
  app.add_option("--dtype", flags.dtypes, "f32, f16, bf16 (default: f32 on cpu, else f16)")
      ->delimiter(',');
  if (!family.shapes.empty()) {
    app.add_option("--shapes", flags.shapes, fmt::format("{}", fmt::join(family.shapes, ", ")));
  }
  app.add_option("--passes", flags.passes, fmt::format("{}", fmt::join(family.passes, ", ")))
      ->delimiter(',');
  app.add_option("--filter", flags.filter, "only problems whose name contains it");
  app.add_option("--variant", flags.options.variants,
                 "names of rungs (vendor*: all that begin so), all, or plan: the one that is taken "
                 "by itself")
      ->delimiter(',')
      ->capture_default_str();
  flags.sizes.reserve(family.flags.size());  // CLI11 keeps references
  for (const std::string& name : family.flags) {
    flags.sizes.emplace_back(name, std::vector<std::int64_t>{});
    app.add_option("--" + name, flags.sizes.back().second, "size, or several: each is run")
        ->delimiter(',');
  }
  app.add_option("--warmup", flags.options.timing.warmup, "launches")->capture_default_str();
  app.add_option("--repeats", flags.options.timing.repeats,
                 "measurements, of which the median counts")
      ->capture_default_str();
  app.add_option("--max-seconds", flags.options.timing.max_seconds,
                 "per variant, after which fewer repeats do")
      ->capture_default_str();
  app.add_option("--max-total-seconds", flags.options.max_total_seconds,
                 "no problem begins after so many; 0: all do")
      ->capture_default_str();
  app.add_option("--json", flags.json, "file for the results");
  app.add_option("--tuning-table", flags.tuning_table,
                 "of tune: file that gets the fastest variant of each op; what it says of other "
                 "ops stays");
  app.add_flag("--list", flags.list, "list problems and variants, run nothing");
  app.add_flag("--quiet", flags.quiet, "no progress on standard error");
}

DType parse_dtype(const std::string& text) {
  for (const DType dtype : {DType::f32, DType::f16, DType::bf16}) {
    if (text == name(dtype)) return dtype;
  }
  fail_usage("--dtype expects f32, f16 or bf16, found '{}'", text);
}

void require_one_of(const char* flag, const std::string& value,
                    const std::vector<std::string>& known) {
  if (std::find(known.begin(), known.end(), value) != known.end()) return;
  fail_usage("{} expects one of {}, found '{}'", flag, fmt::join(known, ", "), value);
}

void require_seconds(const char* flag, double seconds) {
  if (!(seconds >= 0)) fail_usage("{} expects 0 or more, found {}", flag, seconds);
}

void check_flags(const Family& family, const Flags& flags) {
  if (!flags.shapes.empty()) require_one_of("--shapes", flags.shapes, family.shapes);
  for (const std::string& pass : flags.passes) require_one_of("--passes", pass, family.passes);
  for (const auto& [name, values] : flags.sizes) {
    if (flags.shapes.empty() || values.empty()) continue;
    if (family.batch != nullptr && name == family.batch) continue;
    fail_usage("--shapes {} is a list of sizes, so --{} cannot be given beside it", flags.shapes,
               name);
  }
  if (flags.options.timing.repeats < 1) {
    fail_usage("--repeats expects 1 or more, found {}", flags.options.timing.repeats);
  }
  if (flags.options.timing.warmup < 0) {
    fail_usage("--warmup expects 0 or more, found {}", flags.options.timing.warmup);
  }
  require_seconds("--max-seconds", flags.options.timing.max_seconds);
  require_seconds("--max-total-seconds", flags.options.max_total_seconds);
  if (!flags.json.empty()) apps::require_writable("json", flags.json);
}

// What tune needs is asked for before it takes its time.
void check_tune(const Family& family, const Flags& flags, bool tune, const Device& device) {
  if (tune == flags.tuning_table.empty()) {
    fail_usage("--tuning-table belongs to tune, which needs it: kbench tune {} --tuning-table FILE",
               family.op);
  }
  if (!tune) return;
  if (!family.has_ladder) {
    fail_usage("tune expects an op that has variants to choose from, found {}", family.op);
  }
  apps::require_clock("tune", device);
  apps::require_writable("tuning-table", flags.tuning_table);
  if (std::filesystem::exists(flags.tuning_table)) {
    apps::read_tuning_table(flags.tuning_table, device);
  }
}

// The product of all lists of sizes.
std::vector<Request> requests(const Flags& flags, const Device& device) {
  std::vector<Request> all;
  for (const std::string& dtype : flags.dtypes) {
    std::vector<Request> of_dtype = {{.device = device,
                                      .dtype = parse_dtype(dtype),
                                      .shapes = flags.shapes,
                                      .passes = flags.passes,
                                      .filter = flags.filter}};
    if (device.type == DeviceType::cpu && of_dtype[0].dtype != DType::f32) {
      fail_usage("--dtype on cpu expects f32, found {}: half numbers are for --device sim or cuda",
                 dtype);
    }
    for (const auto& [name, values] : flags.sizes) {
      if (values.empty()) continue;
      std::vector<Request> longer;
      for (const Request& request : of_dtype) {
        for (const std::int64_t value : values) {
          longer.push_back(request);
          longer.back().sizes.emplace_back(name, value);
        }
      }
      of_dtype = std::move(longer);
    }
    all.insert(all.end(), of_dtype.begin(), of_dtype.end());
  }
  return all;
}

// Shapes are checked as problems are made; mistakes in them are the command line's.
std::vector<MakeProblem> problems_of(const Family& family, const std::vector<Request>& requests) {
  std::vector<MakeProblem> all;
  try {
    for (const Request& request : requests) {
      const std::vector<MakeProblem> more = family.problems(request);
      all.insert(all.end(), more.begin(), more.end());
    }
  } catch (const Error& error) {
    throw Error(error.what(), ErrorKind::usage);
  }
  if (all.empty()) fail_usage("no problem is left of these flags");
  return all;
}

int list(const std::vector<MakeProblem>& problems) {
  for (const MakeProblem& make : problems) {
    Problem p = make();
    p.prepare(p);
    std::vector<std::string> sizes;
    for (const auto& [name, value] : p.sizes) sizes.push_back(fmt::format("{}{}", name, value));
    fmt::print("{:<10} {:<15} {:<22} {:<5} {}\n    {} (plan takes {})\n", p.op, p.pass, p.name,
               p.dtype, fmt::join(sizes, " "), fmt::join(p.variants, ", "), p.chosen);
  }
  return 0;
}

// At a stroke: who is cut off in between leaves the last whole file.
void write_json(const std::string& path, const Results& results) {
  AtomicFile file(path);
  file.write(json(results));
  file.commit();
}

// A name that no problem knows is a slip of the pen, or a variant for others; "vendor*" may well
// find none.
void require_known_variants(const Family& family, const Options& options, const Results& results) {
  if (!results.ended_early.empty()) return;  // later ones may have it
  const bool none_ran = results.rows.empty();
  for (const std::string& name : options.variants) {
    if (name == "all" || name == "plan" || results.variants.contains(name)) continue;
    if (name.ends_with('*') && !none_ran) continue;
    if (results.variants.empty()) return;  // nothing could be begun
    if (is_variant(family.op, name)) {
      fail_usage("--variant {}: it takes none of these problems on {}; they have {}", name,
                 results.device, fmt::join(results.variants, ", "));
    }
    fail_usage("--variant expects plan, all or a variant that some problem has ({}), found {}",
               fmt::join(results.variants, ", "), name);
  }
}

// Adds what was the fastest here to the table of the file.
void write_fastest(const std::string& file, const Results& results) {
  const TuningTable found = fastest(results);
  require(!found.empty(), "tune: nothing was timed, {} stays as it is", file);
  TuningTable table;
  if (std::filesystem::exists(file)) table = apps::read_tuning_table(file, results.device);
  for (const auto& [key, variant] : found) table[key] = variant;
  apps::write_tuning_table(file, table, results.device);
  fmt::print("tuning table {}: {} ops, hash {}\n", file, table.size(), apps::tuning_hash(table));
}

int run_family(const Family& family, const std::vector<std::string>& arguments, bool tune) {
  CLI::App app(family.summary, std::string("kbench ") + family.op);
  Flags flags;
  add_flags(app, family, flags);
  if (!apps::parse(app, arguments)) return 0;
  check_flags(family, flags);
  const Device device = flags.device.empty() ? (available_devices().back().type == DeviceType::cuda
                                                    ? Device{DeviceType::cuda}
                                                    : Device{})
                                             : parse_device(flags.device);
  check_tune(family, flags, tune, device);
  if (flags.dtypes.empty()) flags.dtypes = {device.type == DeviceType::cpu ? "f32" : "f16"};
  // A tuning table is for training, which keeps to plans that give the same bits each time.
  vendor::allow_nondeterministic(!tune);
  const auto problems = problems_of(family, requests(flags, device));
  if (flags.list) return list(problems);
  flags.options.progress = !flags.quiet;
  const Results results = run_all(device, problems, flags.options, [&](const Results& so_far) {
    if (!flags.json.empty()) write_json(flags.json, so_far);
  });
  if (!results.rows.empty()) fmt::print("{}", table(results));
  if (!flags.json.empty()) write_json(flags.json, results);  // how it ended, too
  require_known_variants(family, flags.options, results);
  if (tune) write_fastest(flags.tuning_table, results);
  return results.all_right() ? 0 : 1;
}

int usage(std::FILE* out, int code) {
  fmt::print(out, "usage: kbench OP [flags]        (kbench OP --help lists the flags)\n");
  fmt::print(out, "       kbench tune OP --tuning-table FILE [flags]\n\n");
  for (const Family& family : families())
    fmt::print(out, "  {:<11} {}\n", family.op, family.summary);
  return code;
}

}  // namespace

int run_command(std::vector<std::string> arguments) {
  if (!arguments.empty() && arguments.front() == "run") arguments.erase(arguments.begin());
  const bool tune = !arguments.empty() && arguments.front() == "tune";
  if (tune) arguments.erase(arguments.begin());
  if (arguments.empty()) return usage(stderr, 2);
  const std::string op = arguments.front();
  if (op == "--help" || op == "-h" || op == "--list") return usage(stdout, 0);
  std::vector<std::string> names;
  for (const Family& family : families()) {
    if (op == family.op) return run_family(family, {arguments.begin() + 1, arguments.end()}, tune);
    names.emplace_back(family.op);
  }
  const std::string guess = apps::nearest(op, names);
  fail_usage("unknown op '{}'{}; kbench --help lists them", op,
             guess.empty() ? "" : ", did you mean " + guess + "?");
}

}  // namespace convoy::kbench
