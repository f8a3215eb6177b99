// SPDX-License-Identifier: MIT
#include "apps/trainer/run_log.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <vector>

#include "apps/trainer/config_json.h"
#include "apps/trainer/config_text.h"
#include "kernels/require.h"
#include "runtime/atomic_file.h"

namespace convoy::apps {
namespace {

namespace fs = std::filesystem;

struct JsonWriter {
  nlohmann::ordered_json json;
  void group(const char*) {}
  template <class T>
  void operator()(const std::string& flag, const T& field, const char*) {
    json[json_key(flag)] = field;
  }
};

// JSON has no NaN and no infinity.
std::string number(double value) {
  return std::isfinite(value) ? fmt::format("{:.6g}", value) : "null";
}

constexpr const char* kSummaryHeader =
    "epoch,step,train_loss,train_top1,val_loss,val_top1,val_top5,lr,seconds,ema_top1\n";

// Keeps the lines that `keep` accepts.
template <class Keep>
void filter_lines(const fs::path& path, Keep keep) {
  std::ifstream in(path);
  if (!in) return;
  std::string kept, line;
  while (std::getline(in, line)) {
    if (keep(line)) kept += line + "\n";
  }
  AtomicFile file(path);
  file.write(kept);
  file.commit();
}

void make_output(const fs::path& folder) {
  if (fs::exists(folder) && !fs::is_directory(folder)) {
    fail_usage("--output expects a folder, found the file {}", folder.string());
  }
  try {
    create_folders(folder);
  } catch (const fs::filesystem_error& error) {
    fail("--output {}: the folder cannot be made: {}", folder.string(), error.code().message());
  }
}

// "checkpoints/step-…" of all later steps in the run of `checkpoint`.
std::vector<fs::path> checkpoints_after(const fs::path& checkpoint) {
  std::vector<fs::path> later;
  for (const auto& entry : fs::directory_iterator(fs::absolute(checkpoint).parent_path())) {
    const fs::path name = entry.path().filename();
    if (name.string().starts_with("step-") && name > checkpoint.filename()) {
      later.push_back("checkpoints" / name);
    }
  }
  return later;
}

bool is_step_up_to(const std::string& line, std::int64_t last) {
  const nlohmann::json json = nlohmann::json::parse(line, nullptr, false);
  return json.is_object() && json.contains("step") && json["step"] <= last;
}

// Second column of a line of summary.csv.
bool is_epoch_up_to(const std::string& line, std::int64_t last) {
  const auto comma = line.find(',');
  if (comma == std::string::npos) return false;
  return line.starts_with("epoch") || std::atoll(line.c_str() + comma + 1) <= last;
}

}  // namespace

std::string to_json(const TrainConfig& config) {
  JsonWriter writer;
  TrainConfig copy = config;
  describe(copy, writer);
  return writer.json.dump(2) + "\n";
}

std::string to_table(const TrainConfig& config) {
  const auto json = nlohmann::ordered_json::parse(to_json(config));
  std::vector<std::string> cells;
  for (const auto& [key, value] : json.items()) {
    const std::string text = value.is_string() ? value.get<std::string>() : value.dump();
    const bool none = text.empty() || text == "[]" || value.is_null();
    cells.push_back(fmt::format("{:<20} {}", key, none ? "-" : text.c_str()));
  }
  std::string table;
  const std::size_t rows = (cells.size() + 1) / 2;
  for (std::size_t i = 0; i < rows; ++i) {
    const std::string right = i + rows < cells.size() ? cells[i + rows] : "";
    table += right.empty() ? fmt::format("  {}\n", cells[i])
                           : fmt::format("  {:<44} {}\n", cells[i], right);
  }
  return table;
}

RunLog::File RunLog::open(const fs::path& path) {
  File file(std::fopen(path.c_str(), "a"));
  if (!file) fail("output: cannot write {}: {}", path.string(), std::strerror(errno));
  return file;
}

RunLog::RunLog(const fs::path& folder, const TrainConfig& config, std::int64_t resumed_step) {
  make_output(folder);
  AtomicFile arguments(folder / "args.json");
  arguments.write(to_json(config));
  arguments.commit();
  filter_lines(folder / "metrics.jsonl",
               [&](const std::string& line) { return is_step_up_to(line, resumed_step); });
  filter_lines(folder / "summary.csv",
               [&](const std::string& line) { return is_epoch_up_to(line, resumed_step); });
  metrics_ = open(folder / "metrics.jsonl");
  const bool fresh = !fs::exists(folder / "summary.csv") || fs::is_empty(folder / "summary.csv");
  summary_ = open(folder / "summary.csv");
  if (fresh) fmt::print(summary_.get(), kSummaryHeader);
  std::fflush(summary_.get());
}

void RunLog::step(const StepMetrics& m) {
  fmt::print(metrics_.get(),
             "{{\"step\":{},\"epoch\":{},\"loss\":{},\"top1\":{:.4g},\"lr\":{:.6g},"
             "\"images_per_second\":{:.1f},\"step_ms\":{:.3f},\"data_ms\":{:.3f},"
             "\"blocked_ms\":{:.3f},\"decode_ms\":{:.3f},\"bytes\":{},"
             "\"loss_scale\":{:.6g},\"skipped_steps\":{},\"optimizer_bytes\":[{}]}}\n",
             m.step, m.epoch, number(m.loss), m.top1, m.learning_rate, m.images_per_second,
             m.step_ms, m.data_ms, m.blocked_ms, m.decode_ms, m.bytes, m.loss_scale,
             m.skipped_steps, fmt::join(m.optimizer_bytes, ","));
  std::fflush(metrics_.get());
}

void RunLog::epoch(const EpochMetrics& m) {
  fmt::print(summary_.get(), "{},{},{:.6f},{:.4f},{:.6f},{:.4f},{:.4f},{:.6g},{:.2f},{}\n", m.epoch,
             m.step, m.train_loss, m.train_top1, m.val_loss, m.val_top1, m.val_top5,
             m.learning_rate, m.seconds, m.ema_top1 ? fmt::format("{:.4f}", *m.ema_top1) : "");
  std::fflush(summary_.get());
}

fs::path set_other_work_aside(const fs::path& folder, const fs::path& checkpoint) {
  std::error_code none_there;
  const fs::path run = checkpoint.empty() ? "" : fs::absolute(checkpoint / "../..");
  const bool goes_on = !run.empty() && fs::equivalent(run, folder, none_there);
  std::vector<fs::path> names;
  for (const char* name :
       {"args.json", "metrics.jsonl", "summary.csv", "tuning.json", "checkpoints"}) {
    if (!goes_on && fs::exists(folder / name)) names.emplace_back(name);
  }
  if (goes_on) names = checkpoints_after(checkpoint);
  if (names.empty()) return {};
  fs::path aside;
  for (int i = 1; aside.empty() || fs::exists(aside); ++i) {
    aside = folder / fmt::format("previous-{:03}", i);
  }
  for (const fs::path& name : names) {
    fs::create_directories((aside / name).parent_path());
    fs::rename(folder / name, aside / name);
  }
  return aside;
}

}  // namespace convoy::apps
