#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace hadal {

/// What this process may still use.
struct MemoryInfo {
  std::int64_t total = 0, available = 0;    // bytes; page cache that can be given up counts as available
  std::string limited_by = "this machine";  // or "cgroup /path"
};
/// The machine's memory, or what the tightest cgroup (v2 or v1) of this process leaves of it. `root`: where /proc and
/// /sys lie, for tests.
MemoryInfo memory_info(const std::filesystem::path& root = "/");

/// What this process holds now, and the most that it held so far; bytes.
struct ProcessMemory {
  std::int64_t resident = 0, peak = 0;
};
ProcessMemory process_memory();

/// "8000000000", "7.5G", "512M": units of 1024. Throws Error on anything else. `what` names the value in the message.
std::int64_t parse_bytes(std::string_view text, std::string_view what);
/// "7.45 GB", units of 1024.
std::string bytes_text(std::int64_t bytes);

}  // namespace hadal
