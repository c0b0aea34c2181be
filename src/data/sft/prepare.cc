#include "data/sft/prepare.h"

#include <xxhash.h>

#include <algorithm>
#include <filesystem>
#include <optional>

#include "base/file.h"
#include "base/log.h"
#include "base/options.h"
#include "data/permutation.h"
#include "data/sft/pack.h"
#include "data/sft/reader.h"
#include "formats/sft_shard.h"
#include "formats/tokenizer_json.h"

namespace hadal {
namespace {

constexpr std::size_t kBlock = 1024;  // records that are encoded at once
constexpr std::size_t kMaxProblems = 20;

struct Record {
  Result<Json> value;
  std::string where;
  index_t source;
};

std::string hash_of(std::string_view bytes) {
  const XXH128_hash_t hash = XXH3_128bits(bytes.data(), bytes.size());
  return fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
}

/// Encodes records and keeps what can be used.
class Collector {
 public:
  Collector(ThreadPool& pool, const SftEncoder& encoder, const SftDataOptions& options, SftCounts& counts)
      : pool_(pool), encoder_(encoder), options_(options), counts_(counts) {}

  void add(Record&& record, const std::optional<SftShape>& shape) {
    block_.push_back({std::move(record), shape});
    if (block_.size() == kBlock) flush();
  }

  void flush() {
    std::vector<Result<MaskedSample>> results(block_.size(), Failure{""});
    pool_.parallel_for(static_cast<index_t>(block_.size()), [&](index_t i, int) {
      const auto at = static_cast<std::size_t>(i);
      results[at] = encode(block_[at].record, block_[at].shape);
    });
    for (std::size_t i = 0; i < block_.size(); ++i) keep(results[i], block_[i].record);
    block_.clear();
  }

  std::vector<SftSample> take() { return std::move(samples_); }

 private:
  struct Entry {
    Record record;
    std::optional<SftShape> shape;
  };

  Result<MaskedSample> encode(const Record& record, const std::optional<SftShape>& shape) const {
    if (!record.value) return Failure{record.value.message()};
    if (!shape) return Failure{detect_shape(record.value.value()).message()};
    Result<Conversation> conversation = parse_conversation(record.value.value(), *shape);
    if (!conversation) return Failure{conversation.message()};
    try {
      return encoder_.encode(std::move(conversation).value());
    } catch (const Error& e) {  // the template refuses this one
      return Failure{e.what()};
    }
  }

  void keep(Result<MaskedSample>& result, const Record& record) {
    ++counts_.records;
    if (!result) {
      ++counts_.bad;
      if (counts_.problems.size() < kMaxProblems)
        counts_.problems.push_back(str_cat(record.where, ": ", result.message()));
      return;
    }
    MaskedSample sample = std::move(result).value();
    const auto most = static_cast<std::size_t>(options_.seq_len);
    if (sample.ids.size() > most) {
      ++(options_.too_long == "drop" ? counts_.too_long : counts_.cut);
      if (options_.too_long == "drop") return;
      sample.ids.resize(most);
      sample.trained.resize(most);
      sample.num_trained = std::count(sample.trained.begin(), sample.trained.end(), 1);
    }
    if (sample.num_trained == 0) {
      ++counts_.untrained;
      return;
    }
    counts_.tokens += static_cast<index_t>(sample.ids.size());
    counts_.trained_tokens += sample.num_trained;
    counts_.turns += sample.turns;
    counts_.turns_without_end += sample.turns_without_end;
    counts_.borders_differ += sample.borders_differ ? 1 : 0;
    counts_.reasoning_lost += sample.reasoning_lost ? 1 : 0;
    samples_.push_back({std::move(sample), record.source});
  }

