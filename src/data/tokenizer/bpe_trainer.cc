#include "data/tokenizer/bpe_trainer.h"

#include <algorithm>
#include <numeric>
#include <queue>
#include <set>

#include "base/error.h"
#include "base/utf8.h"
#include "data/tokenizer/pair_counts.h"
#include "data/tokenizer/presets.h"
#include "formats/byte_level.h"

namespace hadal {
namespace {

/// A pair that may be merged next. The count may be out of date; it is checked when the pair comes up.
struct Candidate {
  std::int64_t count = 0;
  std::uint64_t pair = 0;
  std::uint32_t index = 0;
  bool operator<(const Candidate& other) const {
    return count != other.count ? count < other.count
                                : pair > other.pair;  // the greatest: most often, then smallest ids
  }
};

class Trainer {
 public:
  Trainer(std::span<const WordCount> words, const TokenizerTrainOptions& options, TokenizerSpec& spec,
          const std::array<std::uint32_t, 256>& byte_token)
      : options_(options), spec_(spec) {
    for (const WordCount& word : words) add_word(word, byte_token);
    for (std::uint32_t word = 0; word + 1 < begins_.size(); ++word)
      for (std::size_t i = begins_[word] + 1; i < begins_[word + 1]; ++i)
        change(symbols_[i - 1], symbols_[i], word, counts_[word]);
    lengths_.resize(counts_.size());
    for (std::size_t word = 0; word < counts_.size(); ++word)
      lengths_[word] = static_cast<std::uint32_t>(begins_[word + 1] - begins_[word]);
    queue_new_pairs();
  }

  /// Adds the next merge and its token; false when no pair is left.
  bool step() {
    while (!queue_.empty()) {
      Candidate top = queue_.top();
      queue_.pop();
      PairCounts::Entry& entry = pairs_[top.index];
      if (entry.count < options_.min_count) continue;
      if (entry.count != top.count) {
        top.count = entry.count;
        queue_.push(top);
        continue;
      }
      const auto left = static_cast<std::uint32_t>(top.pair >> 32), right = static_cast<std::uint32_t>(top.pair);
      std::string bytes = spec_.tokens[left].bytes + spec_.tokens[right].bytes;
      if (options_.max_token_bytes > 0 && bytes.size() > static_cast<std::size_t>(options_.max_token_bytes)) continue;
      const auto result = static_cast<std::uint32_t>(spec_.tokens.size());
      spec_.tokens.push_back({.bytes = std::move(bytes)});
      spec_.merges.push_back({static_cast<int>(left), static_cast<int>(right), static_cast<int>(result)});
      const std::vector<std::uint32_t> words = std::exchange(entry.words, {});
      for (const std::uint32_t word : words) merge_in_word(word, left, right, result);
      pairs_[top.index].count = 0;
      queue_new_pairs();
      return true;
    }
    return false;
  }

 private:
  /// Without digit merges a digit ends the word before it and starts the one behind it.
  void add_word(const WordCount& word, const std::array<std::uint32_t, 256>& byte_token) {
    const auto is_border = [&](char c) { return !options_.digit_merges && c >= '0' && c <= '9'; };
    std::size_t begin = 0;
    for (std::size_t i = 0; i <= word.bytes.size(); ++i) {
      if (i < word.bytes.size() && !is_border(word.bytes[i])) continue;
      if (i - begin >= 2) {
        for (std::size_t j = begin; j < i; ++j)
          symbols_.push_back(byte_token[static_cast<unsigned char>(word.bytes[j])]);
        begins_.push_back(symbols_.size());
        counts_.push_back(static_cast<std::int64_t>(word.count));
      }
      begin = i + 1;
    }
  }

  void change(std::uint32_t left, std::uint32_t right, std::uint32_t word, std::int64_t by) {
    PairCounts::Entry& entry = pairs_[pairs_.index_of(token_pair(left, right))];
    entry.count += by;
    if (by > 0 && (entry.words.empty() || entry.words.back() != word)) entry.words.push_back(word);
  }

  /// Replaces left, right by result in one word, from the left, and counts the pairs that come and go. (left, right)
  /// itself is left alone: none of it remains.
  void merge_in_word(std::uint32_t word, std::uint32_t left, std::uint32_t right, std::uint32_t result) {
    std::uint32_t* const s = symbols_.data() + begins_[word];
    const std::uint32_t n = lengths_[word];
    const std::int64_t count = counts_[word];
    const auto matches = [&](std::uint32_t i) { return i + 1 < n && s[i] == left && s[i + 1] == right; };
    std::uint32_t out = 0, i = 0;
    bool after_match = false;  // the symbols at i - 2, i - 1 were merged
    while (i < n) {
      if (!matches(i)) {
        s[out++] = s[i++];
        after_match = false;
        continue;
      }
      // s[out - 1] is the left neighbour as it is now, and as it was unless it was merged too.
      if (out > 0) {
        if (!after_match) change(s[out - 1], left, word, -count);
        change(s[out - 1], result, word, count);
      }
      if (i + 2 < n) {
        change(right, s[i + 2], word, -count);
        if (!matches(i + 2)) change(result, s[i + 2], word, count);
      }
      s[out++] = result;
      i += 2;
      after_match = true;
    }
    lengths_[word] = out;
  }

