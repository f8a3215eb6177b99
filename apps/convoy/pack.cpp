// SPDX-License-Identifier: MIT
#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <map>

#include "apps/convoy/command.h"
#include "apps/convoy/stop_signal.h"
#include "apps/trainer/progress.h"
#include "data/catalog.h"
#include "data/pack.h"
#include "data/pack_writer.h"
#include "kernels/require.h"
#include "runtime/device.h"
#include "runtime/seconds.h"

namespace convoy::apps {
namespace {

namespace fs = std::filesystem;

struct PackConfig {
  std::string source, output, dataset, split, on_bad_image = "error";
  data::PackFormat format = data::PackFormat::keep;
  data::PackOptions options;
};

void add_options(CLI::App& app, PackConfig& c) {
  const std::map<std::string, data::PackFormat> formats{{"keep", data::PackFormat::keep},
                                                        {"jpeg", data::PackFormat::jpeg},
                                                        {"raw", data::PackFormat::raw}};
  app.add_option("source,--data-dir", c.source, "a data set's folder, or a pack")->required();
  app.add_option("--output", c.output, "the pack; SPLIT.pack is found by --data-dir of its folder")
      ->required();
  app.add_option("--split", c.split, "train, val …; left out: the folder itself has the classes");
  app.add_option("--dataset", c.dataset, "what the folder holds; left out: told by its files");
  app.add_option("--format", c.options.format,
                 "keep: files as they are; jpeg: encoded again; raw: pixels, to be read undecoded")
      ->transform(CLI::CheckedTransformer(formats, CLI::ignore_case).description(""))
      ->type_name("keep|jpeg|raw")
      ->default_str("keep");
  app.add_option("--size", c.options.size,
                 "shorter side of jpeg and raw; smaller pictures stay as they are; 0: all do")
      ->capture_default_str();
  app.add_option("--quality", c.options.quality, "of jpeg, 1 to 100")->capture_default_str();
  app.add_option("--limit", c.options.limit, "this many samples, spread evenly; 0: all")
      ->capture_default_str();
  app.add_option("--on-bad-image", c.on_bad_image,
                 "error: stop and name the file; skip: leave it out (jpeg and raw)")
      ->check(CLI::IsMember({"error", "skip"}))
      ->capture_default_str();
  app.add_option("--workers,-j", c.options.workers, "threads that read and encode")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
}

// What the folder holds, and which part of it.
void complete(PackConfig& c) {
  if (c.dataset.empty()) c.dataset = data::guess_dataset(c.source);
  if (c.dataset.empty()) c.dataset = "image_folder";
  c.dataset = data::dataset_preset(c.dataset).name;
  const bool is_pack = data::is_pack(c.source);
  if (c.split.empty() && is_pack) c.split = data::pack_source(c.source).split;
  if (c.split.empty() && !is_pack) {
    const bool parted =
        fs::is_directory(fs::path(c.source) / "train") || c.dataset != "image_folder";
    if (parted) fail_usage("--split is needed: {} has more than one, train and others", c.source);
  }
  const bool in_folder = !c.split.empty() && fs::is_directory(fs::path(c.source) / c.split);
  c.options.root = c.source;
  if (in_folder) c.options.root /= c.split;
  c.options.split = c.split;
  c.options.dataset = c.dataset;
  c.options.skip_bad = c.on_bad_image == "skip";
}

std::string megabytes(std::uint64_t bytes) {
  return fmt::format("{:.1f} MB", static_cast<double>(bytes) / 1e6);
}

data::PackSummary write(const PackConfig& c, const data::Dataset& dataset) {
  const auto start = std::chrono::steady_clock::now();
  std::optional<Progress> progress;
  const StopSignal stop;
  return data::write_pack(dataset, c.output, c.options, [&](const data::PackProgress& p) {
    const std::int64_t now = p.done - p.kept, total = p.total - p.kept;
    if (!progress) {
      if (p.kept > 0) fmt::print(stderr, "{}: {} of {} are there\n", c.output, p.kept, p.total);
      const auto interval = static_cast<int>(std::max<std::int64_t>(total / 10, 1));
      progress.emplace("pack", total, interval, stderr);
    }
    const double rate = static_cast<double>(now) / std::max(seconds_since(start), 1e-6);
    const std::string figures = fmt::format("{:.0f} img/s {}", rate, megabytes(p.bytes));
    if (now == total) {
      progress->finish(figures);
    } else {
      progress->update(now, figures);
    }
    return !stop.came() || now == total;
  });
}

void report_skipped(const std::vector<std::string>& skipped) {
  constexpr std::size_t kShown = 3;
  if (skipped.empty()) return;
  fmt::print(stderr, "convoy: note: {} left out:\n", skipped.size());
  for (std::size_t i = 0; i < std::min(skipped.size(), kShown); ++i) {
    fmt::print(stderr, "  {}\n", skipped[i]);
  }
  if (skipped.size() > kShown) fmt::print(stderr, "  and {} more\n", skipped.size() - kShown);
}

}  // namespace

int run_pack(const Arguments& arguments) {
  PackConfig config;
  config.options.workers = compute_threads();
  CLI::App app("Write a data set as one file that is fast to read.", "convoy pack");
  add_options(app, config);
  if (!parse(app, arguments)) return 0;
  if (!fs::exists(config.source))
    fail_data("{}: expected a data set, found nothing", config.source);
  complete(config);
  const auto dataset = data::open_dataset(config.dataset, config.source, config.split);
  for (const std::string& warning : dataset->warnings()) {
    fmt::print(stderr, "convoy: note: {}\n", warning);
  }
  const data::PackSummary summary = write(config, *dataset);
  report_skipped(summary.skipped);
  if (!summary.complete) {
    fmt::print(stderr, "\nconvoy: stopped after {} of {}; the same command goes on\n",
               summary.records, dataset->size());
    return 75;
  }
  fmt::print("{}: {} images of {} classes, {}\n", config.output, summary.records,
             dataset->num_classes(), megabytes(summary.bytes));
  return 0;
}

}  // namespace convoy::apps
