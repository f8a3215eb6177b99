// SPDX-License-Identifier: MIT
#include "apps/trainer/kernel_choice.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <vector>

#include "apps/trainer/json_text.h"
#include "apps/trainer/tuning_text.h"
#include "kernels/require.h"
#include "kernels/vendor/library.h"
#include "kernels/vendor/names.h"
#include "runtime/atomic_file.h"
#include "runtime/device.h"

namespace convoy::apps {
namespace {

std::string processor() {
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  }
  return "unknown processor";
}

bool uses_vendor(const TuningTable& table) {
  return std::any_of(table.begin(), table.end(),
                     [](const auto& entry) { return vendor::is_vendor(entry.second); });
}

void require_made_here(const std::filesystem::path& file, const char* what, const std::string& made,
                       const std::string& here) {
  if (made == here) return;
  fail_usage(
      "--tuning-table {}: expected a table for the {} here, {}; found one for {}: make one with "
      "--autotune and another file",
      file.string(), what, here, made);
}

std::string first_three(const std::vector<std::string>& all) {
  const std::vector<std::string> first(all.begin(),
                                       all.begin() + std::min<std::ptrdiff_t>(3, std::ssize(all)));
  return fmt::format("{}{}", fmt::join(first, "; "), all.size() > 3 ? "; …" : "");
}

}  // namespace

KernelFamily parse_kernels(const std::string& kernels, const Device& device) {
  for (const KernelFamily family :
       {KernelFamily::own, KernelFamily::vendor, KernelFamily::automatic}) {
    if (kernels != name(family)) continue;
    if (family == KernelFamily::vendor && device.type != DeviceType::cuda) {
      fail_usage("--kernels vendor: {} has no vendor's kernels, cuda has; take own or auto",
                 device);
    }
    return family;
  }
  fail_usage("--kernels expects own, vendor or auto, found '{}'", kernels);
}

// A description begins with the device's name and, on cuda, its index.
void require_clock(const char* what, const Device& device) {
  if (device.type != DeviceType::sim) return;
  fail_usage("{}: nothing can be timed on sim, which has no clock: take cpu or cuda", what);
}

std::string tuning_device(const Device& device) {
  const std::string description = backend(device).description();
  if (device.type == DeviceType::cpu) return description + ", " + processor();
  const std::string prefix = to_text(device) + ", ";
  const bool has_prefix = device.type == DeviceType::cuda && description.starts_with(prefix);
  return has_prefix ? description.substr(prefix.size()) : description;
}

std::string tuning_libraries() {
  std::vector<std::string> found;
  for (const char* key : {"cublaslt", "cudnn"}) {
    const Library& library = vendor_library(key);
    if (library.loaded()) found.push_back(std::string(key) + " " + library.version());
  }
  return found.empty() ? "none" : fmt::format("{}", fmt::join(found, ", "));
}

TuningTable read_tuning_table(const std::filesystem::path& file, const Device& device) {
  if (!std::filesystem::exists(file)) {
    fail_usage("--tuning-table {}: expected a file, found none", file.string());
  }
  TuningText text = parse_tuning(read_json_text(file), file.string());
  require_made_here(file, "device", text.device, tuning_device(device));
  if (uses_vendor(text.variants)) {
    require_made_here(file, "libraries", text.libraries, tuning_libraries());
  }
  return std::move(text.variants);
}

void write_tuning_table(const std::filesystem::path& file, const TuningTable& table,
                        const Device& device) {
  const nlohmann::ordered_json json{{"format_version", kTuningVersion},
                                    {"device", tuning_device(device)},
                                    {"libraries", uses_vendor(table) ? tuning_libraries() : "none"},
                                    {"hash", tuning_hash(table)},
                                    {"variants", table}};
  AtomicFile out(file);
  out.write(json.dump(2) + "\n");
  out.commit();
}

std::string to_text(const TuningTable& table) {
  std::string text;
  for (const auto& [key, variant] : table) text += key + '\n' + variant + '\n';
  return text;
}

TuningTable tuning_table_of(const std::string& text) {
  TuningTable table;
  std::istringstream lines(text);
  for (std::string key, variant; std::getline(lines, key) && std::getline(lines, variant);) {
    table[key] = variant;
  }
  return table;
}

// FNV-1a (Fowler, Noll, Vo).
std::string tuning_hash(const TuningTable& table) {
  if (table.empty()) return "none";
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : to_text(table)) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  }
  return fmt::format("{:016x}", hash);
}

void set_kernels(const KernelConfig& config, const Device& device) {
  set_kernel_family(parse_kernels(config.kernels, device));
  set_tuning_table(config.tuning_table.empty() ? TuningTable{}
                                               : read_tuning_table(config.tuning_table, device));
}

std::string not_there_line() {
  const std::vector<std::string> ops = choices_not_there();
  if (ops.empty()) return "";
  return fmt::format("--tuning-table: entries left aside: {}: {}", ops.size(), first_three(ops));
}

std::string without_vendor_line() {
  const std::vector<std::string> ops = ops_without_vendor();
  if (ops.empty()) return "";
  std::string why;
  for (const char* key : {"cublaslt", "cudnn"}) {
    if (!vendor_library(key).loaded()) why += "; " + vendor_library(key).why();
  }
  return fmt::format("--kernels vendor: own kernels ran {} ops that have no vendor's: {}{}",
                     ops.size(), first_three(ops), why);
}

}  // namespace convoy::apps
