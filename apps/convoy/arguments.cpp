// SPDX-License-Identifier: MIT
#include "apps/convoy/arguments.h"

#include <algorithm>
#include <iostream>
#include <numeric>

#include "apps/convoy/command.h"
#include "kernels/require.h"

namespace convoy::apps {
namespace {

// Levenshtein's distance, one row at a time.
std::size_t edit_distance(const std::string& a, const std::string& b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t substitute = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, substitute});
    }
  }
  return row.back();
}

}  // namespace

std::vector<std::string> with_dashes(int argc, const char* const* argv) {
  std::vector<std::string> arguments(argv + 1, argv + argc);
  for (std::string& argument : arguments) {
    if (!argument.starts_with("--")) continue;
    const auto end = argument.begin() +
                     static_cast<std::ptrdiff_t>(std::min(argument.find('='), argument.size()));
    std::replace(argument.begin(), end, '_', '-');
  }
  return arguments;
}

std::string peek(const std::vector<std::string>& arguments, const std::string& flag,
                 const std::string& absent) {
  std::string found = absent;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    if (arguments[i] == flag && i + 1 < arguments.size()) found = arguments[i + 1];
    if (arguments[i].starts_with(flag + "=")) found = arguments[i].substr(flag.size() + 1);
  }
  return found;
}

std::string nearest(const std::string& word, const std::vector<std::string>& known) {
  std::string best;
  std::size_t least = word.size() / 2 + 1;
  for (const std::string& candidate : known) {
    const std::size_t distance = edit_distance(word, candidate);
    if (distance < least) {
      least = distance;
      best = candidate;
    }
  }
  return best;
}

std::string explain_extras(const CLI::App& command, const std::vector<std::string>& extras) {
  std::vector<std::string> known;
  for (const CLI::Option* option : command.get_options()) {
    for (const std::string& name : option->get_lnames()) known.push_back("--" + name);
  }
  for (const CLI::App* sub : command.get_subcommands({})) known.push_back(sub->get_name());
  const std::string& word = extras.front();
  const std::string guess = nearest(word.substr(0, word.find('=')), known);
  const char* what = word.starts_with("-") ? "flag" : "argument";
  if (guess.empty()) return std::string("unknown ") + what + " " + word + "; see --help";
  return std::string("unknown ") + what + " " + word + "; did you mean " + guess + "?";
}

std::vector<std::string> given_flags(const CLI::App& command) {
  std::vector<std::string> given;
  for (const CLI::Option* option : command.get_options()) {
    if (option->count() > 0 && !option->get_lnames().empty())
      given.push_back(option->get_lnames()[0]);
  }
  return given;
}

namespace {

// CLI11's words, which begin with what went wrong and only then name the flag.
std::string explain_value(const CLI::ParseError& e) {
  const std::string text = e.what();
  const std::string unread = "Could not convert: ";
  if (!text.starts_with(unread)) return text;
  return text.substr(unread.size()) + " cannot be read";
}

}  // namespace

bool parse(CLI::App& app, const Arguments& arguments) {
  try {
    app.parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));
    return true;
  } catch (const CLI::CallForHelp&) {
    std::cout << app.help();
    return false;
  } catch (const CLI::ExtrasError&) {
    throw Error(explain_extras(app, app.remaining()), ErrorKind::usage);
  } catch (const CLI::ParseError& e) {
    throw Error(explain_value(e) + "; " + app.get_name() + " --help says what is expected",
                ErrorKind::usage);
  }
}

}  // namespace convoy::apps