  ThreadPool& pool_;
  const SftEncoder& encoder_;
  const SftDataOptions& options_;
  SftCounts& counts_;
  std::vector<Entry> block_;
  std::vector<SftSample> samples_;
};

void warn(const SftCounts& c) {
  if (c.bad > 0) log_warning(c.bad, " of ", c.records, " records could not be used; the first: ", c.problems.front());
  if (c.too_long > 0) log_warning(c.too_long, " conversations are longer than seq_len and were dropped");
  if (c.reasoning_lost > 0)
    log_warning("the template does not print the reasoning of ", c.reasoning_lost,
                " answers; --reasoning generated trains it");
  // A model that never learns to stop is the most expensive mistake here.
  if (100 * c.turns_without_end > c.turns)
    log_warning(c.turns_without_end, " of ", c.turns, " trained turns do not end with the token that ends answers");
}

JsonArray shapes_and_hashes(const SftDataOptions& options) {
  JsonArray inputs;
  for (const std::string& path : options.input) {
    const MappedFile file(path);
    const std::string_view bytes(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
    inputs.push_back(JsonObject{{"path", path}, {"bytes", bytes.size()}, {"hash", hash_of(bytes)}});
    check_mapped_files();
  }
  return inputs;
}

JsonObject counts_json(const SftCounts& c, std::size_t samples, std::size_t sequences, int seq_len) {
  const auto room = static_cast<index_t>(sequences) * seq_len;
  return {{"records", c.records},
          {"bad", c.bad},
          {"too_long", c.too_long},
          {"cut", c.cut},
          {"untrained", c.untrained},
          {"samples", samples},
          {"sequences", sequences},
          {"tokens", c.tokens},
          {"trained_tokens", c.trained_tokens},
          {"padding_share", room == 0 ? 0.0 : 1.0 - static_cast<double>(c.tokens) / static_cast<double>(room)},
          {"turns", c.turns},
          {"turns_without_end", c.turns_without_end},
          {"borders_differ", c.borders_differ},
          {"reasoning_lost", c.reasoning_lost}};
}

}  // namespace

ChatTemplate sft_template(const SftDataOptions& options, const Tokenizer& tokenizer) {
  TokenizerConfig config = tokenizer.files().config;
  if (!options.template_file.empty()) config.chat_template = read_file(options.template_file);
  return ChatTemplate::from_config(config, options.template_file.empty() ? options.tokenizer : options.template_file);
}

std::vector<SftSample> encode_records(ThreadPool& pool, const SftEncoder& encoder, const SftDataOptions& options,
                                      index_t limit, SftCounts& counts) {
  HADAL_CHECK(options.seq_len >= 2, "seq_len ", options.seq_len, ", want at least 2");
  Collector collector(pool, encoder, options, counts);
  index_t source = 0;
  for (const std::string& path : options.input) {
    std::optional<SftShape> shape;  // of the whole file: that of its first record that has one
    read_records(path, [&](Result<Json>& value, index_t number) {
      if (limit > 0 && source >= limit) return;
      if (!shape && value)
        if (const Result<SftShape> found = detect_shape(value.value())) shape = found.value();
      collector.add({std::move(value), str_cat(path, ":", number), source++}, shape);
    });
  }
  collector.flush();
  std::vector<SftSample> samples = collector.take();
  HADAL_CHECK(!samples.empty(), "none of ", counts.records, " records can be used",
              counts.problems.empty() ? "" : "; the first problem: " + counts.problems.front());
  return samples;
}

JsonObject prepare_sft_data(ThreadPool& pool, const SftDataOptions& options) {
  const Tokenizer tokenizer = Tokenizer::load(options.tokenizer);
  const ChatTemplate chat = sft_template(options, tokenizer);
  const SftEncoder encoder(chat, tokenizer, options.mask);
  SftCounts counts;
  const std::vector<SftSample> samples = encode_records(pool, encoder, options, 0, counts);
  warn(counts);

  std::vector<std::int64_t> lengths;
  std::vector<SftShardSample> views;
  std::vector<std::uint32_t> order;
  const Permutation shuffle(samples.size(), static_cast<std::uint64_t>(options.seed), 0);
  for (const SftSample& sample : samples) {
    order.push_back(narrow<std::uint32_t>(shuffle(order.size())));
    lengths.push_back(static_cast<std::int64_t>(sample.tokens.ids.size()));
    views.push_back({sample.tokens.ids, sample.tokens.trained, sample.source});
  }
  Packing sequences;
  if (options.pack) {
    sequences = pack_best_fit(lengths, order, options.seq_len);
  } else {
    for (const std::uint32_t sample : order) sequences.push_back({sample});
  }

  const std::filesystem::path out(options.out);
  std::filesystem::create_directories(out);
  write_sft_shard(out / "sft.shard", tokenizer.vocab_size(), options.seq_len, views, sequences);
  write_file_atomically(out / "chat_template.jinja", chat.source());
  JsonArray problems;
  for (const std::string& problem : counts.problems) problems.push_back(Json(problem));
  SftDataOptions copy = options;
  JsonObject manifest{{"format", "hadal sft data 1"},
                      {"inputs", shapes_and_hashes(options)},
                      {"tokenizer_hash", hash_of(tokenizer_json(tokenizer.files().spec))},
                      {"template_hash", hash_of(chat.source())},
                      {"end_id", encoder.end_id()},
                      {"options", OptionTable(copy).to_json()},
                      {"shard_checksum", fmt::format("{:016x}", SftShard(out / "sft.shard").checksum())},
                      {"counts", counts_json(counts, samples.size(), sequences.size(), options.seq_len)},
                      {"problems", std::move(problems)}};
  write_file_atomically(out / "manifest.json", json_pretty(manifest));
  return manifest;
}

}  // namespace hadal
