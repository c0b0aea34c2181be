#include "data/corpus/shard_stage.h"

#include <algorithm>

#include "base/json.h"
#include "base/progress.h"
#include "base/random.h"
#include "data/corpus/packing.h"
#include "data/permutation.h"
#include "formats/token_shard.h"

namespace hadal {
namespace {

namespace fs = std::filesystem;

std::vector<std::uint32_t> in_random_order(std::vector<std::uint32_t> documents, std::uint64_t seed) {
  if (documents.empty()) return documents;
  const Permutation order(documents.size(), seed, 0);
  std::vector<std::uint32_t> shuffled(documents.size());
  for (std::size_t i = 0; i < documents.size(); ++i) shuffled[i] = documents[order(i)];
  return shuffled;
}

/// The documents of one shard as they stand in sequences: control tokens added, middle taken out.
class ShardBuilder {
 public:
  ShardBuilder(const DataPrepareOptions& options, const TokenCorpus& corpus, const ShardLayout& layout)
      : options_(options), corpus_(corpus), layout_(layout) {}

  FimLayout fim_of(std::size_t place, std::uint32_t document) const {
    const auto length = static_cast<index_t>(corpus_.tokens(document).size());
    // By place: the copies of a document are cut in different places.
    return fim_layout(layout_.fim, static_cast<std::uint64_t>(options_.seed), static_cast<index_t>(place), length);
  }
  index_t length_of(std::size_t place, std::uint32_t document) const {
    return fim_of(place, document).output_length() + (layout_.bos_id >= 0 ? 1 : 0) + (layout_.eos_id >= 0 ? 1 : 0);
  }

  /// The shard of documents [first, last).
  ShardContents build(const std::vector<std::uint32_t>& documents, std::size_t first, std::size_t last) const {
    std::vector<int> tokens;
    std::vector<index_t> begins, lengths;
    std::vector<DocumentInfo> infos;
    for (std::size_t i = first; i < last; ++i) {
      const auto begin = static_cast<index_t>(tokens.size());
      begins.push_back(begin);
      const FimLayout fim = fim_of(i, documents[i]);
      append(corpus_.tokens(documents[i]), fim, tokens);
      lengths.push_back(static_cast<index_t>(tokens.size()) - begin);
      const TokenDocument& d = corpus_.document(documents[i]);
      infos.push_back({.text_class = d.text_class,
                       .language = d.language,
                       .source = static_cast<std::uint8_t>(d.source),
                       .fim = fim.kind});
    }
    const PackingOptions& pack = options_.pack;
    const PackedSequences packed = pack.kind == "best_fit"
                                       ? best_fit(lengths, pack.sequence_length)
                                       : concatenate(lengths, pack.kind == "none" ? 0 : pack.sequence_length);
    ShardContents shard{.vocab_size = layout_.vocab_size,
                        .sequence_length = packed.sequence_begins.empty() ? 0 : pack.sequence_length,
                        .sequence_begins = packed.sequence_begins};
    shard.tokens.reserve(tokens.size());
    for (const PackedPiece& piece : packed.pieces) {
      const auto from = tokens.begin() + begins[static_cast<std::size_t>(piece.document)] + piece.begin;
      shard.document_begins.push_back(static_cast<index_t>(shard.tokens.size()));
      shard.infos.push_back(infos[static_cast<std::size_t>(piece.document)]);
      shard.infos.back().continued = piece.begin > 0;
      shard.tokens.insert(shard.tokens.end(), from, from + piece.length);
    }
    shard.document_begins.push_back(static_cast<index_t>(shard.tokens.size()));
    return shard;
  }

 private:
  void append(std::span<const int> text, const FimLayout& fim, std::vector<int>& tokens) const {
    if (layout_.bos_id >= 0) tokens.push_back(layout_.bos_id);
    if (!fim.active()) tokens.insert(tokens.end(), text.begin(), text.end());
    for (index_t place = 0; fim.active() && place < fim.output_length(); ++place) {
      const index_t source = fim.source(place);
      tokens.push_back(source >= 0    ? text[static_cast<std::size_t>(source)]
                       : source == -1 ? layout_.fim.begin_id
                       : source == -2 ? layout_.fim.hole_id
                                      : layout_.fim.end_id);
    }
    if (layout_.eos_id >= 0) tokens.push_back(layout_.eos_id);
  }

