#include "train/metrics.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>

#include "base/file.h"

namespace hadal {
namespace {

[[noreturn]] void fail_system(const std::filesystem::path& path, std::string_view what) {
  fail(path.string(), ": ", what, ": ", std::strerror(errno));
}

// The object of one line, when it is one that JsonLog writes.
std::optional<JsonObject> parse_line(std::string_view line) {
  Result<Json> value = try_parse_json(line, "line");
  if (!value.ok() || !value.value().is_object()) return std::nullopt;
  JsonObject& object = value.value().get_object();
  const Json* const step = object.if_contains("step");
  if (step == nullptr || !step->is_int64()) return std::nullopt;
  return std::move(object);
}

// Calls visit(object, end offset) for whole lines, until one is none or visit returns false.
template <class Visit>
void for_each_line(std::string_view text, Visit&& visit) {
  for (std::size_t begin = 0, end = 0; (end = text.find('\n', begin)) != std::string_view::npos; begin = end + 1) {
    std::optional<JsonObject> object = parse_line(text.substr(begin, end - begin));
    if (!object || !visit(*std::move(object), end + 1)) return;
  }
}

}  // namespace

JsonObject to_json(const StepMetrics& m) {
  return {{"step", m.step},
          {"tokens", m.tokens},
          {"loss", m.loss},
          {"main_loss", m.main_loss},
          {"mtp_loss", m.mtp_loss},
          {"balance_loss", m.balance_loss},
          {"lr", m.lr},
          {"grad_norm", m.grad_norm},
          {"tokens_per_second", m.tokens_per_second},
          {"max_violation", m.max_violation}};
}

JsonLog::JsonLog(std::filesystem::path path, std::optional<std::int64_t> keep_until) : path_(std::move(path)) {
  std::size_t kept = 0;
  if (keep_until && std::filesystem::exists(path_)) {
    for_each_line(read_file(path_), [&](const JsonObject& line, std::size_t end) {
      const std::int64_t step = line.at("step").get_int64();
      if (step > *keep_until) return false;
      kept = end, kept_ = std::max(kept_.value_or(step), step);
      return true;
    });
  }
  fd_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (fd_ < 0) fail_system(path_, "cannot be opened");
  if (::ftruncate(fd_, static_cast<off_t>(kept)) != 0) fail_system(path_, "cannot be cut");
}

JsonLog::~JsonLog() {
  if (fd_ >= 0) ::close(fd_);
}

JsonLog::JsonLog(JsonLog&& other) noexcept
    : path_(std::move(other.path_)), fd_(std::exchange(other.fd_, -1)), kept_(other.kept_) {}

void JsonLog::write(const JsonObject& line) {
  const Json* const step = line.if_contains("step");
  HADAL_CHECK(step != nullptr && step->is_int64(), path_.string(), ": a line needs an integer \"step\"");
  if (kept_ && step->get_int64() <= *kept_) return;
  const std::string text = json_line(line) + "\n";
  const off_t before = ::lseek(fd_, 0, SEEK_END);
  ssize_t written = 0;
  do {
    written = ::write(fd_, text.data(), text.size());
  } while (written < 0 && errno == EINTR);
  if (written == static_cast<ssize_t>(text.size())) return;
  const int reason = written < 0 ? errno : ENOSPC;
  if (before < 0 || ::ftruncate(fd_, before) != 0) fail_system(path_, "cannot be cut after a failed write");
  errno = reason;
  fail_system(path_, "cannot be written");
}

std::vector<JsonObject> read_json_log(const std::filesystem::path& path) {
  std::vector<JsonObject> lines;
  if (!std::filesystem::exists(path)) return lines;
  for_each_line(read_file(path), [&](JsonObject line, std::size_t) {
    lines.push_back(std::move(line));
    return true;
  });
  return lines;
}

}  // namespace hadal
