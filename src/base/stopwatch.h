#pragma once
// How long something takes.
#include <chrono>

namespace hadal {

class Stopwatch {
 public:
  /// Seconds since it was made, or restarted.
  double seconds() const { return std::chrono::duration<double>(Clock::now() - begin_).count(); }
  void restart() { begin_ = Clock::now(); }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point begin_ = Clock::now();
};

}  // namespace hadal