  const DataPrepareOptions& options_;
  const TokenCorpus& corpus_;
  const ShardLayout& layout_;
};

ShardSummary summary_of(const fs::path& path) {
  const TokenShard shard(path);
  ShardSummary s{.path = path,
                 .pieces = shard.num_documents(),
                 .tokens = shard.num_tokens(),
                 .sequences = shard.num_sequences(),
                 .checksum = shard.checksum()};
  for (index_t d = 0; d < shard.num_documents(); ++d) {
    const DocumentInfo info = shard.document_info(d);
    if (info.continued) continue;
    ++s.documents;
    s.psm += info.fim == FimKind::kPsm ? 1 : 0;
    s.spm += info.fim == FimKind::kSpm ? 1 : 0;
  }
  return s;
}

}  // namespace

TokenCorpus::TokenCorpus(const std::vector<fs::path>& blocks) {
  begins_.push_back(0);
  for (const fs::path& path : blocks) {
    blocks_.emplace_back(path);
    begins_.push_back(begins_.back() + static_cast<index_t>(blocks_.back().documents().size()));
  }
}

std::pair<std::size_t, std::size_t> TokenCorpus::place(index_t d) const {
  const auto behind = std::upper_bound(begins_.begin(), begins_.end(), d);
  const auto b = static_cast<std::size_t>(behind - begins_.begin() - 1);
  return {b, static_cast<std::size_t>(d - begins_[b])};
}

const TokenDocument& TokenCorpus::document(index_t d) const {
  const auto [b, i] = place(d);
  return blocks_[b].documents()[i];
}

std::span<const int> TokenCorpus::tokens(index_t d) const {
  const auto [b, i] = place(d);
  return blocks_[b].tokens(i);
}

PrepareCounts TokenCorpus::counts(int max_samples) const {
  PrepareCounts counts;
  for (const TokenBlock& block : blocks_)
    counts.merge(PrepareCounts::from_json(parse_json(block.summary(), "tokens"), "tokens"), max_samples);
  return counts;
}

ShardPlan plan_shards(const DataPrepareOptions& options, const TokenCorpus& corpus) {
  ShardPlan plan;
  const double factors[] = {options.mix.prose, options.mix.code, options.mix.math};
  for (const SourceOptions& source : options.sources)
    for (std::size_t c = 0; c < kNumTextClasses; ++c)
      plan.groups.push_back({.source = source.name,
                             .text_class = std::string(kTextClassNames[c]),
                             .weight = source.weight * factors[c],
                             .max_epochs = source.max_epochs});
  plan.tokens_taken.resize(plan.groups.size());
  const auto group_of = [](const TokenDocument& d) { return d.source * kNumTextClasses + d.text_class; };
  const auto seed = static_cast<std::uint64_t>(options.seed);
  const auto is_validation = [&](index_t d) {
    return random_uniform(seed, Stream::kValidation, static_cast<std::uint64_t>(d)) < options.pack.validation_share;
  };
  for (index_t d = 0; d < corpus.num_documents(); ++d)
    if (!is_validation(d))
      plan.groups[group_of(corpus.document(d))].tokens += static_cast<std::int64_t>(corpus.tokens(d).size());
  mix_epochs(plan.groups, options.mix);
  std::vector<CopyCounter> counters;
  for (const MixGroup& group : plan.groups) counters.emplace_back(group.epochs);
  for (index_t d = 0; d < corpus.num_documents(); ++d) {
    if (is_validation(d)) {
      plan.validation.push_back(static_cast<std::uint32_t>(d));
      continue;
    }
    const std::size_t g = group_of(corpus.document(d));
    const auto tokens = static_cast<std::int64_t>(corpus.tokens(d).size());
    const int copies = counters[g].copies(tokens);
    plan.train.insert(plan.train.end(), static_cast<std::size_t>(copies), static_cast<std::uint32_t>(d));
    plan.tokens_taken[g] += copies * tokens;
  }
  if (options.pack.shuffle) {
    plan.train = in_random_order(std::move(plan.train), seed);
    plan.validation = in_random_order(std::move(plan.validation), seed + 1);
  }
  return plan;
}

std::vector<ShardSummary> write_shards(const DataPrepareOptions& options, const TokenCorpus& corpus,
                                       const ShardLayout& layout, const std::vector<std::uint32_t>& documents,
                                       const std::string& prefix, const fs::path& folder) {
  fs::create_directories(folder);
  const ShardBuilder builder(options, corpus, layout);
  std::vector<ShardSummary> shards;
  Progress progress("pack " + prefix, static_cast<std::int64_t>(documents.size()), "doc");
  for (std::size_t first = 0; first < documents.size();) {
    std::size_t last = first;
    for (index_t tokens = 0; last < documents.size() && tokens < options.pack.shard_tokens; ++last)
      tokens += builder.length_of(last, documents[last]);
    const fs::path path = folder / fmt::format("{}-{:05}.shard", prefix, shards.size());
    if (!fs::exists(path)) write_token_shard(path, builder.build(documents, first, last));
    shards.push_back(summary_of(path));
    first = last;
    progress.update(static_cast<std::int64_t>(last));
  }
  return shards;
}

}  // namespace hadal
