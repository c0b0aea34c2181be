#include "data/token_stream.h"

#include <algorithm>

#include "base/error.h"
#include "data/permutation.h"

namespace hadal {
namespace {

// One entry of the index per so many documents: 8 bytes each, and at most so many steps to find a place.
constexpr index_t kStride = 256;

}  // namespace

/// Where the documents of one epoch are.
struct TokenStream::Epoch {
  std::int64_t number = 0;
  Permutation order;
  std::vector<std::int64_t> begins;  // in tokens, of every kStride-th document
};

TokenStream::TokenStream(const TokenShard& shard, std::vector<std::uint32_t> documents, const PackOptions& pack,
                         std::uint64_t seed)
    : shard_(shard), documents_(std::move(documents)), pack_(pack), seed_(seed) {
  num_documents_ = documents_.empty() ? shard.num_documents() : static_cast<index_t>(documents_.size());
  for (index_t i = 0; i < num_documents_; ++i)
    epoch_tokens_ +=
        packed_length(documents_.empty() ? i : static_cast<index_t>(documents_[static_cast<std::size_t>(i)]));
  HADAL_CHECK(epoch_tokens_ > 0, "token stream: the shard holds no tokens");
}
TokenStream::~TokenStream() = default;

index_t TokenStream::document(const Epoch& epoch, index_t place) const {
  const std::uint64_t i = epoch.order(static_cast<std::uint64_t>(place));
  return documents_.empty() ? static_cast<index_t>(i) : static_cast<index_t>(documents_[i]);
}

/// Empty documents stay empty.
index_t TokenStream::packed_length(index_t document) const {
  const index_t length = shard_.document_length(document);
  if (length == 0) return 0;
  return fim_layout(pack_.fim, seed_, document, length).output_length() + (pack_.bos_id >= 0 ? 1 : 0) +
         (pack_.eos_id >= 0 ? 1 : 0);
}

/// Tokens [first, first + out.size()) of one document as it is packed.
void TokenStream::read_document(index_t document, index_t first, std::span<int> out) const {
  const FimLayout layout = fim_layout(pack_.fim, seed_, document, shard_.document_length(document));
  const index_t behind = layout.output_length();
  index_t place = first - (pack_.bos_id >= 0 ? 1 : 0);  // in the layout; -1 is BOS, behind is EOS
  if (!layout.active()) {
    const index_t begin = std::max<index_t>(place, 0),
                  end = std::min<index_t>(place + static_cast<index_t>(out.size()), behind);
    if (begin < end)
      shard_.read(document, begin,
                  out.subspan(static_cast<std::size_t>(begin - place), static_cast<std::size_t>(end - begin)));
  }
  for (std::size_t i = 0; i < out.size(); ++i, ++place) {
    if (place < 0) {
      out[i] = pack_.bos_id;
    } else if (place == behind) {
      out[i] = pack_.eos_id;
    } else if (layout.active()) {
      const index_t source = layout.source(place);
      const int control = source == -1 ? pack_.fim.begin_id : source == -2 ? pack_.fim.hole_id : pack_.fim.end_id;
      out[i] = source >= 0 ? shard_.token(document, source) : control;
    }
  }
}

std::shared_ptr<const TokenStream::Epoch> TokenStream::epoch(std::int64_t number) const {
  const std::lock_guard lock(mutex_);
  std::shared_ptr<const Epoch>& slot = recent_[number % 2];
  if (slot && slot->number == number) return slot;
  auto made = std::make_shared<Epoch>(
      Epoch{number, {static_cast<std::uint64_t>(num_documents_), seed_, static_cast<std::uint64_t>(number)}, {}});
  std::int64_t begin = 0;
  for (index_t i = 0; i < num_documents_; ++i) {
    if (i % kStride == 0) made->begins.push_back(begin);
    begin += packed_length(document(*made, i));
  }
  slot = made;
  return made;
}

void TokenStream::read(std::int64_t first, std::span<int> out, std::vector<index_t>& starts) const {
  HADAL_CHECK(first >= 0, "token stream: place ", first, " is negative");
  const auto wanted = static_cast<index_t>(out.size());
  for (index_t done = 0; done < wanted;) {
    const std::shared_ptr<const Epoch> e = epoch((first + done) / epoch_tokens_);
    index_t place = (first + done) % epoch_tokens_;
    const auto entry = std::upper_bound(e->begins.begin(), e->begins.end(), place) - 1;
    place -= *entry;  // from here on: inside document i of the epoch, or behind it
    for (index_t i = (entry - e->begins.begin()) * kStride; i < num_documents_ && done < wanted; ++i) {
      const index_t d = document(*e, i), length = packed_length(d);
      if (place >= length) {
        place -= length;
        continue;
      }
      if (place == 0) starts.push_back(done);
      const index_t count = std::min(length - place, wanted - done);
      read_document(d, place, out.subspan(static_cast<std::size_t>(done), static_cast<std::size_t>(count)));
      done += count;
      place = 0;
    }
  }
}

}  // namespace hadal
