// SPDX-License-Identifier: MIT
#pragma once
// The command line: flags made from a list of fields, both spellings of a flag, and the nearest
// flag for one that does not exist.

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

namespace convoy::apps {

// --batch_size means --batch-size; values are left alone.
std::vector<std::string> with_dashes(int argc, const char* const* argv);

// Value of `flag` ("--dataset") in the arguments, as "--dataset X" or "--dataset=X"; else `absent`.
std::string peek(const std::vector<std::string>& arguments, const std::string& flag,
                 const std::string& absent);

// The one of `known` that needs the fewest edits to become `word`; empty when none is near.
std::string nearest(const std::string& word, const std::vector<std::string>& known);

// "unknown flag --bacth-size; did you mean --batch-size?"
std::string explain_extras(const CLI::App& command, const std::vector<std::string>& extras);

// The long names, without dashes, of the options that the command line set.
std::vector<std::string> given_flags(const CLI::App& command);

// Adds one option per field that describe() lists: flags for bool, comma-separated lists for
// vectors.
class FlagAdder {
 public:
  explicit FlagAdder(CLI::App& command) : command_(command) {}

  void group(const char* title) { group_ = title; }

  void operator()(const std::string& name, bool& field, const char* help) {
    option("--" + name + ",!--no-" + name, [&](const std::string& names) {
      return command_.add_flag(name.starts_with("no-") ? "--" + name : names, field, help);
    });
  }
  void operator()(const std::string& name, std::optional<bool>& field, const char* help) {
    option("--" + name + ",!--no-" + name, [&](const std::string& names) {
      return command_.add_flag_function(
          names, [&field](std::int64_t count) { field = count > 0; }, help);
    });
  }
  template <class T>
  void operator()(const std::string& name, std::vector<T>& field, const char* help) {
    option(names_of(name), [&](const std::string& names) {
      return command_.add_option(names, field, help)->delimiter(',')->capture_default_str();
    });
  }
  template <class T>
  void operator()(const std::string& name, T& field, const char* help) {
    option(names_of(name), [&](const std::string& names) {
      CLI::Option* added = command_.add_option(names, field, help);
      // CLI11 would wrap -1 round to the largest number.
      if constexpr (std::is_unsigned_v<T>) added->check(CLI::NonNegativeNumber)->type_name("UINT");
      return added->capture_default_str()->take_last();
    });
  }

 private:
  static std::string names_of(const std::string& name) { return "--" + name; }
  template <class F>
  void option(const std::string& names, F&& add) {
    add(names)->group(group_);
  }

  CLI::App& command_;
  std::string group_;
};

}  // namespace convoy::apps
