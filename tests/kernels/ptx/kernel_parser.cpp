// SPDX-License-Identifier: MIT
#include "tests/kernels/ptx/kernel_parser.h"

#include <algorithm>
#include <cctype>

namespace convoy::ptx {
namespace {

bool is_of_a_label(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '$';
}

// 0f3F800000, 0d3FF0000000000000, 12, -1, 0xff
std::uint64_t value_of(const std::string& text) {
  const char kind = text.size() > 1 ? text[1] : ' ';
  if (kind == 'f' || kind == 'F' || kind == 'd' || kind == 'D') {
    return std::stoull(text.substr(2), nullptr, 16);
  }
  if (text[0] == '-') return std::uint64_t{0} - std::stoull(text.substr(1), nullptr, 0);
  return std::stoull(text, nullptr, 0);
}

}  // namespace

void KernelParser::parameter(std::string_view declaration) {
  const Declared d = declared(declaration);
  const std::size_t offset = rounded_up(kernel_.parameter_bytes, d.align);
  kernel_.parameters.push_back({d.name, offset, d.size});
  kernel_.parameter_bytes = offset + d.size;
}

void KernelParser::body(std::string_view text) {
  std::size_t i = 0;
  while (i < text.size()) {
    if (std::isspace(static_cast<unsigned char>(text[i])) != 0) {
      ++i;
    } else if (text[i] == '{') {
      scopes_.emplace_back(), ++i;
    } else if (text[i] == '}') {
      scopes_.pop_back(), ++i;
    } else {
      i = label_or_statement(text, i);
    }
  }
  resolve_branches();
}

std::size_t KernelParser::label_or_statement(std::string_view text, std::size_t begin) {
  std::size_t end = begin;
  while (end < text.size() && is_of_a_label(text[end])) ++end;
  if (end < text.size() && text[end] == ':') {
    labels_[std::string(text.substr(begin, end - begin))] = static_cast<int>(kernel_.code.size());
    return end + 1;
  }
  end = text.find(';', begin);
  if (end == std::string_view::npos) not_understood(text.substr(begin));
  statement(trim(text.substr(begin, end - begin)));
  return end + 1;
}

void KernelParser::resolve_branches() {
  for (const auto& [at, label] : branches_) {
    const auto found = labels_.find(label);
    if (found == labels_.end()) not_understood("label " + label);
    kernel_.code[at].target = found->second;
  }
}

void KernelParser::statement(std::string_view text) {
  if (text[0] == '.') return directive(text);
  Instruction i;
  i.text = std::string(text);
  if (text[0] == '@') {
    i.guard_negated = text[1] == '!';
    text.remove_prefix(i.guard_negated ? 2 : 1);
    const auto space = text.find_first_of(kSpaces);
    i.guard = named(text.substr(0, space));
    text = trim(text.substr(space));
  }
  const auto space = std::min(text.find_first_of(kSpaces), text.size());
  const auto opcode = split(text.substr(0, space), '.');
  const std::string_view rest = trim(text.substr(space));
  if (opcode[0] == "bra") {
    branches_[kernel_.code.size()] = std::string(rest);
  } else {
    operands(i, rest);
  }
  i.last_is_predicate = !i.operands.empty() && predicates_.contains(i.operands.back());
  i.run = decode(opcode, i);
  kernel_.code.push_back(std::move(i));
}

void KernelParser::directive(std::string_view text) {
  if (text.starts_with(".reg")) return add_registers(trim(text.substr(4)));
  if (text.starts_with(".local")) {
    return add_variable(text, Constant::Kind::local, kernel_.local_bytes);
  }
  if (text.starts_with(".shared")) {
    return add_variable(text, Constant::Kind::shared, kernel_.shared_bytes);
  }
  if (!text.starts_with(".pragma")) not_understood(text);
}

// ".b32 %r<12>" or ".pred inside, outside"
void KernelParser::add_registers(std::string_view declaration) {
  const auto space = declaration.find_first_of(kSpaces);
  const bool predicate = declaration.starts_with(".pred");
  for (std::string_view name : split(declaration.substr(space), ',')) {
    name = trim(name);
    const auto open = name.find('<');
    const std::string stem(name.substr(0, open));
    if (open == std::string_view::npos) {
      add_register(stem, predicate);
      continue;
    }
    const int count = std::stoi(std::string(name.substr(open + 1)));
    for (int i = 0; i < count; ++i) add_register(stem + std::to_string(i), predicate);
  }
}

void KernelParser::add_register(std::string name, bool predicate) {
  const int slot = kernel_.slots++;
  scopes_.back()[std::move(name)] = slot;
  if (predicate) predicates_.insert(slot);
}

void KernelParser::add_variable(std::string_view declaration, Constant::Kind kind,
                                std::size_t& bytes) {
  const Declared d = declared(declaration);
  bytes = rounded_up(bytes, d.align);
  places_[d.name] = {kind, bytes};
  bytes += d.size;
}

// Braces, brackets and bars are looked through: "[%rd1+8, {%r1, %r2}]" are three registers.
void KernelParser::operands(Instruction& i, std::string_view text) {
  const char* const separators = ",{}[]|";
  while (!(text = trim(text)).empty()) {
    const auto end = std::min(text.find_first_of(separators), text.size());
    std::string_view one = trim(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (one.empty()) continue;
    if (const auto plus = one.find('+', 1); plus != std::string_view::npos) {
      i.offset = std::stoll(std::string(one.substr(plus + 1)), nullptr, 0);
      one = trim(one.substr(0, plus));
    }
    i.operands.push_back(operand(one));
  }
}

int KernelParser::operand(std::string_view text) {
  if (text == "_") return -1;
  if (std::isdigit(static_cast<unsigned char>(text[0])) != 0 || text[0] == '-') return number(text);
  return named(text);
}

int KernelParser::number(std::string_view text) {
  const std::string key(text);
  return constant(key, Constant::Kind::value, value_of(key));
}

int KernelParser::named(std::string_view name) {
  for (auto scope = scopes_.rbegin(); scope != scopes_.rend(); ++scope) {
    if (const auto found = scope->find(name); found != scope->end()) return found->second;
  }
  const std::string key(name);
  if (key[0] == '%') return constant(key, Constant::Kind::special, 0, key);
  for (const Parameter& p : kernel_.parameters) {
    if (p.name == key) return constant(key, Constant::Kind::parameter, p.offset);
  }
  if (const auto place = places_.find(key); place != places_.end()) {
    return constant(key, place->second.first, place->second.second);
  }
  return place_of_module(key);
}

// A kernel has of the module's shared variables those that it names.
int KernelParser::place_of_module(const std::string& name) {
  if (const auto found = outside_.shared.find(name); found != outside_.shared.end()) {
    const Declared& d = found->second;
    if (d.size == 0) return constant(name, Constant::Kind::dynamic_shared, 0);
    kernel_.shared_bytes = rounded_up(kernel_.shared_bytes, d.align);
    places_[name] = {Constant::Kind::shared, kernel_.shared_bytes};
    kernel_.shared_bytes += d.size;
    return constant(name, Constant::Kind::shared, places_[name].second);
  }
  const auto global = outside_.global.find(name);
  if (global == outside_.global.end()) not_understood("name " + name);
  return constant(name, Constant::Kind::global,
                  reinterpret_cast<std::uintptr_t>(global->second.data()));
}

int KernelParser::constant(const std::string& key, Constant::Kind kind, std::uint64_t value,
                           const std::string& name) {
  const auto [found, is_new] = constants_.try_emplace(key, kernel_.slots);
  if (is_new) kernel_.constants.push_back({kernel_.slots++, kind, value, name});
  return found->second;
}

}  // namespace convoy::ptx
