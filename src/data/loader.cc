#include "data/loader.h"

#include <algorithm>
#include <iterator>

#include "base/error.h"
#include "base/random.h"

namespace hadal {
namespace {

/// The documents of one side of the split; empty means all. Which side a document is on depends on the seed and its
/// index.
std::vector<std::uint32_t> documents_of(const TokenShard& shard, double validation_share, std::uint64_t seed,
                                        Split split) {
  HADAL_CHECK(validation_share >= 0 && validation_share < 1, "loader: validation_share ", validation_share,
              ", want 0 to below 1");
  if (validation_share == 0 && split == Split::kTrain) return {};
  std::vector<std::uint32_t> documents;
  for (index_t d = 0; d < shard.num_documents(); ++d) {
    const bool validation = random_uniform(seed, Stream::kValidation, static_cast<std::uint64_t>(d)) < validation_share;
    if (validation == (split == Split::kValidation) && shard.document_length(d) > 0)
      documents.push_back(narrow<std::uint32_t>(d));
  }
  HADAL_CHECK(!documents.empty(), "loader: none of ", shard.num_documents(), " documents is for ",
              split == Split::kTrain ? "training" : "validation", " with validation_share ", validation_share);
  return documents;
}

PackOptions pack_options(const LoaderOptions& options, int bos_id, int eos_id) {
  HADAL_CHECK(!options.add_bos || bos_id >= 0, "loader: add_bos is set, but the tokenizer has no BOS");
  HADAL_CHECK(!options.add_eos || eos_id >= 0, "loader: add_eos is set, but the tokenizer has no EOS");
  const FimOptions& fim = options.fim;
  HADAL_CHECK(fim.rate <= 0 || (fim.begin_id >= 0 && fim.hole_id >= 0 && fim.end_id >= 0), "loader: fim.rate is ",
              fim.rate, ", but the tokenizer lacks the fill-in-the-middle tokens");
  return {.bos_id = options.add_bos ? bos_id : -1, .eos_id = options.add_eos ? eos_id : -1, .fim = fim};
}

}  // namespace

Loader::Loader(const TokenShard& shard, const LoaderOptions& options, std::uint64_t seed, Split split, int seq_length,
               int bos_id, int eos_id)
    : options_(options),
      seq_length_(seq_length),
      stream_(shard, documents_of(shard, options.validation_share, seed, split), pack_options(options, bos_id, eos_id),
              seed) {
  HADAL_CHECK(seq_length >= 2, "loader: seq_length ", seq_length, ", want at least 2");
}

Batch Loader::batch_at(std::int64_t tokens_used, std::int64_t count, int seq_length) const {
  HADAL_CHECK(tokens_used >= 0 && count > 0 && seq_length >= 2, "loader: ", count, " sequences of ", seq_length,
              " tokens behind token ", tokens_used);
  const index_t total = count * seq_length;
  // One token more than the batch holds: the target of the last.
  std::vector<int> tokens(static_cast<std::size_t>(total) + 1);
  std::vector<index_t> starts;
  stream_.read(tokens_used, tokens, starts);

  Batch batch;
  batch.ids.assign(tokens.begin(), tokens.end() - 1);
  batch.targets.assign(tokens.begin() + 1, tokens.end());
  for (index_t begin = 0; begin <= total; begin += seq_length) batch.sequence_begins.push_back(begin);
  if (options_.mask_documents) {
    for (const index_t start : starts)
      if (start > 0) batch.targets[static_cast<std::size_t>(start - 1)] = -1;
    if (!starts.empty() && starts.back() == total) starts.pop_back();
    std::set_union(starts.begin(), starts.end(), batch.sequence_begins.begin(), batch.sequence_begins.end(),
                   std::back_inserter(batch.segment_begins));
  } else {
    batch.segment_begins = batch.sequence_begins;
  }
  batch.positions.resize(static_cast<std::size_t>(total));
  for (std::size_t s = 0; s + 1 < batch.segment_begins.size(); ++s)
    for (index_t t = batch.segment_begins[s]; t < batch.segment_begins[s + 1]; ++t)
      batch.positions[static_cast<std::size_t>(t)] = static_cast<int>(t - batch.segment_begins[s]);
  return batch;
}

std::int64_t target_text_bytes(const Batch& batch, std::span<const int> text_bytes_per_token) {
  std::int64_t bytes = 0;
  for (const int target : batch.targets)
    if (target >= 0 && static_cast<std::size_t>(target) < text_bytes_per_token.size())
      bytes += text_bytes_per_token[static_cast<std::size_t>(target)];
  return bytes;
}

}  // namespace hadal
