#include "infer/thinking.h"

namespace hadal {

ThinkingWatch::ThinkingWatch(const Tokenizer& tokenizer, const ThinkingParams& params)
    : splitter_(tokenizer, params.inside),
      budget_(params.budget),
      end_ids_(tokenizer.encode(params.end, {.parse_special = true})) {}

void ThinkingWatch::push(int token, std::string_view text) {
  const bool before = inside();
  splitter_.push(token, text);
  // The token that closes belongs to no side.
  if (before && inside()) ++tokens_;
}

}  // namespace hadal
