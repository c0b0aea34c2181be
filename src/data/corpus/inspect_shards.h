#pragma once
// What token shards hold, for people: documents, borders, fill-in-the-middle.
#include <filesystem>
#include <string>
#include <vector>

#include "base/json.h"

namespace hadal {

struct ShardInspectOptions {
  std::filesystem::path path;       // a shard, or a folder with a manifest.json and shards/
  int documents = 3;                // documents to show of each shard
  std::filesystem::path tokenizer;  // empty: the one of the folder, or none
};

/// {"shards": [{"file", "vocab_size", "documents", "tokens", "sequences", "sequence_length", "sequence_fill",
/// "classes", "languages", "fim": {"psm", "spm"}, "continued", "show": [documents]}], "tokens"}. A shown document has
/// its place, class, language, what masks need (where its sequence and its document begin, so that attention may stop
/// there), the cuts of FIM, and, with a tokenizer, its parts as text. Throws Error when something is malformed.
JsonObject inspect_shards(const ShardInspectOptions& options);

/// The same for a terminal.
std::string shards_text(const JsonObject& found);

}  // namespace hadal
