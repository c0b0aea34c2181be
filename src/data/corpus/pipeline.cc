#include "data/corpus/pipeline.h"

#include <algorithm>
#include <optional>
#include <set>

#include "base/log.h"
#include "base/options.h"
#include "base/stopwatch.h"
#include "data/corpus/content_hash.h"
#include "data/corpus/cpu_clock.h"
#include "data/corpus/data_report.h"
#include "data/corpus/manifest.h"
#include "data/corpus/shard_stage.h"
#include "data/tokenizer/presets.h"
#include "formats/tokenizer_json.h"

namespace hadal {
namespace {

namespace fs = std::filesystem;

// Part of the key: to be raised whenever the same inputs give another result.
constexpr int kPipelineVersion = 1;

void check(DataPrepareOptions& o) {
  HADAL_CHECK(!o.sources.empty(), "data prepare: sources is empty, want at least one with inputs");
  HADAL_CHECK(o.sources.size() <= 256, "data prepare: ", o.sources.size(), " sources, want at most 256");
  std::set<std::string> names;
  for (std::size_t s = 0; s < o.sources.size(); ++s) {
    SourceOptions& source = o.sources[s];
    if (source.name.empty()) source.name = str_cat("source-", s);
    HADAL_CHECK(!source.inputs.empty(), "data prepare: sources[", s, "].inputs is empty");
    HADAL_CHECK(!source.text_field.empty(), "data prepare: sources[", s, "].text_field is empty");
    HADAL_CHECK(names.insert(source.name).second, "data prepare: two sources are called \"", source.name, "\"");
  }
  const auto share = [](double v, const char* name) {
    HADAL_CHECK(v >= 0 && v <= 1, "data prepare: ", name, " is ", v, ", want 0 to 1");
  };
  share(o.fim.rate, "fim.rate");
  share(o.fim.spm_share, "fim.spm_share");
  share(o.pack.validation_share, "pack.validation_share");
  HADAL_CHECK(o.pack.sequence_length >= 2 && o.pack.shard_tokens >= 1 && o.memory_mb >= 1 && o.samples >= 0,
              "data prepare: sequence_length ", o.pack.sequence_length, ", shard_tokens ", o.pack.shard_tokens,
              ", memory_mb ", o.memory_mb, ", samples ", o.samples, ": too small");
  HADAL_CHECK(o.max_document_bytes >= 64 && o.max_document_bytes <= (std::int64_t{1} << 28),
              "data prepare: max_document_bytes ", o.max_document_bytes, ", want 64 to 2^28");
  HADAL_CHECK(
      o.pack.kind != "none" || o.fim.rate == 0,
      "data prepare: fim.rate needs pack.kind concatenate or best_fit; the loader makes FIM of plain documents");
}

std::vector<SourceFiles> find_sources(const DataPrepareOptions& options) {
  std::vector<SourceFiles> sources;
  for (const SourceOptions& source : options.sources) {
    SourceFiles& found = sources.emplace_back();
    for (const std::string& input : source.inputs)
      for (TextFile& file : find_text_files(input)) {
        found.bytes.push_back(static_cast<std::int64_t>(fs::file_size(file.path)));
        found.files.push_back(std::move(file));
      }
  }
  return sources;
}

/// One hash for each file of all sources.
std::vector<std::vector<std::string>> hash_files(ThreadPool& pool, const std::vector<SourceFiles>& sources) {
  std::vector<std::vector<std::string>> hashes;
  for (const SourceFiles& source : sources) {
    std::vector<std::string>& of_source = hashes.emplace_back(source.files.size());
    pool.parallel_for(static_cast<index_t>(source.files.size()), [&](index_t f, int) {
      ContentHash hash;
      hash.add_file(source.files[static_cast<std::size_t>(f)].path);
      of_source[static_cast<std::size_t>(f)] = hash.hex();
    });
  }
  return hashes;
}

std::string tokenizer_hash(const TokenizerFiles& files) {
  ContentHash hash;
  hash.add(tokenizer_json(files.spec) + tokenizer_config_json(files.config));
  return hash.hex();
}

/// Of everything that the result depends on: contents of files, not their paths; not threads or memory.
std::string key_of(DataPrepareOptions options, const std::vector<SourceFiles>& sources,
                   const std::vector<std::vector<std::string>>& hashes,
                   const std::optional<TokenizerFiles>& tokenizer) {
  ContentHash key;
  key.add(str_cat("version ", kPipelineVersion));
  for (std::size_t s = 0; s < sources.size(); ++s)
    for (std::size_t f = 0; f < hashes[s].size(); ++f)
      key.add(str_cat(s, " ", static_cast<int>(sources[s].files[f].format), " ",
                      static_cast<int>(compression_of(sources[s].files[f].path)), " ", hashes[s][f]));
  for (const std::string& input : options.decontaminate.files)
    for (const TextFile& file : find_text_files(input)) key.add_file(file.path);
  if (tokenizer) key.add(tokenizer_hash(*tokenizer));
  if (tokenizer) options.train = {};  // of no effect then
  for (SourceOptions& source : options.sources) source.inputs.clear();
  options.decontaminate.files.clear();
  options.out.clear();
  options.tokenizer.clear();
  options.threads = 0;
  options.memory_mb = 0;
  options.keep_work = false;
  key.add(json_line(OptionTable(options).to_json()));
  return key.hex();
}

/// The manifest of an earlier call with the same key, when its shards are whole.
std::optional<JsonObject> find_prepared(const fs::path& out, const std::string& key) {
  if (!fs::exists(out / "manifest.json")) return std::nullopt;
  try {
    const Json manifest = read_json_file(out / "manifest.json");
    ObjectReader reader(manifest, (out / "manifest.json").string());
    if (reader.get<std::string>("key") != key) return std::nullopt;
    for (const Json& entry : reader.value("shards").as_array())
      TokenShard(out / std::string(entry.at("file").as_string()));
    Tokenizer::load(out / "tokenizer");
    return manifest.get_object();
  } catch (const std::exception& e) {
    log_warning("data is prepared again: ", e.what());
    return std::nullopt;
  }
}

/// Makes the work folder ready for this key: what another key left, and halves of files, go.
void begin_work(const fs::path& out, const std::string& key) {
  const fs::path work = out / "work", key_file = work / "key";
  const bool continues = fs::exists(key_file) && read_file(key_file) == key;
  fs::create_directories(out);
  fs::remove(out / "manifest.json");  // from here on the folder is not whole
  if (!continues) {
    fs::remove_all(work);
    fs::remove_all(out / "shards");
    fs::create_directories(work);
    write_file_atomically(key_file, key);
    return;
  }
  log_info("data prepare: going on with what an earlier process left in ", work.string());
  for (const auto& entry : fs::recursive_directory_iterator(out))
    if (entry.is_regular_file() && entry.path().extension() == ".tmp") fs::remove(entry.path());
}

Tokenizer make_tokenizer(ThreadPool& pool, const DataPrepareOptions& options, std::optional<TokenizerFiles> given,
                         const CleanCorpus& corpus, const DedupDecisions& decisions) {
  const fs::path folder = fs::path(options.out) / "tokenizer", done = fs::path(options.out) / "work" / "tokenizer.done";
  if (!fs::exists(done)) {
    const LineRemover remover(options.dedup.lines, decisions);
    write_tokenizer_files(folder,
                          given ? *std::move(given) : train_on_corpus(pool, options.train, corpus, decisions, remover));
    write_file_atomically(done, "");
  }
  return Tokenizer::load(folder);
}

ShardLayout layout_of(const DataPrepareOptions& options, const Tokenizer& tokenizer) {
  ShardLayout layout{.vocab_size = tokenizer.vocab_size()};
  const bool packed = options.pack.kind != "none";
  if (packed && options.pack.add_bos) layout.bos_id = tokenizer.bos_id();
  if (packed && options.pack.add_eos) layout.eos_id = tokenizer.eos_id();
  HADAL_CHECK(!packed || !options.pack.add_bos || layout.bos_id >= 0, "pack: add_bos, but the tokenizer has no BOS");
  HADAL_CHECK(!packed || !options.pack.add_eos || layout.eos_id >= 0, "pack: add_eos, but the tokenizer has no EOS");
  layout.fim = {.rate = options.fim.rate,
                .spm_share = options.fim.spm_share,
                .begin_id = tokenizer.added_id(kFimBeginToken),
                .hole_id = tokenizer.added_id(kFimHoleToken),
                .end_id = tokenizer.added_id(kFimEndToken)};
  HADAL_CHECK(options.fim.rate == 0 || (layout.fim.begin_id >= 0 && layout.fim.hole_id >= 0 && layout.fim.end_id >= 0),
              "fim: rate ", options.fim.rate, ", but the tokenizer lacks the fill-in-the-middle tokens");
  return layout;
}

}  // namespace

DataPrepareResult data_prepare(ThreadPool& pool, DataPrepareOptions options) {
  const Stopwatch stopwatch;
  check(options);
  const fs::path out = options.out, work = out / "work";
  const std::vector<SourceFiles> sources = find_sources(options);
  const std::vector<std::vector<std::string>> hashes = hash_files(pool, sources);
  std::optional<TokenizerFiles> given;
  if (!options.tokenizer.empty()) given = load_tokenizer_files(options.tokenizer);
  const std::string key = key_of(options, sources, hashes, given);
  if (std::optional<JsonObject> found = find_prepared(out, key)) return {*std::move(found), true};
  begin_work(out, key);

  const DocumentCleaner cleaner(options);
  const CleanCorpus corpus(clean_sources(pool, options, cleaner, sources, work / "clean"));
  HADAL_CHECK(corpus.num_documents() > 0, "data prepare: no document is left after cleaning and filtering; ",
              summary_line(corpus.counts(0)));
  decide_duplicates(pool, options, corpus, sources, work);
  const DedupDecisions decisions(work);
  const Tokenizer tokenizer = make_tokenizer(pool, options, std::move(given), corpus, decisions);
  const TokenCorpus encoded(encode_corpus(pool, options, corpus, sources, decisions, tokenizer, work / "tokens"));
  CpuStopwatch watch(process_cpu_seconds);
  const ShardPlan plan = plan_shards(options, encoded);
  const ShardLayout layout = layout_of(options, tokenizer);
  ShardLayout plain = layout;
  plain.fim.rate = 0;
  const std::vector<ShardSummary> train = write_shards(options, encoded, layout, plan.train, "train", out / "shards");
  const std::vector<ShardSummary> validation =
      write_shards(options, encoded, plain, plan.validation, "validation", out / "shards");
  const double pack_seconds = watch.lap();
  HADAL_CHECK(!train.empty(), "data prepare: no document is left for training; ", summary_line(corpus.counts(0)));

  PrepareCounts counts = corpus.counts(options.samples);
  counts.merge(decisions.counts(), options.samples);
  counts.merge(encoded.counts(options.samples), options.samples);
  counts.stage("pack").seconds = pack_seconds;

  ManifestInputs inputs{.options = options,
                        .sources = sources,
                        .hashes = hashes,
                        .counts = counts,
                        .evaluation = cleaner.evaluation_ngrams(),
                        .plan = plan,
                        .train = train,
                        .validation = validation,
                        .tokenizer_hash = tokenizer_hash(tokenizer.files()),
                        .vocab_size = tokenizer.vocab_size(),
                        .key = key,
                        .wall_seconds = stopwatch.seconds(),
                        .threads = pool.num_threads()};
  JsonObject manifest = data_manifest(inputs);
  write_file_atomically(out / "report.html", data_report_page(manifest));
  // Last: with it the folder is whole.
  write_file_atomically(out / "manifest.json", json_pretty(manifest));
  if (!options.keep_work) fs::remove_all(work);
  return {std::move(manifest), false};
}

}  // namespace hadal
