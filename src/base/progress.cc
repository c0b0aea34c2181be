#include "base/progress.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "base/log.h"

namespace hadal {
namespace {

constexpr double kBarSeconds = 0.1;      // redraws
constexpr double kSampleSeconds = 1.0;   // between samples of the rate
constexpr double kMemorySeconds = 30.0;  // over which the rate is smoothed

std::string rate_text(double rate, std::string_view unit) {
  if (rate <= 0) return "";
  if (rate < 0.1) return fmt::format("{:.1f} s/{}", 1.0 / rate, unit);
  return fmt::format("{} {}/s", rate < 100 ? fmt::format("{:.3g}", rate) : count_text(rate), unit);
}

std::string counts(const ProgressState& s) {
  if (s.total <= 0) return fmt::format("{} {}", count_text(static_cast<double>(s.done)), s.unit);
  return fmt::format("{}/{} {}", count_text(static_cast<double>(s.done)), count_text(static_cast<double>(s.total)),
                     s.unit);
}

// Rate and time, each with two spaces before it.
std::string speed(const ProgressState& s) {
  std::string text;
  if (const std::string rate = rate_text(s.rate, s.unit); !rate.empty()) text += "  " + rate;
  if (s.total > 0 && s.done >= s.total) {
    text += "  in " + clock_text(s.elapsed);
  } else if (s.total > 0 && s.rate > 0) {
    text += "  ETA " + clock_text(static_cast<double>(s.total - s.done) / s.rate);
  }
  return text;
}

double fraction(const ProgressState& s) {
  return s.total > 0 ? std::clamp(static_cast<double>(s.done) / static_cast<double>(s.total), 0.0, 1.0) : 0.0;
}

}  // namespace

std::string clock_text(double seconds) {
  const auto s = static_cast<std::int64_t>(std::clamp(std::round(seconds), 0.0, 1e9));
  return s < 3600 ? fmt::format("{}:{:02}", s / 60, s % 60)
                  : fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
}

std::string count_text(double count) {
  constexpr std::array<std::string_view, 5> kSuffixes = {"", "k", "M", "G", "T"};
  if (std::abs(count) < 10000) return fmt::format("{:.0f}", count);
  std::size_t power = 0;
  // 999.95 would be printed as 1000.0.
  while (std::abs(count) >= 999.95 && power + 1 < kSuffixes.size()) count /= 1000, ++power;
  return fmt::format("{:.1f}{}", count, kSuffixes.at(power));
}

std::string progress_text(const ProgressState& s) {
  std::string text = fmt::format("{}  {}", s.title, counts(s));
  if (s.total > 0) text += fmt::format(" ({:.0f}%)", std::floor(100 * fraction(s)));
  text += speed(s);
  if (!s.note.empty()) text += fmt::format("  {}", s.note);
  return text;
}

std::string progress_bar(const ProgressState& s, int columns) {
  if (s.total <= 0) return progress_text(s).substr(0, static_cast<std::size_t>(std::max(columns, 0)));
  const std::string head = fmt::format("{} {:3.0f}% ", s.title, std::floor(100 * fraction(s)));
  std::string tail = " " + counts(s) + speed(s);
  if (!s.note.empty()) tail += fmt::format("  {}", s.note);
  const int room = std::min(columns - static_cast<int>(head.size() + tail.size()) - 2, 30);
  std::string bar;
  if (room >= 5) {
    const int full = static_cast<int>(fraction(s) * room);
    bar = fmt::format("[{:#<{}}{:-<{}}]", "", full, "", room - full);
  }
  return (head + bar + tail).substr(0, static_cast<std::size_t>(std::max(columns, 0)));
}

Progress::Progress(std::string title, std::int64_t total, std::string unit, std::int64_t done_before,
                   double plain_seconds)
    : title_(std::move(title)),
      unit_(std::move(unit)),
      total_(total),
      done_(done_before),
      done_before_(done_before),
      plain_seconds_(plain_seconds),
      terminal_(log_is_terminal()),
      start_(Clock::now()),
      drawn_at_(start_),
      sampled_at_(start_),
      sampled_done_(done_before) {}

Progress::~Progress() {
  finish();
}

double Progress::rate(Clock::time_point now) {
  const double seconds = std::chrono::duration<double>(now - sampled_at_).count();
  const double elapsed = std::chrono::duration<double>(now - start_).count();
  if (elapsed < kMemorySeconds) return elapsed > 0 ? static_cast<double>(done_ - done_before_) / elapsed : 0.0;
  if (rate_ == 0.0) rate_ = static_cast<double>(done_ - done_before_) / elapsed;
  if (seconds >= kSampleSeconds) {
    const double share = 1.0 - std::exp(-seconds / kMemorySeconds);
    rate_ += share * (static_cast<double>(done_ - sampled_done_) / seconds - rate_);
    sampled_at_ = now;
    sampled_done_ = done_;
  }
  return rate_;
}

void Progress::update(std::int64_t done, std::string_view note) {
  if (finished_) return;
  done_ = done;
  note_ = note;
  const Clock::time_point now = Clock::now();
  const double speed_now = rate(now);
  const double quiet = std::chrono::duration<double>(now - drawn_at_).count();
  if (drawn_ && quiet < (terminal_ ? kBarSeconds : plain_seconds_)) return;
  drawn_ = true;
  drawn_at_ = now;
  const ProgressState state{.title = title_,
                            .done = done_,
                            .total = total_,
                            .unit = unit_,
                            .rate = speed_now,
                            .elapsed = std::chrono::duration<double>(now - start_).count(),
                            .note = note_};
  if (terminal_)
    show_status(progress_bar(state, log_columns() - 1));
  else
    log_info(progress_text(state));
}

void Progress::finish() {
  if (std::exchange(finished_, true)) return;
  if (terminal_) show_status("");
  const double elapsed = std::chrono::duration<double>(Clock::now() - start_).count();
  log_info(progress_text({.title = title_,
                          .done = done_,
                          .total = total_,
                          .unit = unit_,
                          .rate = elapsed > 0 ? static_cast<double>(done_ - done_before_) / elapsed : 0.0,
                          .elapsed = elapsed,
                          .note = note_}));
}

}  // namespace hadal
