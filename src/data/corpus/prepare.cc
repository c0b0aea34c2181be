#include "data/corpus/prepare.h"

#include <optional>
#include <unordered_set>

#include "base/file.h"
#include "base/log.h"
#include "base/options.h"
#include "base/progress.h"
#include "data/corpus/content_hash.h"
#include "data/corpus/text_reader.h"
#include "data/tokenizer/presets.h"
#include "formats/tokenizer_json.h"

namespace hadal {
namespace {

namespace fs = std::filesystem;

// Part of the cache key: to be raised whenever the same inputs give another result.
constexpr int kPrepareVersion = 1;

std::string hash_of_text(std::string_view text) {
  ContentHash hash;
  hash.add(text);
  return hash.hex();
}

/// Of the options, the bytes of all input files and the tokenizer, not of their paths.
std::string cache_key(CorpusOptions options, const std::optional<TokenizerFiles>& tokenizer) {
  ContentHash hash;
  hash.add(str_cat("version ", kPrepareVersion));
  for (const std::string& input : options.inputs) {
    hash.add("input");
    for (const TextFile& file : find_text_files(input)) {
      hash.add(str_cat("format ", static_cast<int>(file.format)));
      hash.add_file(file.path);
    }
  }
  if (tokenizer) hash.add(tokenizer_json(tokenizer->spec) + tokenizer_config_json(tokenizer->config));
  const bool has_tokenizer = !options.tokenizer.empty();
  options.inputs.clear();
  options.tokenizer.clear();
  if (has_tokenizer) options.train = {};  // of no effect then
  hash.add(json_line(OptionTable(options).to_json()));
  return hash.hex();
}

/// What an earlier call left in the folder, when it is whole and has the same key.
std::optional<PreparedCorpus> find_prepared(const fs::path& folder, const std::string& key) {
  if (!fs::exists(folder / "manifest.json")) return std::nullopt;
  try {
    const Json manifest = read_json_file(folder / "manifest.json");
    ObjectReader reader(manifest, (folder / "manifest.json").string());
    if (reader.get<std::string>("hash") != key) return std::nullopt;
    return PreparedCorpus{Tokenizer::load(folder / "tokenizer"),
                          TokenShard(folder / "tokens.shard"),
                          manifest.get_object(),
                          true,
                          {},
                          {}};
  } catch (const Error& e) {
    log_warning("data is prepared again: ", e.what());
    return std::nullopt;
  }
}

/// What `data prepare` left in a folder: plain documents in one shard, or any number of shards with packed sequences.
PreparedCorpus open_prepared(const CorpusOptions& options) {
  const fs::path folder = options.prepared;
  HADAL_CHECK(options.inputs.empty(), "data: prepared is ", options.prepared, ", so inputs must be empty");
  const std::string where = (folder / "manifest.json").string();
  const Json manifest = read_json_file(folder / "manifest.json");
  ObjectReader reader(manifest, where);
  const auto kind = reader.object("options").object("pack").get<std::string>("kind");
  const bool plain = kind == "none";
  std::vector<std::string> shards, validation;
  const Json& list = reader.value("shards");
  if (!list.is_array()) reader.reject("shards", "a list");
  for (const Json& entry : list.get_array()) {
    ObjectReader shard(entry, where, "shards");
    const bool train = shard.get<std::string>("split") == "train";
    HADAL_CHECK(train || !plain, where,
                ": has validation shards, want pack.validation_share 0: the loader takes its share by itself");
    (train ? shards : validation).push_back(shard.get<std::string>("file"));
  }
  HADAL_CHECK(!shards.empty() && (shards.size() == 1 || !plain), where, ": ", shards.size(),
              " shards of plain documents, want 1; raise pack.shard_tokens");
  Tokenizer tokenizer = Tokenizer::load(folder / "tokenizer");
  HADAL_CHECK(options.tokenizer.empty() || tokenizer_json(load_tokenizer_files(options.tokenizer).spec) ==
                                               tokenizer_json(tokenizer.files().spec),
              where, ": its tokenizer is not ", options.tokenizer);
  JsonObject told{{"hash", reader.get<std::string>("key")},
                  {"inputs", JsonArray{Json(options.prepared)}},
                  {"documents", 0},
                  {"tokens", 0},
                  {"tokenizer", JsonObject{{"path", (folder / "tokenizer").string()},
                                           {"hash", reader.object("tokenizer").get<std::string>("hash")},
                                           {"vocab_size", tokenizer.vocab_size()}}}};
  PreparedCorpus corpus{std::move(tokenizer), TokenShard(folder / shards.front()), std::move(told), true, {}, {}};
  std::int64_t documents = corpus.shard.num_documents(), tokens = corpus.shard.num_tokens();
  if (!plain) {
    documents = tokens = 0;
    for (const std::string& file : shards) {
      corpus.packed.emplace_back(folder / file);
      documents += corpus.packed.back().num_documents(), tokens += corpus.packed.back().num_tokens();
    }
    for (const std::string& file : validation) corpus.packed_validation.emplace_back(folder / file);
  }
  corpus.manifest["documents"] = documents;
  corpus.manifest["tokens"] = tokens;
  return corpus;
}

struct Documents {
  std::vector<std::string> texts;
  TextReadCounts counts;
  std::int64_t duplicates = 0;
};

Documents read_all(const CorpusOptions& options) {
  Documents documents;
  std::unordered_set<std::string> seen;
  const TextReadOptions read_options{.text_field = options.text_field, .separator = options.separator};
  for (const std::string& input : options.inputs)
    read_documents(input, read_options, documents.counts, [&](std::string&& text) {
      if (options.deduplicate && !seen.insert(hash_of_text(text)).second) {
        ++documents.duplicates;
      } else {
        documents.texts.push_back(std::move(text));
      }
    });
  HADAL_CHECK(!documents.texts.empty(), "data: no document in ", fmt::format("{}", fmt::join(options.inputs, ", ")));
  if (documents.counts.bad_documents > 0)
    log_warning("data: ", documents.counts.bad_documents,
                " lines could not be used; the first: ", documents.counts.first_bad);
  return documents;
}

TokenizerFiles train_on(ThreadPool& pool, const Documents& documents, const TokenizerTrainOptions& options) {
  const std::vector<std::string_view> views(documents.texts.begin(), documents.texts.end());
  WordCounter counter(preset_splits(options.preset));
  counter.add(pool, views);
  Progress progress("tokenizer", options.vocab_size, "id");
  TokenizerTrainResult result = train_tokenizer(
      counter.words(), options, [&](int done, int wanted) { progress.update(options.vocab_size - wanted + done); });
  if (result.num_unused > 0)
    log_warning("tokenizer: the text has pairs for ", result.num_merges, " merges only; ", result.num_unused,
                " ids stay reserved");
  return std::move(result.files);
}

}  // namespace

PreparedCorpus prepare_corpus(ThreadPool& pool, const CorpusOptions& options, const fs::path& folder) {
  if (!options.prepared.empty()) return open_prepared(options);
  HADAL_CHECK(!options.inputs.empty(), "data: inputs is empty, want files or folders of text");
  std::optional<TokenizerFiles> given;
  if (!options.tokenizer.empty()) given = load_tokenizer_files(options.tokenizer);
  const std::string key = cache_key(options, given);
  if (std::optional<PreparedCorpus> found = find_prepared(folder, key)) return *std::move(found);

  fs::create_directories(folder);
  fs::remove(folder / "manifest.json");  // from here on the folder is not whole
  const Documents documents = read_all(options);
  write_tokenizer_files(folder / "tokenizer", given ? *std::move(given) : train_on(pool, documents, options.train));
  Tokenizer tokenizer = Tokenizer::load(folder / "tokenizer");

  const std::vector<std::string_view> views(documents.texts.begin(), documents.texts.end());
  const std::vector<std::vector<int>> ids = tokenizer.encode_batch(pool, views);
  write_token_shard(folder / "tokens.shard", tokenizer.vocab_size(), ids);
  TokenShard shard(folder / "tokens.shard");

  std::int64_t text_bytes = 0;
  for (const std::string& text : documents.texts) text_bytes += static_cast<std::int64_t>(text.size());
  const TokenizerFiles& files = tokenizer.files();
  JsonObject manifest{{"hash", key},
                      {"inputs", JsonArray(options.inputs.begin(), options.inputs.end())},
                      {"files", documents.counts.files},
                      {"documents_read", documents.counts.documents},
                      {"bad_documents", documents.counts.bad_documents},
                      {"duplicates", documents.duplicates},
                      {"documents", shard.num_documents()},
                      {"bytes", text_bytes},
                      {"tokens", shard.num_tokens()},
                      {"bytes_per_token", static_cast<double>(text_bytes) / static_cast<double>(shard.num_tokens())},
                      {"tokenizer", JsonObject{{"path", (folder / "tokenizer").string()},
                                               {"hash", hash_of_text(tokenizer_json(files.spec))},
                                               {"vocab_size", tokenizer.vocab_size()}}}};
  write_file_atomically(folder / "manifest.json", json_pretty(manifest));
  return {std::move(tokenizer), std::move(shard), std::move(manifest), false, {}, {}};
}

}  // namespace hadal
