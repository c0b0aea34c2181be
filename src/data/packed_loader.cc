#include "data/packed_loader.h"

#include <algorithm>

#include "base/error.h"
#include "data/permutation.h"

namespace hadal {
namespace {

/// The first document of a shard that begins at `token` or behind it.
index_t first_document_at(const TokenShard& shard, index_t token) {
  index_t low = 0, high = shard.num_documents();
  while (low < high) {
    const index_t middle = low + (high - low) / 2;
    if (shard.document_begin(middle) < token)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

}  // namespace

PackedLoader::PackedLoader(std::span<const TokenShard> shards, std::uint64_t seed, bool mask_documents, int pad_id)
    : shards_(shards), seed_(seed), mask_documents_(mask_documents), pad_id_(pad_id), begins_{0} {
  HADAL_CHECK(!shards.empty(), "packed loader: no shards");
  sequence_length_ = narrow<int>(shards.front().sequence_length());
  for (const TokenShard& shard : shards) {
    HADAL_CHECK(shard.sequence_length() == sequence_length_ && sequence_length_ >= 2, "packed loader: sequences of ",
                shard.sequence_length(), " tokens, want ", sequence_length_, ", 2 or more");
    begins_.push_back(begins_.back() + shard.num_sequences());
  }
  HADAL_CHECK(begins_.back() > 0, "packed loader: no sequences in ", shards.size(), " shards");
}

Batch PackedLoader::batch(std::int64_t first, std::int64_t count) const {
  HADAL_CHECK(first >= 0 && count > 0, "packed loader: ", count, " sequences from ", first, " on");
  Batch batch;
  for (std::int64_t s = first; s < first + count; ++s) {
    const Permutation order(static_cast<std::uint64_t>(num_sequences()), seed_,
                            static_cast<std::uint64_t>(s / num_sequences()));
    const auto place = static_cast<std::int64_t>(order(static_cast<std::uint64_t>(s % num_sequences())));
    const auto after = std::upper_bound(begins_.begin(), begins_.end(), place) - 1;
    const TokenShard& shard = shards_[static_cast<std::size_t>(after - begins_.begin())];
    const index_t sequence = place - *after, begin = shard.sequence_begin(sequence),
                  end = shard.sequence_begin(sequence + 1);
    std::vector<int> tokens(static_cast<std::size_t>(end - begin));
    shard.read_tokens(begin, tokens);

    const auto at = static_cast<index_t>(batch.ids.size());
    batch.sequence_begins.push_back(at);
    batch.segment_begins.push_back(at);
    batch.ids.insert(batch.ids.end(), tokens.begin(), tokens.end());
    batch.ids.resize(static_cast<std::size_t>(at + sequence_length_), pad_id_);
    batch.targets.insert(batch.targets.end(), tokens.begin() + 1, tokens.end());
    batch.targets.resize(batch.ids.size(), -1);
    if (mask_documents_)
      for (index_t d = first_document_at(shard, begin + 1); d < shard.num_documents() && shard.document_begin(d) < end;
           ++d) {
        const index_t border = at + shard.document_begin(d) - begin;
        if (border == batch.segment_begins.back()) continue;  // an empty document
        batch.targets[static_cast<std::size_t>(border - 1)] = -1;
        batch.segment_begins.push_back(border);
      }
  }
  batch.sequence_begins.push_back(static_cast<index_t>(batch.ids.size()));
  batch.segment_begins.push_back(static_cast<index_t>(batch.ids.size()));
  batch.positions.resize(batch.ids.size());
  for (std::size_t s = 0; s + 1 < batch.segment_begins.size(); ++s)
    for (index_t t = batch.segment_begins[s]; t < batch.segment_begins[s + 1]; ++t)
      batch.positions[static_cast<std::size_t>(t)] = static_cast<int>(t - batch.segment_begins[s]);
  return batch;
}

}  // namespace hadal
