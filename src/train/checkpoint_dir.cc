#include "train/checkpoint_dir.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <string>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"

namespace hadal {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPrefix = "step-";
constexpr std::string_view kUnfinished = ".unfinished-";
constexpr std::string_view kRemoved = ".removed-";
// Left free beside the checkpoint: metrics, logs and other programs go on writing.
constexpr std::int64_t kMarginBytes = std::int64_t{64} << 20;

std::optional<std::int64_t> step_of(std::string_view name) {
  if (!name.starts_with(kPrefix)) return std::nullopt;
  name.remove_prefix(kPrefix.size());
  std::int64_t step = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), step);
  const bool canonical = !name.empty() && name[0] != '-' && (name[0] != '0' || name.size() == 1);
  if (error != std::errc() || end != name.data() + name.size() || !canonical) return std::nullopt;
  return step;
}

std::string name_of(std::int64_t step) {
  return fmt::format("{}{}", kPrefix, step);
}

[[noreturn]] void fail_system(const fs::path& path, std::string_view what) {
  fail(path.string(), ": ", what, ": ", std::strerror(errno));
}

void sync_file(const fs::path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) fail_system(path, "cannot be opened");
  const int status = ::fsync(fd);
  ::close(fd);
  if (status != 0) fail_system(path, "cannot be synced");
}

void sync_tree(const fs::path& folder) {
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder)) sync_file(entry.path());
  sync_file(folder);
}

// Both folders exist: they change places in one go, so that a whole step-N stands at each moment.
void replace_folder(const fs::path& from, const fs::path& to, const fs::path& removed) {
  if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_EXCHANGE) == 0) {
    fs::rename(from, removed);
    return;
  }
  // Some file systems cannot exchange; between the two renames the checkpoint before this one is the newest.
  if (errno != EINVAL && errno != ENOSYS) fail_system(to, "cannot be replaced");
  fs::rename(to, removed);
  fs::rename(from, to);
}

}  // namespace

std::vector<Checkpoint> list_checkpoints(const fs::path& folder) {
  std::vector<Checkpoint> found;
  if (!fs::is_directory(folder)) return found;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder))
    if (const auto step = step_of(entry.path().filename().string()); step && entry.is_directory())
      found.push_back({*step, entry.path()});
  std::ranges::sort(found, {}, &Checkpoint::step);
  return found;
}

std::optional<Checkpoint> latest_checkpoint(const fs::path& folder) {
  std::vector<Checkpoint> all = list_checkpoints(folder);
  if (all.empty()) return std::nullopt;
  return std::move(all.back());
}

CheckpointDir::CheckpointDir(fs::path folder, const CheckpointOptions& options, Probe probe)
    : folder_(std::move(folder)), options_(options), probe_(std::move(probe)) {
  HADAL_CHECK(options.every >= 0 && options.keep_last >= 0 && options.keep_every >= 0, "checkpoint: got every ",
              options.every, ", keep_last ", options.keep_last, ", keep_every ", options.keep_every,
              ", want 0 or more");
  fs::create_directories(folder_);
  const fs::path lock = folder_ / ".lock";
  lock_ = ::open(lock.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (lock_ < 0) fail_system(lock, "cannot be opened");
  if (::flock(lock_, LOCK_EX | LOCK_NB) != 0) {
    const int reason = errno;
    ::close(lock_);
    errno = reason;
    fail_system(folder_, "another process writes checkpoints here");
  }
  std::vector<fs::path> leftovers;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder_)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with(kUnfinished) || name.starts_with(kRemoved)) leftovers.push_back(entry.path());
  }
  for (const fs::path& leftover : leftovers) {
    log_info("removing ", leftover.string(), ", which a killed run left");
    fs::remove_all(leftover);
  }
}

CheckpointDir::~CheckpointDir() {
  ::close(lock_);
}

void CheckpointDir::probe(std::string_view moment) const {
  if (probe_) probe_(moment);
}

fs::path CheckpointDir::write(std::int64_t step, std::int64_t bytes,
                              const std::function<void(const fs::path& folder)>& fill) {
  HADAL_CHECK(step >= 0, "checkpoint: got step ", step);
  const std::int64_t free = free_disk_bytes(folder_);
  HADAL_CHECK(free >= bytes + kMarginBytes, folder_.string(), ": a checkpoint needs ", bytes >> 20, " MiB and ",
              kMarginBytes >> 20, " MiB of margin, the disk has ", free >> 20, " MiB left");
  const fs::path target = folder_ / name_of(step);
  const fs::path unfinished = folder_ / (std::string(kUnfinished) + name_of(step));
  fs::create_directory(unfinished);
  try {
    probe("created");
    fill(unfinished);
    probe("filled");
    sync_tree(unfinished);
    probe("synced");
    if (fs::exists(target)) {
      replace_folder(unfinished, target, folder_ / (std::string(kRemoved) + name_of(step)));
    } else {
      fs::rename(unfinished, target);
    }
  } catch (...) {
    std::error_code ignored;
    fs::remove_all(unfinished, ignored);
    throw;
  }
  probe("renamed");
  sync_folder(folder_);
  fs::remove_all(folder_ / (std::string(kRemoved) + name_of(step)));
  remove_old();
  return target;
}

void CheckpointDir::remove(const Checkpoint& checkpoint) {
  // Renamed first: a half-removed folder must not pass for a checkpoint.
  const fs::path removed = folder_ / (std::string(kRemoved) + name_of(checkpoint.step));
  fs::rename(checkpoint.path, removed);
  probe("removing");
  fs::remove_all(removed);
}

void CheckpointDir::remove_old() {
  if (options_.keep_last == 0) return;
  const std::vector<Checkpoint> all = list_checkpoints(folder_);
  const auto keep = static_cast<std::size_t>(options_.keep_last);
  for (std::size_t i = 0; i + keep < all.size(); ++i)
    if (options_.keep_every == 0 || all[i].step % options_.keep_every != 0) remove(all[i]);
}

void CheckpointDir::remove_after(std::int64_t step) {
  for (const Checkpoint& checkpoint : list_checkpoints(folder_))
    if (checkpoint.step > step) remove(checkpoint);
}

}  // namespace hadal
