#pragma once
// Progress of long work, on stderr: a bar that redraws itself on a terminal, a plain line now and then elsewhere.
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace hadal {

/// What one line of progress shows.
struct ProgressState {
  std::string_view title;  // "pretrain"
  std::int64_t done = 0;   // units
  std::int64_t total = 0;  // units; 0: unknown
  std::string_view unit;   // "step", shown as "3.2 step/s"
  double rate = 0.0;       // units per second; 0: unknown
  double elapsed = 0.0;    // seconds
  std::string_view note;   // "loss 3.21  10.4k tok/s"
};

/// "pretrain  45% [#########-----------] 450/1000 step  3.2 step/s  ETA 2:51  loss 3.21", at most `columns` wide; the
/// bar gives way first, then the note.
std::string progress_bar(const ProgressState& state, int columns);
/// The same without a bar, for logs.
std::string progress_text(const ProgressState& state);
/// 75 -> "1:15", 3675 -> "1:01:15".
std::string clock_text(double seconds);
/// 1234 -> "1234", 12345 -> "12.3k", 2.5e9 -> "2.5G".
std::string count_text(double count);

/// Draws at most ten bars or one plain line per `plain_seconds`. Not thread-safe.
class Progress {
 public:
  using Clock = std::chrono::steady_clock;

  /// `done_before`: units that an earlier, resumed process did; they count as done but not for the rate.
  Progress(std::string title, std::int64_t total, std::string unit, std::int64_t done_before = 0,
           double plain_seconds = 10.0);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// `done`: units finished, with done_before. `note` is shown at the end of the line.
  void update(std::int64_t done, std::string_view note = {});
  /// Removes the bar and logs a last line. Called by the destructor too.
  void finish();

 private:
  double rate(Clock::time_point now);

  std::string title_, unit_, note_;
  std::int64_t total_, done_, done_before_;
  double plain_seconds_;
  bool terminal_, finished_ = false, drawn_ = false;
  Clock::time_point start_, drawn_at_, sampled_at_;
  std::int64_t sampled_done_;
  double rate_ = 0.0;  // smoothed over about the last half minute
};

}  // namespace hadal
