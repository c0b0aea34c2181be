#include "base/memory_info.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <optional>
#include <sstream>
#include <vector>

#include "base/error.h"

namespace hadal {
namespace {

namespace fs = std::filesystem;

/// A file with one number; "max", and files that are not there, are none.
std::optional<std::int64_t> read_number(const fs::path& path) {
  std::ifstream file(path);
  std::int64_t value = 0;
  if (file >> value) return value;
  return std::nullopt;
}

constexpr std::int64_t kKilo = 1024;

/// The number after `key` in lines of "key number ...".
std::optional<std::int64_t> read_field(const fs::path& path, std::string_view key) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string name;
    std::int64_t value = 0;
    if (words >> name >> value && name == key) return value;
  }
  return std::nullopt;
}

struct Group {
  fs::path folder;   // of the mounted hierarchy
  std::string name;  // of the group of this process
  const char *limit, *usage, *cache;
};

/// The hierarchies that limit memory.
std::vector<Group> groups(const fs::path& root) {
  std::vector<Group> result;
  std::ifstream file(root / "proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {  // number:controllers:name
    const std::size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = str_cat(",", line.substr(first + 1, second - first - 1), ",");
    const std::string name = line.substr(second + 1);
    if (controllers == ",,")
      result.push_back({root / "sys/fs/cgroup", name, "memory.max", "memory.current", "inactive_file"});
    else if (controllers.find(",memory,") != std::string::npos)
      result.push_back({root / "sys/fs/cgroup/memory", name, "memory.limit_in_bytes", "memory.usage_in_bytes",
                        "total_inactive_file"});
  }
  return result;
}

}  // namespace

MemoryInfo memory_info(const fs::path& root) {
  MemoryInfo info;
  info.total = read_field(root / "proc/meminfo", "MemTotal:").value_or(0) * kKilo;
  info.available = read_field(root / "proc/meminfo", "MemAvailable:").value_or(info.total / kKilo) * kKilo;
  for (const Group& group : groups(root))
    // A group is limited by all above it. Inside a container the name may lead outside of what is mounted; the mount
    // itself is the group then.
    for (fs::path name = fs::path(group.name).relative_path();; name = name.parent_path()) {
      const fs::path folder = name.empty() ? group.folder : group.folder / name;
      const std::optional<std::int64_t> limit = read_number(folder / group.limit);
      if (limit && *limit < info.total) {
        const std::int64_t used =
            read_number(folder / group.usage).value_or(0) - read_field(folder / "memory.stat", group.cache).value_or(0);
        const std::int64_t left = std::max<std::int64_t>(0, *limit - used);
        if (left < info.available) {
          info.available = left;
          info.limited_by = str_cat("cgroup /", name.string());
        }
      }
      if (name.empty()) break;
    }
  return info;
}

ProcessMemory process_memory() {
  constexpr const char* kStatus = "/proc/self/status";
  return {read_field(kStatus, "VmRSS:").value_or(0) * kKilo, read_field(kStatus, "VmHWM:").value_or(0) * kKilo};
}

std::int64_t parse_bytes(std::string_view text, std::string_view what) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const std::string_view unit(end, static_cast<std::size_t>(text.data() + text.size() - end));
  constexpr std::string_view kUnits = "KMGT";
  const std::size_t power = unit.empty() ? 0 : kUnits.find(unit[0]) + 1;
  const bool known = unit.empty() || (unit.size() == 1 && power > 0);
  double bytes = value;
  for (std::size_t i = 0; known && i < power; ++i) bytes *= 1024;
  HADAL_CHECK(error == std::errc() && known && bytes >= 0 && bytes < 0x1p62, what, ": got \"", text,
              "\", want bytes, as 8000000000, 512M or 7.5G");
  return static_cast<std::int64_t>(bytes);
}

std::string bytes_text(std::int64_t bytes) {
  const auto value = static_cast<double>(bytes);
  if (bytes >= std::int64_t{1} << 30) return fmt::format("{:.2f} GB", value / 0x1p30);
  if (bytes >= std::int64_t{1} << 20) return fmt::format("{:.1f} MB", value / 0x1p20);
  return fmt::format("{:.1f} KB", value / 0x1p10);
}

}  // namespace hadal
