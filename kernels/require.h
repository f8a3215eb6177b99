// SPDX-License-Identifier: MIT
#pragma once
// Errors: one exception type and one function that states an expectation.
//
//   require(x.rank() == 4, "conv2d: x expects 4 dimensions, found shape {}", x.shape());
//
// The text is "op: expectation, found", with both values; the place of the call is added. Use it
// for our caller's mistake. It stays in .cpp files: nvcc does not take fmt's compile-time checks.

#include <fmt/format.h>

#include <concepts>
#include <cstdint>
#include <source_location>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace convoy {

// What kind of mistake it was; the programs turn it into an exit code (docs: README, exit codes).
enum class ErrorKind : std::uint8_t { failure, usage, data, diverged };

class Error : public std::runtime_error {
 public:
  explicit Error(std::string text, ErrorKind kind = ErrorKind::failure)
      : std::runtime_error(std::move(text)), kind_(kind) {}
  Error(std::string text, ErrorKind kind, std::source_location where);

  ErrorKind kind() const { return kind_; }
  // "file:line" of the call that threw, empty where the error is about the user's input.
  const std::string& where() const { return where_; }

 private:
  ErrorKind kind_;
  std::string where_;
};

// A type of ours prints in error texts once it has a `std::string to_text(const T&)` beside it.
template <class T>
concept Printable = requires(const T& value) {
  { to_text(value) } -> std::convertible_to<std::string>;
};

// A format string that also records where it was written.
template <class... Args>
struct Located {
  template <class S>
  consteval Located(const S& text, std::source_location at = std::source_location::current())
      : format(text), where(at) {}
  fmt::format_string<Args...> format;
  std::source_location where;
};

[[noreturn]] void throw_error(std::string text, ErrorKind kind, std::source_location where);

template <class... Args>
void require(bool condition, Located<std::type_identity_t<Args>...> text, Args&&... args) {
  if (!condition) [[unlikely]] {
    throw_error(fmt::format(text.format, std::forward<Args>(args)...), ErrorKind::failure,
                text.where);
  }
}

// Unconditional forms. `fail` is our caller's mistake, `fail_usage` a bad flag or value of the
// user's (exit 2), `fail_data` a bad file (exit 3): those two name the user's input, not our line.
template <class... Args>
[[noreturn]] void fail(Located<std::type_identity_t<Args>...> text, Args&&... args) {
  throw_error(fmt::format(text.format, std::forward<Args>(args)...), ErrorKind::failure,
              text.where);
}
template <class... Args>
[[noreturn]] void fail_usage(fmt::format_string<Args...> text, Args&&... args) {
  throw Error(fmt::format(text, std::forward<Args>(args)...), ErrorKind::usage);
}
template <class... Args>
[[noreturn]] void fail_data(fmt::format_string<Args...> text, Args&&... args) {
  throw Error(fmt::format(text, std::forward<Args>(args)...), ErrorKind::data);
}

}  // namespace convoy

// Beside <fmt/ranges.h>, too: what prints itself is no range to fmt.
FMT_BEGIN_NAMESPACE
template <typename T, typename Char>
struct is_range;
template <convoy::Printable T, typename Char>
struct is_range<T, Char> : std::false_type {};
FMT_END_NAMESPACE

template <convoy::Printable T>
struct fmt::formatter<T> : fmt::formatter<std::string_view> {
  auto format(const T& value, auto& context) const {
    return fmt::formatter<std::string_view>::format(std::string(to_text(value)), context);
  }
};
