#include "train/manifest.h"

#include <unistd.h>

#include <array>
#include <chrono>
#include <ctime>

#include "base/build_info.h"
#include "base/cpu_info.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"

namespace hadal {
namespace {

constexpr const char* kFile = "manifest.json";

JsonObject program() {
  const BuildInfo& build = build_info();
  return {{"version", build.version},
          {"git_hash", build.git_hash},
          {"compiler", build.compiler},
          {"build_type", build.build_type}};
}

JsonObject machine(int threads) {
  const CpuInfo cpu = cpu_info();
  std::array<char, 256> host{};
  if (::gethostname(host.data(), host.size() - 1) != 0) host[0] = '\0';
  return {{"host", host.data()}, {"cpu", cpu.model_name},         {"cpus", cpu.num_cpus},
          {"threads", threads},  {"isa", isa_name(chosen_isa())}, {"memory_bytes", cpu.memory_bytes}};
}

JsonObject session(const RunManifest& manifest, std::int64_t step) {
  return {{"time", now_utc()}, {"step", step}, {"hadal", program()}, {"machine", machine(manifest.threads)}};
}

// Values that are not objects, as ("a.b", text).
void flatten(const JsonObject& object, const std::string& prefix,
             std::vector<std::pair<std::string, std::string>>& out) {
  for (const auto& [key, value] : object) {
    const std::string path = prefix + std::string(key);
    if (value.is_object())
      flatten(value.get_object(), path + ".", out);
    else
      out.emplace_back(path, json_line(value));
  }
}

std::string hash_of(const JsonObject& object) {
  const Json* const hash = object.if_contains("hash");
  return hash != nullptr && hash->is_string() ? std::string(hash->get_string()) : "";
}

void check_same_hash(const std::filesystem::path& path, std::string_view what, const JsonObject& before,
                     const JsonObject& now) {
  const std::string a = hash_of(before), b = hash_of(now);
  HADAL_CHECK(a == b, path.string(), ": ", what, ": the run began with hash \"", a, "\", got \"", b,
              "\"; a run resumes only on the same ", what);
}

JsonObject object_at(const JsonObject& object, std::string_view key) {
  const Json* const value = object.if_contains(key);
  return value != nullptr && value->is_object() ? value->get_object() : JsonObject();
}

}  // namespace

std::string now_utc() {
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  std::tm utc{};
  gmtime_r(&now, &utc);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text.data();
}

void write_manifest(const std::filesystem::path& folder, const RunManifest& m) {
  const JsonObject root = {{"verb", m.verb},
                           {"seed", m.seed},
                           {"data", m.data},
                           {"tokenizer", m.tokenizer},
                           {"model", m.model},
                           {"options", m.options},
                           {"sessions", JsonArray{session(m, 0)}}};
  std::filesystem::create_directories(folder);
  write_file_atomically(folder / kFile, json_pretty(root));
}

std::vector<std::string> option_changes(const JsonObject& before, const JsonObject& after) {
  std::vector<std::pair<std::string, std::string>> old_values, new_values;
  flatten(before, "", old_values);
  flatten(after, "", new_values);
  std::vector<std::string> changes;
  const auto find = [](const auto& values, const std::string& key) -> const std::string* {
    for (const auto& [name, value] : values)
      if (name == key) return &value;
    return nullptr;
  };
  for (const auto& [key, value] : new_values) {
    const std::string* const old_value = find(old_values, key);
    if (old_value == nullptr)
      changes.push_back(str_cat(key, ": (not set) -> ", value));
    else if (*old_value != value)
      changes.push_back(str_cat(key, ": ", *old_value, " -> ", value));
  }
  for (const auto& [key, value] : old_values)
    if (find(new_values, key) == nullptr) changes.push_back(str_cat(key, ": ", value, " -> (gone)"));
  return changes;
}

void resume_manifest(const std::filesystem::path& folder, const RunManifest& m, std::int64_t step) {
  const std::filesystem::path path = folder / kFile;
  Json value = read_json_file(path);
  HADAL_CHECK(value.is_object(), path.string(), ": got ", json_excerpt(value), ", want an object");
  JsonObject& root = value.get_object();
  check_same_hash(path, "data", object_at(root, "data"), m.data);
  if (const JsonObject before = object_at(root, "tokenizer"); !before.empty())
    check_same_hash(path, "tokenizer", before, m.tokenizer);
  JsonObject added = session(m, step);
  const std::vector<std::string> changes = option_changes(object_at(root, "options"), m.options);
  for (const std::string& change : changes) log_warning("resumed with another option: ", change);
  if (!changes.empty()) added["option_changes"] = JsonArray(changes.begin(), changes.end());
  Json& sessions = root["sessions"];
  if (!sessions.is_array()) sessions = JsonArray();
  sessions.get_array().push_back(std::move(added));
  root["options"] = m.options;
  write_file_atomically(path, json_pretty(value));
}

}  // namespace hadal
