// SPDX-License-Identifier: MIT
#pragma once
// The live line of a long job: a bar that redraws itself on a terminal, plain lines now and then
// otherwise.
//
//   Progress progress("train 1/3", steps, 50);
//   progress.update(step, "loss 0.412 acc 87.50 lr 0.0500 5312 img/s");
//   progress.finish("loss 0.301 …");

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>

namespace convoy::apps {

class Progress {
 public:
  // `total` units of work; `interval`: units between plain lines.
  Progress(std::string title, std::int64_t total, int interval, std::FILE* out);

  void update(std::int64_t done, const std::string& figures);
  // Ends the line. Nothing is drawn after it.
  void finish(const std::string& figures);

 private:
  std::string line(std::int64_t done, const std::string& figures, bool with_bar) const;
  std::string fitted_line(std::int64_t done, const std::string& figures) const;
  double seconds() const;

  std::string title_;
  std::int64_t total_;
  int interval_;
  std::FILE* out_;
  bool terminal_;
  double last_drawn_ = -1;
  std::chrono::steady_clock::time_point start_;
};

// "12:07" or "1:02:07".
std::string format_duration(double seconds);

}  // namespace convoy::apps
