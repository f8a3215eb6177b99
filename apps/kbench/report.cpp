// SPDX-License-Identifier: MIT
#include "apps/kbench/report.h"

#include <fstream>
#include <nlohmann/json.hpp>

#include "apps/kbench/summary.h"
#include "apps/version.h"
#include "runtime/device.h"

namespace convoy::kbench {
namespace {

std::string sizes_text(const Row& row) {
  std::string text;
  for (const auto& [name, value] : row.sizes) {
    const bool usual = (name == "groups" || name == "times" || name == "stride") && value == 1;
    if (!usual) text += fmt::format("{}{}{}", text.empty() ? "" : " ", name, value);
  }
  return text;
}

std::string time_text(double seconds) {
  if (seconds < 1e-3) return fmt::format("{:.2f} us", seconds * 1e6);
  return fmt::format("{:.3f} ms", seconds * 1e3);
}

std::string percent(const std::optional<double>& ratio) {
  return ratio ? fmt::format("{:.1f} %", *ratio * 100) : "";
}

// Nothing of no work.
std::string rate_text(double work, double rate) {
  return work > 0 ? fmt::format("{:.1f}", rate) : "";
}

std::string line(const Row& row) {
  std::string text =
      fmt::format("{:<10} {:<15} {:<22} {:<5} {:<17} {:<6}", row.op, row.pass, row.name, row.dtype,
                  row.variant + (row.chosen ? " *" : ""), row.outcome);
  if (row.times) {
    text += fmt::format(" {:>12} {:>10} {:>9} {:>10} {:>9}", time_text(row.times->median()),
                        rate_text(row.operations, row.gflops()),
                        rate_text(row.bytes, row.gigabytes_per_second()), percent(row.of_vendor),
                        percent(row.of_copy));
  }
  text += "  " + sizes_text(row);
  if (!row.verdict.text.empty()) text += "\n    " + row.verdict.text;
  return text + "\n";
}

// The driver's version, as the kernel module says it; empty where there is none.
std::string driver() {
  std::ifstream in("/sys/module/nvidia/version");
  std::string version;
  std::getline(in, version);
  return version;
}

nlohmann::json as_json(const Row& row) {
  nlohmann::json sizes;
  for (const auto& [name, value] : row.sizes) sizes[name] = value;
  nlohmann::json j = {{"op", row.op},
                      {"pass", row.pass},
                      {"name", row.name},
                      {"variant", row.variant},
                      {"chosen", row.chosen},
                      {"dtype", name(row.dtype)},
                      {"sizes", sizes},
                      {"verdict", row.outcome},
                      {"compared", row.verdict.compared},
                      {"outputs", row.verdict.outputs},
                      {"worst_error_over_bound", row.verdict.worst}};
  if (!row.verdict.text.empty()) j["text"] = row.verdict.text;
  if (!row.times) return j;
  j["seconds"] = row.times->median();
  j["least_seconds"] = row.times->least();
  j["repeats"] = row.times->seconds.size();
  j["launches_per_repeat"] = row.times->launches;
  j["graph"] = row.times->graph;
  j["cold"] = row.cold;
  if (row.operations > 0) j["gflops"] = row.gflops();
  if (row.bytes > 0) j["gigabytes_per_second"] = row.gigabytes_per_second();
  if (row.of_vendor) j["of_vendor"] = *row.of_vendor;
  if (row.of_copy) j["of_copy"] = *row.of_copy;
  return j;
}

}  // namespace

std::string table(const Results& results) {
  std::string text = fmt::format("{}\n", backend(results.device).description());
  if (results.device.type == DeviceType::sim) {
    text += "the simulator has no timing model: verdicts only\n";
  }
  if (results.copy_bytes_per_second > 0) {
    text +=
        fmt::format("copy {:.1f} GB/s, read and written\n", results.copy_bytes_per_second / 1e9);
  }
  text += fmt::format("{:<10} {:<15} {:<22} {:<5} {:<17} {:<6} {:>12} {:>10} {:>9} {:>10} {:>9}\n",
                      "op", "pass", "name", "dtype", "variant", "result", "median", "GFLOP/s",
                      "GB/s", "of vendor", "of copy");
  for (const Row& row : results.rows) text += line(row);
  text += "* what plan takes\n";
  for (const Comparison& each : summarise(results)) text += line(each) + "\n";
  if (!results.ended_early.empty()) text += "ended early: " + results.ended_early + "\n";
  return text;
}

std::string json(const Results& results) {
  nlohmann::json rows = nlohmann::json::array();
  for (const Row& row : results.rows) rows.push_back(as_json(row));
  nlohmann::json summary = nlohmann::json::array();
  for (const Comparison& each : summarise(results)) {
    summary.push_back({{"op", each.op},
                       {"dtype", name(each.dtype)},
                       {"of", each.with},
                       {"problems", each.problems},
                       {"left_out", each.left_out},
                       {"geometric_mean", each.geometric_mean},
                       {"least", each.least},
                       {"least_at", each.least_at}});
  }
  const nlohmann::json j = {{"program", "kbench"},
                            {"version", apps::version()},
                            {"commit", apps::commit()},
                            {"device", backend(results.device).description()},
                            {"driver", driver()},
                            {"copy_bytes_per_second", results.copy_bytes_per_second},
                            {"ended_early", results.ended_early},
                            {"summary", summary},
                            {"rows", rows}};
  return j.dump(1) + "\n";
}

}  // namespace convoy::kbench
