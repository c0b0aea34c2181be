#pragma once
// manifest.json of a run folder: all that is needed to say what a run was, and to run it again.
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/json.h"

namespace hadal {

/// What a run starts with. Hashes are "xxh3:..." or "sha256:..." texts as the data side makes them.
struct RunManifest {
  std::string verb;    // "pretrain"
  JsonObject options;  // all of them, as OptionTable::to_json gives them
  std::int64_t seed = 0;
  int threads = 0;       // in use
  JsonObject model;      // the config.json of the model; may be empty
  JsonObject data;       // {"path": ..., "hash": ..., "tokens": ...}; free, but needs a "hash" when not empty
  JsonObject tokenizer;  // {"hash": ..., "vocab_size": ...}; RunFolder fills it in
};

/// Writes folder/manifest.json for a new run, atomically: the manifest and what the program knows of itself and the
/// machine (version, git hash, compiler, CPU, instruction set, memory, host, time). Throws Error.
void write_manifest(const std::filesystem::path& folder, const RunManifest& manifest);

/// Adds a run that continues at `step` to the manifest of the folder, under "sessions". Throws Error when the data or
/// the tokenizer are not those of the manifest (by hash), or there is no manifest; options that differ are logged and
/// noted.
void resume_manifest(const std::filesystem::path& folder, const RunManifest& manifest, std::int64_t step);

/// "a.b: 1 -> 2" for every value that differs between two option objects.
std::vector<std::string> option_changes(const JsonObject& before, const JsonObject& after);

/// "2026-08-14T09:30:00Z"
std::string now_utc();

}  // namespace hadal
