// SPDX-License-Identifier: MIT
#include "apps/trainer/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>

namespace convoy::apps {

Progress::Progress(std::string title, std::int64_t total, int interval, std::FILE* out)
    : title_(std::move(title)),
      total_(total),
      interval_(interval),
      out_(out),
      terminal_(isatty(fileno(out)) != 0),
      start_(std::chrono::steady_clock::now()) {}

double Progress::seconds() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
}

std::string Progress::line(std::int64_t done, const std::string& figures, bool with_bar) const {
  const double part = total_ > 0 ? static_cast<double>(done) / static_cast<double>(total_) : 1;
  const double left = done > 0 ? seconds() / part - seconds() : 0;
  std::string bar;
  if (with_bar)
    bar = fmt::format("|{:<20}| ", std::string(static_cast<std::size_t>(part * 20), '='));
  return fmt::format(
      "{} [{:>{}}/{} {:3.0f}%] {}{} {}", title_, done, std::to_string(total_).size(), total_,
      part * 100, bar, figures,
      done < total_ ? "eta " + format_duration(left) : "in " + format_duration(seconds()));
}

// A line that the terminal would wrap cannot be drawn over: the bar goes first, then the end.
std::string Progress::fitted_line(std::int64_t done, const std::string& figures) const {
  winsize size{};
  const bool known = ioctl(fileno(out_), TIOCGWINSZ, &size) == 0 && size.ws_col > 1;
  const std::size_t columns = known ? size.ws_col - 1u : 200;
  std::string text = line(done, figures, true);
  if (text.size() > columns) text = line(done, figures, false);
  return text.substr(0, columns);
}

void Progress::update(std::int64_t done, const std::string& figures) {
  if (!terminal_) {
    if (done % interval_ == 0 && done < total_)
      fmt::print(out_, "{}\n", line(done, figures, false));
    std::fflush(out_);
    return;
  }
  if (seconds() - last_drawn_ < 0.1) return;
  last_drawn_ = seconds();
  fmt::print(out_, "\r\033[K{}", fitted_line(done, figures));
  std::fflush(out_);
}

void Progress::finish(const std::string& figures) {
  fmt::print(out_, "{}{}\n", terminal_ ? "\r\033[K" : "",
             terminal_ ? fitted_line(total_, figures) : line(total_, figures, false));
  std::fflush(out_);
}

std::string format_duration(double seconds) {
  const auto s = static_cast<std::int64_t>(std::max(0.0, seconds) + 0.5);
  if (s < 3600) return fmt::format("{}:{:02}", s / 60, s % 60);
  return fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
}

}  // namespace convoy::apps