  void queue_new_pairs() {
    for (; num_queued_ < pairs_.size(); ++num_queued_)
      queue_.push({.count = pairs_[num_queued_].count, .pair = pairs_[num_queued_].pair, .index = num_queued_});
  }

  const TokenizerTrainOptions& options_;
  TokenizerSpec& spec_;
  std::vector<std::uint32_t> symbols_;  // of all words, one after the other; words shrink in place
  std::vector<std::size_t> begins_ = {0};
  std::vector<std::uint32_t> lengths_;
  std::vector<std::int64_t> counts_;
  PairCounts pairs_;
  std::uint32_t num_queued_ = 0;
  std::priority_queue<Candidate> queue_;
};

std::array<std::uint32_t, 256> add_byte_tokens(TokenizerSpec& spec) {
  std::array<int, 256> order;
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [](int a, int b) {
    return byte_level_character(static_cast<unsigned char>(a)) < byte_level_character(static_cast<unsigned char>(b));
  });
  std::array<std::uint32_t, 256> byte_token{};
  for (const int byte : order) {
    byte_token[static_cast<std::size_t>(byte)] = static_cast<std::uint32_t>(spec.tokens.size());
    spec.tokens.push_back({.bytes = std::string(1, static_cast<char>(byte))});
  }
  return byte_token;
}

void add_added_token(TokenizerSpec& spec, AddedToken token) {
  token.id = spec.vocab_size();
  spec.tokens.push_back({.bytes = token.content, .literal = true});
  spec.added_tokens.push_back(std::move(token));
}

/// The added tokens behind the merges, without ids.
std::vector<AddedToken> tokens_at_end(const TokenizerTrainOptions& options, int num_reserved) {
  std::vector<AddedToken> tokens;
  for (const std::string& content : options.special) tokens.push_back({.content = content, .special = true});
  for (AddedToken& token : trailing_added_tokens(num_reserved)) tokens.push_back(std::move(token));
  return tokens;
}

/// Ids that are no merges.
int num_fixed_ids(const TokenizerTrainOptions& options) {
  return static_cast<int>(leading_added_tokens().size() + tokens_at_end(options, options.num_reserved).size()) + 256;
}

}  // namespace

void check_train_options(const TokenizerTrainOptions& options) {
  for (const std::string& split : preset_splits(options.preset)) Regex{split};
  constexpr int kMostReserved = 1 << 16;
  HADAL_CHECK(options.num_reserved >= 0 && options.num_reserved <= kMostReserved, "num_reserved: got ",
              options.num_reserved, ", want 0 to ", kMostReserved);
  HADAL_CHECK(options.min_count >= 1, "min_count: got ", options.min_count, ", want 1 or more");
  std::set<std::string> seen;
  for (const AddedToken& token : leading_added_tokens()) seen.insert(token.content);
  for (const AddedToken& token : trailing_added_tokens(options.num_reserved)) seen.insert(token.content);
  for (const std::string& content : options.special) {
    HADAL_CHECK(!content.empty() && well_formed_prefix(content) == content.size(), "special: got \"",
                replace_ill_formed(content), "\", want a text in UTF-8 that is not empty");
    HADAL_CHECK(seen.insert(content).second, "special: \"", content, "\" is there already");
  }
  const int fixed = num_fixed_ids(options);
  HADAL_CHECK(options.vocab_size >= fixed && options.vocab_size < (1 << 20), "vocab_size: got ", options.vocab_size,
              ", want ", fixed, " (256 bytes, control tokens and ", options.num_reserved, " reserved) to ",
              (1 << 20) - 1);
}

TokenizerTrainResult train_tokenizer(std::span<const WordCount> words, const TokenizerTrainOptions& options,
                                     const std::function<void(int, int)>& progress) {
  check_train_options(options);
  TokenizerTrainResult result;
  TokenizerSpec& spec = result.files.spec;
  apply_preset(options.preset, spec);
  for (AddedToken& token : leading_added_tokens()) add_added_token(spec, std::move(token));
  const std::array<std::uint32_t, 256> byte_token = add_byte_tokens(spec);
  const int wanted = options.vocab_size - num_fixed_ids(options);
  {
    Trainer trainer(words, options, spec, byte_token);
    while (result.num_merges < wanted && trainer.step()) {
      ++result.num_merges;
      if (progress && (result.num_merges % 256 == 0 || result.num_merges == wanted))
        progress(result.num_merges, wanted);
    }
  }
  result.num_unused = wanted - result.num_merges;
  for (AddedToken& token : tokens_at_end(options, options.num_reserved + result.num_unused))
    add_added_token(spec, std::move(token));
  spec.prefix_ids = {0};
  result.files.config = {.bos_token = kBosToken, .eos_token = kEosToken, .pad_token = kPadToken, .add_bos_token = true};
  return result;
}

}  // namespace hadal
