#include "data/tokenizer/stream_decoder.h"

#include <utility>

#include "base/utf8.h"

namespace hadal {

std::string StreamDecoder::push(int id) {
  if (skip_special_ && tokenizer_.is_special(id)) return "";
  pending_ += tokenizer_.token_bytes(id);
  const std::size_t complete = pending_.size() - incomplete_suffix(pending_);
  std::string text = replace_ill_formed(std::string_view(pending_).substr(0, complete));
  pending_.erase(0, complete);
  return text;
}

std::string StreamDecoder::finish() {
  return replace_ill_formed(std::exchange(pending_, ""));
}

}  // namespace hadal
