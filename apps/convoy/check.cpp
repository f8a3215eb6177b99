// SPDX-License-Identifier: MIT
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>

#include "apps/convoy/command.h"
#include "apps/trainer/progress.h"
#include "data/check_images.h"
#include "kernels/require.h"
#include "runtime/device.h"

namespace convoy::apps {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

struct CheckConfig {
  std::vector<std::string> paths;
  std::string move_bad;
  int workers = 1;
  bool json = false;
};

// The bar on a terminal stands in the line that comes next.
void print_line(std::FILE* out, const std::string& line) {
  if (isatty(fileno(stderr)) != 0) fmt::print(stderr, "\r\033[K");
  fmt::print(out, "{}\n", line);
  std::fflush(out);
}

std::string summary(const data::CheckCounts& c, std::size_t moved) {
  std::string text = fmt::format("{} images: {} good, {} bad", c.images, c.images - c.bad, c.bad);
  if (moved > 0) text += fmt::format(" ({} set aside)", moved);
  return text + fmt::format("; {} odd, {} duplicates, {} both held out and trained on", c.odd,
                            c.duplicates, c.leaks);
}

Json to_json(const data::CheckCounts& c, const std::vector<data::Finding>& findings,
             const std::vector<std::string>& moved) {
  Json json{{"images", c.images},
            {"good", c.images - c.bad},
            {"bad", c.bad},
            {"odd", c.odd},
            {"duplicates", c.duplicates},
            {"leaks", c.leaks},
            {"set_aside", moved.size()}};
  json["findings"] = Json::array();
  for (const data::Finding& f : findings) {
    json["findings"].push_back({{"file", f.name}, {"kind", f.word}, {"cause", f.text}});
  }
  return json;
}

}  // namespace

int run_check(const Arguments& arguments) {
  CheckConfig c;
  c.workers = compute_threads();
  CLI::App app("Decode every image and report what is bad, odd or there twice.", "convoy check");
  app.add_option("paths", c.paths, "image files, folders, packs")->required();
  app.add_option(
      "--move-bad", c.move_bad,
      "move files that do not decode here, by their paths below PATH; overwrites nothing");
  app.add_option("--workers,-j", c.workers, "threads that decode")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  app.add_flag("--json", c.json, "one line of JSON on standard output, the rest on standard error");
  if (!parse(app, arguments)) return 0;

  std::FILE* const out = c.json ? stderr : stdout;
  std::optional<Progress> progress;
  std::vector<data::Finding> findings;
  data::CheckOptions options{.workers = c.workers, .passed_over = c.move_bad};
  options.progress = [&](std::int64_t done, std::int64_t total) {
    const auto interval = static_cast<int>(std::max<std::int64_t>(total / 10, 1000));
    if (!progress) progress.emplace("check", total, interval, stderr);
    if (done < total) return progress->update(done, "");
    if (isatty(fileno(stderr)) != 0) fmt::print(stderr, "\r\033[K");
  };
  const data::CheckCounts counts =
      data::check_images({c.paths.begin(), c.paths.end()}, options, [&](const data::Finding& f) {
        print_line(out, fmt::format("{:<11} {}: {}", f.word, f.name, f.text));
        findings.push_back(f);
      });
  std::vector<std::string> moved;
  for (const data::Finding& f : findings) {
    if (c.move_bad.empty() || f.file.empty()) continue;
    moved.push_back(data::set_aside(f.file, c.move_bad, f.relative).string());
    print_line(out, fmt::format("{:<11} {} -> {}", "set aside", f.file, moved.back()));
  }
  print_line(out, summary(counts, moved.size()));
  if (c.json) {
    const Json json = to_json(counts, findings, moved);
    fmt::print("{}\n", json.dump(-1, ' ', false, Json::error_handler_t::replace));
  }
  return counts.bad > 0 ? 3 : 0;
}

}  // namespace convoy::apps
