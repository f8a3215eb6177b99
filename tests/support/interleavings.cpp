// SPDX-License-Identifier: MIT
#include "tests/support/interleavings.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <stdexcept>

#include "kernels/sim/fiber.h"

namespace convoy::testing {
namespace {

// Decisions of one execution, so that the next one differs in the last that can.
class Choices {
 public:
  int choose(int count) {
    if (count == 1) return 0;
    if (at_ == taken_.size()) taken_.push_back({0, count});
    return taken_[at_++].which;
  }
  void rewind() { at_ = 0; }
  bool next() {
    at_ = 0;
    while (!taken_.empty() && taken_.back().which + 1 == taken_.back().count) taken_.pop_back();
    if (taken_.empty()) return false;
    ++taken_.back().which;
    return true;
  }

 private:
  struct Choice {
    int which, count;
  };
  std::vector<Choice> taken_;
  std::size_t at_ = 0;
};

struct Thread {
  enum class State : std::uint8_t { ready, waiting, done };
  std::function<void()> body;
  std::unique_ptr<sim::Fiber> fiber;
  State state = State::ready;
  const Location* waits_at = nullptr;
  Clock clock{};
};

class Execution {
 public:
  Execution(const ExploreOptions& options, Choices& choices, bool traces)
      : preemptions_(options.preemptions),
        most_steps_(options.most_steps),
        choices_(choices),
        traces_(traces) {}

  void run(Program program);

  // Of the running thread.
  Thread& self() { return threads_[static_cast<std::size_t>(now_)]; }
  int index() const { return now_; }
  bool running() const { return now_ >= 0; }
  int choose(int count) { return choices_.choose(count); }
  void before_step();
  void wait_at(const Location& at);
  void wake(const Location& at);
  [[noreturn]] void fail(std::string what);
  // Arguments are evaluated in any case, so they are cheap.
  template <class... Arguments>
  void trace(fmt::format_string<Arguments...> text, Arguments&&... arguments) {
    if (!traces_) return;
    steps_ +=
        fmt::format("  {}: {}\n", now_, fmt::format(text, std::forward<Arguments>(arguments)...));
  }

  // Of an atomic, in the order of their first use.
  std::size_t number_of(const Location& at) {
    const auto found = std::find(named_.begin(), named_.end(), &at);
    if (found != named_.end()) return static_cast<std::size_t>(found - named_.begin());
    named_.push_back(&at);
    return named_.size() - 1;
  }

  const std::string& finding() const { return finding_; }
  const std::string& steps() const { return steps_; }

 private:
  struct Failed {};
  static void fiber_body();
  std::vector<int> ready_others() const;
  int pick(const std::vector<int>& ready) {
    return ready[static_cast<std::size_t>(choices_.choose(static_cast<int>(ready.size())))];
  }
  std::string who_waits() const;

