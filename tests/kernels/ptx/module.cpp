// SPDX-License-Identifier: MIT
#include "tests/kernels/ptx/module.h"

#include <algorithm>
#include <cstdio>

#include "tests/kernels/ptx/addresses.h"

namespace convoy::ptx {
namespace {

bool has(std::string_view text, const char* word) {
  return text.find(word) != std::string_view::npos;
}

// ".maxntid 128, 1, 1" among what stands between a kernel's parameters and its body.
std::uint64_t most_threads(const std::string& text) {
  const auto at = text.find(".maxntid");
  unsigned x = 1024, y = 1, z = 1;
  if (at != std::string::npos) std::sscanf(text.c_str() + at, ".maxntid %u, %u, %u", &x, &y, &z);
  return std::uint64_t{x} * y * z;
}

// "{1, 2, 3}" into bytes.
void fill(std::vector<std::uint8_t>& bytes, std::string_view values) {
  std::size_t i = 0;
  for (std::string_view value : split(values, ',')) {
    bytes.at(i++) = static_cast<std::uint8_t>(std::stoi(std::string(trim(value)), nullptr, 0));
  }
}

// ".visible .entry name(parameters) limits { body }"
std::unique_ptr<Kernel> read_kernel(std::string_view text, const Variables& outside) {
  const std::size_t name = text.find(".entry") + 6, open = text.find('(');
  const std::size_t close = text.find(')'), begin = text.find('{');
  auto kernel = std::make_unique<Kernel>();
  kernel->name = std::string(trim(text.substr(name, open - name)));
  kernel->max_threads = most_threads(std::string(text.substr(close, begin - close)));
  KernelParser parser(*kernel, outside);
  const std::string_view parameters = trim(text.substr(open + 1, close - open - 1));
  if (!parameters.empty()) {
    for (std::string_view one : split(parameters, ',')) parser.parameter(one);
  }
  parser.body(text.substr(begin + 1, text.size() - begin - 2));
  return kernel;
}

}  // namespace

Module::Module(const std::string& text) : text_(without_comments(text)) {
  for (std::size_t at = 0; (at = text_.find_first_not_of(kSpaces, at)) < text_.size();) {
    at = declaration(at);
  }
  for (const auto& [name, bytes] : variables_.global) add_memory(bytes.data(), bytes.size());
}

Module::~Module() {
  for (const auto& [name, bytes] : variables_.global) remove_memory(bytes.data());
}

const Kernel* Module::kernel(const std::string& name) {
  const auto range = ranges_.find(name);
  if (range == ranges_.end()) return nullptr;
  auto& kernel = kernels_[name];
  const auto [begin, end] = range->second;
  if (!kernel) kernel = read_kernel(std::string_view(text_).substr(begin, end - begin), variables_);
  return kernel.get();
}

// Where it ends.
std::size_t Module::declaration(std::size_t begin) {
  const std::size_t line_end = std::min(text_.find('\n', begin), text_.size());
  const std::string_view line = std::string_view(text_).substr(begin, line_end - begin);
  if (line.starts_with(".version") || line.starts_with(".target") ||
      line.starts_with(".address_size")) {
    return line_end;
  }
  if (has(line, ".entry")) return entry(begin);
  const std::size_t end = text_.find(';', begin);
  if (end == std::string::npos || has(line, ".func")) not_understood(line);
  variable(std::string_view(text_).substr(begin, end - begin));
  return end + 1;
}

std::size_t Module::entry(std::size_t begin) {
  const std::size_t name = text_.find(".entry", begin) + 6, open = text_.find('(', name);
  const std::size_t body = text_.find('{', open);
  if (body == std::string::npos) not_understood(text_.substr(begin, 200));
  const std::size_t end = matching_brace(text_, body) + 1;
  ranges_[std::string(trim(std::string_view(text_).substr(name, open - name)))] = {begin, end};
  return end;
}

void Module::variable(std::string_view text) {
  const auto equals = text.find('=');
  const Declared d = declared(text.substr(0, equals));
  if (has(text, ".shared")) {
    variables_.shared[d.name] = d;
    return;
  }
  auto& bytes = variables_.global[d.name];
  bytes.assign(d.size, 0);
  if (equals == std::string_view::npos) return;
  const auto open = text.find('{'), close = text.find('}');
  if (close == std::string_view::npos || !has(text.substr(0, equals), ".b8")) not_understood(text);
  fill(bytes, text.substr(open + 1, close - open - 1));
}

}  // namespace convoy::ptx
