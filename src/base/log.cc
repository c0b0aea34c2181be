#include "base/log.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <mutex>
#include <string>

namespace hadal {
namespace {

constexpr std::array<std::string_view, 5> kNames = {"debug", "info", "warning", "error", "off"};

std::atomic<LogLevel> lowest{LogLevel::kInfo};
std::mutex mutex;    // guards stderr and `status`
std::string status;  // what show_status keeps on the screen

void put(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stderr);
}

}  // namespace

LogLevel parse_log_level(std::string_view name) {
  for (std::size_t i = 0; i < kNames.size(); ++i)
    if (kNames[i] == name) return static_cast<LogLevel>(i);
  fail("log level: got \"", name, "\", want debug|info|warning|error|off");
}

void set_log_level(LogLevel level) {
  lowest = level;
}

bool log_enabled(LogLevel level) {
  return level >= lowest.load(std::memory_order_relaxed);
}

void log_line(LogLevel level, std::string_view text) {
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  localtime_r(&now, &local);
  std::string line = fmt::format("{:02}:{:02}:{:02} ", local.tm_hour, local.tm_min, local.tm_sec);
  if (level != LogLevel::kInfo) line += fmt::format("{}: ", kNames.at(static_cast<std::size_t>(level)));
  line += text;
  line += '\n';
  const std::lock_guard lock(mutex);
  if (!status.empty()) put("\r\x1b[K");
  put(line);
  if (!status.empty()) put(status);
  std::fflush(stderr);
}

bool log_is_terminal() {
  const char* term = std::getenv("TERM");
  return isatty(STDERR_FILENO) == 1 && term != nullptr && std::string_view(term) != "dumb";
}

int log_columns() {
  winsize size{};
  return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

void show_status(std::string_view line) {
  const std::lock_guard lock(mutex);
  if (line.empty() && status.empty()) return;
  status = line;
  put("\r\x1b[K");
  put(status);
  std::fflush(stderr);
}

}  // namespace hadal
