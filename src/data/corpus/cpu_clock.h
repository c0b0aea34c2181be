#pragma once
// Processor time, which says what work costs whatever else the machine does.
#include <ctime>

namespace hadal {

inline double cpu_seconds(clockid_t clock) {
  timespec now{};
  ::clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}
/// Of the calling thread.
inline double thread_cpu_seconds() {
  return cpu_seconds(CLOCK_THREAD_CPUTIME_ID);
}
/// Of all threads of the process together.
inline double process_cpu_seconds() {
  return cpu_seconds(CLOCK_PROCESS_CPUTIME_ID);
}

/// Seconds since the last lap, or since it was made.
class CpuStopwatch {
 public:
  explicit CpuStopwatch(double (*now)()) : now_(now), begin_(now()) {}
  double lap() {
    const double now = now_(), seconds = now - begin_;
    begin_ = now;
    return seconds;
  }

 private:
  double (*now_)();
  double begin_;
};

}  // namespace hadal
