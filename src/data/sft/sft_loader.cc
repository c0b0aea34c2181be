#include "data/sft/sft_loader.h"

#include "base/error.h"

namespace hadal {

SftLoader::SftLoader(const SftShard& shard, std::uint64_t seed, int pad_id)
    : shard_(shard), seed_(seed), pad_id_(pad_id) {
  HADAL_CHECK(shard.num_sequences() > 0, "SFT loader: the shard holds no sequence");
  HADAL_CHECK(pad_id >= 0 && pad_id < shard.vocab_size(), "SFT loader: pad_id ", pad_id, " of a vocabulary of ",
              shard.vocab_size());
}

index_t SftLoader::sequence_at(std::int64_t place) const {
  const index_t n = shard_.num_sequences();
  const Permutation order(static_cast<std::uint64_t>(n), seed_, static_cast<std::uint64_t>(place / n));
  return static_cast<index_t>(order(static_cast<std::uint64_t>(place % n)));
}

Batch SftLoader::batch(std::int64_t first, std::int64_t count) const {
  HADAL_CHECK(first >= 0 && count > 0, "SFT loader: ", count, " sequences behind ", first);
  Batch batch;
  batch.sequence_begins.push_back(0);
  batch.segment_begins.push_back(0);
  std::vector<char> trained;
  const auto close_segment = [&] {
    const auto begin = static_cast<std::size_t>(batch.segment_begins.back());
    if (begin == batch.ids.size()) return;
    for (std::size_t t = begin; t < batch.ids.size(); ++t) {
      const bool has_target = t + 1 < batch.ids.size() && trained[t + 1] != 0;
      batch.targets.push_back(has_target ? batch.ids[t + 1] : -1);
      batch.positions.push_back(static_cast<int>(t - begin));
    }
    batch.segment_begins.push_back(static_cast<index_t>(batch.ids.size()));
  };
  for (std::int64_t place = first; place < first + count; ++place) {
    const auto [begin, end] = shard_.sequence(sequence_at(place));
    for (index_t sample = begin; sample < end; ++sample) {
      shard_.read(sample, batch.ids, trained);
      close_segment();
    }
    const auto full = static_cast<std::size_t>(batch.sequence_begins.back() + shard_.capacity());
    batch.ids.resize(full, pad_id_);
    trained.resize(full, 0);
    close_segment();
    batch.sequence_begins.push_back(static_cast<index_t>(full));
  }
  return batch;
}

}  // namespace hadal
