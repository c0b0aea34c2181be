#include "data/loader.h"

#include <algorithm>

#include "base/error.h"
#include "base/random.h"

namespace hadal {

Loader::Loader(const TokenShard& shard, const LoaderOptions& options, std::uint64_t seed, Split split, int seq_length,
               int bos_id, int eos_id)
    : shard_(shard), options_(options), seed_(seed), seq_length_(seq_length), bos_id_(bos_id), eos_id_(eos_id) {
  HADAL_CHECK(seq_length >= 2, "loader: seq_length ", seq_length, ", want at least 2");
  HADAL_CHECK(!options.add_bos || bos_id >= 0, "loader: add_bos is set, but the tokenizer has no BOS");
  HADAL_CHECK(!options.add_eos || eos_id >= 0, "loader: add_eos is set, but the tokenizer has no EOS");
  HADAL_CHECK(
      options.fim.rate <= 0 || (options.fim.begin_id >= 0 && options.fim.hole_id >= 0 && options.fim.end_id >= 0),
      "loader: fim.rate is ", options.fim.rate, ", but the tokenizer lacks the fill-in-the-middle tokens");
  for (index_t d = 0; d < shard.num_documents(); ++d) {
    const bool validation =
        random_uniform(seed, Stream::kValidation, static_cast<std::uint64_t>(d)) < options.validation_share;
    if (validation != (split == Split::kValidation) || packed_length(d) == 0) continue;
    documents_.push_back(d);
    tokens_per_epoch_ += packed_length(d);
  }
  HADAL_CHECK(tokens_per_epoch_ > 0, "loader: the corpus has no document for this split");
}

index_t Loader::packed_length(index_t document) const {
  const index_t length = shard_.document_length(document);
  if (length == 0) return 0;
  return fim_layout(options_.fim, seed_, document, length).output_length() + (options_.add_bos ? 1 : 0) +
         (options_.add_eos ? 1 : 0);
}

int Loader::token_at(index_t document, index_t place) const {
  if (options_.add_bos && place-- == 0) return bos_id_;
  const FimLayout layout = fim_layout(options_.fim, seed_, document, shard_.document_length(document));
  if (place == layout.output_length()) return eos_id_;
  const index_t source = layout.source(place);
  if (source >= 0) return shard_.token(document, source);
  return source == -1 ? options_.fim.begin_id : source == -2 ? options_.fim.hole_id : options_.fim.end_id;
}

const Loader::Epoch& Loader::epoch(std::int64_t number) {
  Epoch& e = epochs_[number % 2];
  if (e.number == number) return e;
  e.number = number;
  e.order = documents_;
  // Fisher-Yates with a key of its own for every epoch.
  const std::uint64_t key = random_bits(seed_, Stream::kShuffle, static_cast<std::uint64_t>(number));
  for (std::size_t i = e.order.size(); i > 1; --i)
    std::swap(e.order[i - 1], e.order[random_below(key, Stream::kShuffle, i, i)]);
  e.begins.clear();
  std::int64_t place = 0;
  for (const index_t d : e.order) {
    e.begins.push_back(place);
    place += packed_length(d);
  }
  return e;
}

void Loader::append_sequence(Batch& batch, std::int64_t index) {
  std::int64_t place = index * seq_length_;
  const auto begin = static_cast<index_t>(batch.ids.size());
  batch.sequence_begins.push_back(begin);
  batch.segment_begins.push_back(begin);
  // One token more than the sequence: the target of the last.
  std::int64_t number = place / tokens_per_epoch_;
  place %= tokens_per_epoch_;
  const Epoch* e = &epoch(number);
  auto document =
      static_cast<std::size_t>(std::upper_bound(e->begins.begin(), e->begins.end(), place) - e->begins.begin() - 1);
  index_t offset = place - e->begins[document];
  int position = 0;
  for (int i = 0; i <= seq_length_; ++i) {
    bool new_document = false;
    if (offset == packed_length(e->order[document])) {
      offset = 0, new_document = true;
      if (++document == e->order.size()) e = &epoch(++number), document = 0;
    }
    const int token = token_at(e->order[document], offset++);
    const bool border = options_.mask_documents && new_document;
    if (i > 0) batch.targets.push_back(border ? -1 : token);
    if (i == seq_length_) break;
    if (border && i > 0) {
      batch.segment_begins.push_back(begin + i);
      position = 0;
    }
    batch.ids.push_back(token);
    batch.positions.push_back(position++);
  }
}

Batch Loader::batch(std::int64_t first, std::int64_t count) {
  Batch batch;
  for (std::int64_t i = first; i < first + count; ++i) append_sequence(batch, i);
  batch.sequence_begins.push_back(static_cast<index_t>(batch.ids.size()));
  batch.segment_begins.push_back(static_cast<index_t>(batch.ids.size()));
  return batch;
}

}  // namespace hadal
