// SPDX-License-Identifier: MIT
#pragma once
// A descriptor that somebody may read slowly, or not at all. What it does not take at once is kept,
// so that who writes here never waits: a launcher has signals to pass on.

#include <string>
#include <string_view>

namespace convoy::apps {

class Outlet {
 public:
  explicit Outlet(int descriptor) : descriptor_(descriptor) {}
  Outlet(const Outlet&) = delete;
  Outlet& operator=(const Outlet&) = delete;

  void write(std::string_view bytes);
  void flush();  // what is taken now; where nobody reads any more, all is dropped
  // While it is, the writer reads no more of what it would write here, and waits for POLLOUT.
  bool is_behind() const { return !kept_.empty(); }
  int descriptor() const { return descriptor_; }

 private:
  int descriptor_;
  std::string kept_;
};

}  // namespace convoy::apps