  int preemptions_, most_steps_;
  Choices& choices_;
  bool traces_;
  std::vector<Thread> threads_;
  int now_ = -1, next_ = -1, count_ = 0;
  std::vector<const Location*> named_;
  std::string finding_, steps_;
};

thread_local Execution* g_execution = nullptr;
thread_local std::vector<std::unique_ptr<sim::Fiber>> g_idle;  // whose thread is done

void Execution::fiber_body() {
  for (;;) {
    Thread& me = g_execution->self();
    try {
      me.body();
    } catch (const Failed&) {
    } catch (const std::exception& error) {
      g_execution->finding_ = fmt::format("thread {} throws: {}", g_execution->now_, error.what());
    }
    me.state = Thread::State::done;
    me.fiber->suspend();
  }
}

std::vector<int> Execution::ready_others() const {
  std::vector<int> ready;
  for (int i = 0; i < static_cast<int>(threads_.size()); ++i) {
    const bool can = threads_[static_cast<std::size_t>(i)].state == Thread::State::ready;
    if (can && i != now_) ready.push_back(i);
  }
  return ready;
}

void Execution::run(Program program) {
  for (auto& body : program.threads) {
    Thread& thread = threads_.emplace_back();
    thread.body = std::move(body);
    if (g_idle.empty()) {
      thread.fiber = std::make_unique<sim::Fiber>(fiber_body);
    } else {
      thread.fiber = std::move(g_idle.back());
      g_idle.pop_back();
    }
  }
  g_execution = this;
  next_ = -1;
  while (finding_.empty()) {
    if (next_ < 0) {
      now_ = -1;
      const std::vector<int> ready = ready_others();
      if (ready.empty()) break;
      next_ = pick(ready);
    }
    now_ = std::exchange(next_, -1);
    self().fiber->resume();
  }
  now_ = -1;
  const auto done = [](const Thread& t) { return t.state == Thread::State::done; };
  if (finding_.empty() && !std::all_of(threads_.begin(), threads_.end(), done)) {
    finding_ = "deadlock: " + who_waits();
  }
  if (finding_.empty() && program.after) {
    try {
      program.after();
    } catch (const Failed&) {
    }
  }
  for (Thread& thread : threads_) {
    if (done(thread)) g_idle.push_back(std::move(thread.fiber));
  }
  threads_.clear();  // unwinds the others
  g_execution = nullptr;
}

std::string Execution::who_waits() const {
  std::string text;
  for (std::size_t i = 0; i < threads_.size(); ++i) {
    if (threads_[i].state != Thread::State::done) text += fmt::format("thread {} waits; ", i);
  }
  return text;
}

void Execution::before_step() {
  if (++count_ > most_steps_) fail(fmt::format("more than {} steps: an endless loop", most_steps_));
  if (preemptions_ > 0) {
    std::vector<int> ready = ready_others();
    ready.insert(ready.begin(), now_);
    const int chosen = pick(ready);
    if (chosen != now_) {
      --preemptions_;
      next_ = chosen;
      self().fiber->suspend();
    }
  }
  ++self().clock[static_cast<std::size_t>(now_)];
}

void Execution::wait_at(const Location& at) {
  self().waits_at = &at;
  self().state = Thread::State::waiting;
  self().fiber->suspend();
}
void Execution::wake(const Location& at) {
  for (Thread& thread : threads_) {
    if (thread.state != Thread::State::waiting || thread.waits_at != &at) continue;
    thread.state = Thread::State::ready;
  }
}

void Execution::fail(std::string what) {
  finding_ = std::move(what);
  throw Failed{};
}

bool acquires(std::memory_order order) {
  return order == std::memory_order_acquire || order == std::memory_order_acq_rel ||
         order == std::memory_order_seq_cst;
}
bool releases(std::memory_order order) {
  return order == std::memory_order_release || order == std::memory_order_acq_rel ||
         order == std::memory_order_seq_cst;
}

void join(Clock& clock, const Clock& other) {
  for (std::size_t i = 0; i < clock.size(); ++i) clock[i] = std::max(clock[i], other[i]);
}
bool knows(const Clock& clock, int thread, std::uint32_t step) {
  return thread < 0 || clock[static_cast<std::size_t>(thread)] >= step;
}

// Outside of all threads there is one order.
bool alone() { return g_execution == nullptr || !g_execution->running(); }

std::size_t me() { return static_cast<std::size_t>(g_execution->index()); }

void see(Location& at, std::size_t which, std::memory_order order) {
  at.seen[me()] = which;
  if (acquires(order)) join(g_execution->self().clock, at.stores[which].released);
}

// The oldest store that a load may see.
std::size_t oldest(const Location& at) {
  const Clock& clock = g_execution->self().clock;
  std::size_t low = at.stores.size() - 1;
  while (low > at.seen[me()] && !knows(clock, at.stores[low].thread, at.stores[low].step)) --low;
  return low;
}

void append(Location& at, std::uint64_t value, const Clock& released) {
  const auto step = g_execution->self().clock[me()];
  at.stores.push_back({value, g_execution->index(), step, released});
  at.seen[me()] = at.stores.size() - 1;
}

}  // namespace

std::uint64_t load(Location& at, std::memory_order order) {
  if (alone()) return at.stores.back().value;
  g_execution->before_step();
  const std::size_t last = at.stores.size() - 1;
  const auto back = g_execution->choose(static_cast<int>(last - oldest(at)) + 1);
  const std::size_t which = last - static_cast<std::size_t>(back);
  see(at, which, order);
  const std::uint64_t value = at.stores[which].value;
  g_execution->trace("sees {} in atomic {}", value, g_execution->number_of(at));
  return value;
}

void store(Location& at, std::uint64_t value, std::memory_order order) {
  if (alone()) {
    at.stores.push_back({value});
    return;
  }
  g_execution->before_step();
  append(at, value, releases(order) ? g_execution->self().clock : Clock{});
  g_execution->trace("stores {} in atomic {}", value, g_execution->number_of(at));
}

std::uint64_t modify(Location& at, std::memory_order order,
                     const std::function<bool(std::uint64_t&)>& change) {
  std::uint64_t value = at.stores.back().value;
  if (alone()) {
    const std::uint64_t old = value;
    if (change(value)) at.stores.push_back({value});
    return old;
  }
  g_execution->before_step();
  const std::size_t last = at.stores.size() - 1;
  const std::uint64_t old = value = at.stores[last].value;
  see(at, last, order);
  // Whoever acquires this also acquires what the old value released.
  Clock released = at.stores[last].released;
  if (releases(order)) join(released, g_execution->self().clock);
  if (change(value)) append(at, value, released);
  g_execution->trace("makes {} of {} in atomic {}", value, old, g_execution->number_of(at));
  return old;
}

void wait(Location& at, std::uint64_t old) {
  for (;;) {
    g_execution->before_step();
    if (at.stores.back().value != old) break;
    g_execution->trace("waits for atomic {}", g_execution->number_of(at));
    g_execution->wait_at(at);
  }
  at.seen[me()] = at.stores.size() - 1;
}

void notify_all(Location& at) {
  if (alone()) return;
  g_execution->before_step();
  g_execution->wake(at);
}

// Between two steps of a thread it is the next one that tells others of an access.
void note_read(Accesses& at) {
  if (alone()) return;
  const Clock& clock = g_execution->self().clock;
  if (at.writer != g_execution->index() && !knows(clock, at.writer, at.written)) {
    g_execution->fail(fmt::format("race: thread {} reads what thread {} writes", me(), at.writer));
  }
  at.read[me()] = clock[me()] + 1;
}

void note_write(Accesses& at) {
  if (alone()) return;
  const Clock& clock = g_execution->self().clock;
  for (int i = 0; i < kMostThreads; ++i) {
    if (i != g_execution->index() && !knows(clock, i, at.read[static_cast<std::size_t>(i)])) {
      g_execution->fail(fmt::format("race: thread {} writes what thread {} reads", me(), i));
    }
  }
  if (at.writer != g_execution->index() && !knows(clock, at.writer, at.written)) {
    g_execution->fail(fmt::format("race: threads {} and {} write", at.writer, me()));
  }
  at.writer = g_execution->index();
  at.written = clock[me()] + 1;
}

void check(bool condition, const char* what) {
  if (!condition) g_execution->fail(what);
}

Verdict explore(const ExploreOptions& options, const std::function<Program()>& make) {
  Choices choices;
  Verdict verdict;
  do {
    Execution execution(options, choices, false);
    execution.run(make());
    if (++verdict.executions > options.most_executions) {
      throw std::runtime_error(fmt::format(
          "explore: more than {} executions: make the program smaller", options.most_executions));
    }
    if (execution.finding().empty()) continue;
    choices.rewind();
    Execution again(options, choices, true);
    again.run(make());
    verdict.finding = again.finding();
    verdict.steps = again.steps();
    return verdict;
  } while (choices.next());
  return verdict;
}

}  // namespace convoy::testing
