#pragma once
// The last stage: which documents how often, in which order, packed into shards.
#include <filesystem>
#include <string>
#include <vector>

#include "base/parallel.h"
#include "data/corpus/mix.h"
#include "data/corpus/token_stage.h"
#include "data/fim.h"

namespace hadal {

/// All token blocks, under one numbering.
class TokenCorpus {
 public:
  explicit TokenCorpus(const std::vector<std::filesystem::path>& blocks);
  index_t num_documents() const { return begins_.back(); }
  const TokenDocument& document(index_t d) const;
  std::span<const int> tokens(index_t d) const;
  PrepareCounts counts(int max_samples) const;

 private:
  std::pair<std::size_t, std::size_t> place(index_t d) const;
  std::vector<TokenBlock> blocks_;
  std::vector<index_t> begins_;
};

/// What the shards will hold: a function of the corpus, the options and the seed.
struct ShardPlan {
  std::vector<MixGroup> groups;            // sources times classes
  std::vector<std::int64_t> tokens_taken;  // by group, of text
  std::vector<std::uint32_t> train;        // documents in the order of the shards, copies included
  std::vector<std::uint32_t> validation;
};
ShardPlan plan_shards(const DataPrepareOptions& options, const TokenCorpus& corpus);

/// A shard that was written.
struct ShardSummary {
  std::filesystem::path path;
  index_t documents = 0, pieces = 0, tokens = 0, sequences = 0, psm = 0, spm = 0;
  std::uint64_t checksum = 0;
};

/// How documents become sequences.
struct ShardLayout {
  FimOptions fim;
  int vocab_size = 0, bos_id = -1, eos_id = -1;  // -1: not added
};

/// Writes folder/<prefix>-NNNNN.shard for the documents in their order. Shards that are there are not made again.
std::vector<ShardSummary> write_shards(const DataPrepareOptions& options, const TokenCorpus& corpus,
                                       const ShardLayout& layout, const std::vector<std::uint32_t>& documents,
                                       const std::string& prefix, const std::filesystem::path& folder);

}  // namespace hadal
