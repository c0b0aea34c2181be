#include "data/tokenizer/joint_tokens.h"

#include "base/error.h"
#include "base/random.h"
#include "base/utf8.h"
#include "data/tokenizer/unicode_classes.h"

namespace hadal {
namespace {

/// Where the line breaks at the end begin when punctuation or a symbol stands before them, else 0.
std::size_t joint_at(std::string_view bytes) {
  const std::size_t last = bytes.find_last_not_of("\r\n");
  if (last == std::string_view::npos || last + 1 == bytes.size()) return 0;
  const CodePoint c = last_character(bytes.substr(0, last + 1));
  return c.length > 0 && (UnicodeClasses::get().of(c.value) & kCharPunct) ? last + 1 : 0;
}

}  // namespace

JointTokenSplitter::JointTokenSplitter(const Tokenizer& tokenizer)
    : parts_(static_cast<std::size_t>(tokenizer.vocab_size())) {
  const TokenizerSpec& spec = tokenizer.files().spec;
  for (std::size_t id = 0; id < parts_.size(); ++id) {
    const TokenizerSpec::Token& token = spec.tokens[id];
    const std::size_t at = token.literal ? 0 : joint_at(token.bytes);
    if (at == 0) continue;
    tokenizer.encode_append(std::string_view(token.bytes).substr(0, at), parts_[id]);
    tokenizer.encode_append(std::string_view(token.bytes).substr(at), parts_[id]);
    ++num_joint_;
  }
}

std::vector<int> JointTokenSplitter::split(const std::vector<int>& ids, double rate, std::uint64_t seed,
                                           std::uint64_t document) const {
  HADAL_CHECK(rate >= 0 && rate <= 1, "rate of split tokens: got ", rate, ", want 0 to 1");
  const std::uint64_t document_seed = random_bits(seed, Stream::kSplitToken, document);
  std::vector<int> result;
  result.reserve(ids.size());
  std::uint64_t occurrence = 0;
  for (const int id : ids) {
    if (is_joint(id) && random_uniform(document_seed, Stream::kSplitToken, occurrence++) < rate) {
      const std::vector<int>& parts = parts_[static_cast<std::size_t>(id)];
      result.insert(result.end(), parts.begin(), parts.end());
    } else {
      result.push_back(id);
    }
  }
  return result;
}

}  // namespace hadal
