#pragma once
// The log: lines on stderr, "12:34:56 text" or "12:34:56 warning: text". Results never go through it; they are
// stdout's.
#include <cstdint>
#include <string_view>

#include "base/error.h"

namespace hadal {

enum class LogLevel : std::uint8_t { kDebug, kInfo, kWarning, kError, kOff };

/// debug|info|warning|error|off. Throws Error on another name.
LogLevel parse_log_level(std::string_view name);
/// Lines below `level` are dropped; kInfo at start. stderr belongs to the process, so this is the process's too.
void set_log_level(LogLevel level);
bool log_enabled(LogLevel level);

/// Writes one line, in one piece, from any thread.
void log_line(LogLevel level, std::string_view text);

template <class... Parts>
void log_debug(const Parts&... parts) {
  if (log_enabled(LogLevel::kDebug)) log_line(LogLevel::kDebug, str_cat(parts...));
}
template <class... Parts>
void log_info(const Parts&... parts) {
  if (log_enabled(LogLevel::kInfo)) log_line(LogLevel::kInfo, str_cat(parts...));
}
template <class... Parts>
void log_warning(const Parts&... parts) {
  if (log_enabled(LogLevel::kWarning)) log_line(LogLevel::kWarning, str_cat(parts...));
}
template <class... Parts>
void log_error(const Parts&... parts) {
  if (log_enabled(LogLevel::kError)) log_line(LogLevel::kError, str_cat(parts...));
}

/// Whether stderr is a terminal that can redraw a line.
bool log_is_terminal();
/// Columns of that terminal; 80 when unknown.
int log_columns();
/// Keeps `line` at the bottom of the terminal, below the log lines; empty removes it. Only when log_is_terminal().
void show_status(std::string_view line);

}  // namespace hadal
