#include "data/tokenizer/tokenizer.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "data/tokenizer/nfc.h"
#include "data/tokenizer/word_cache.h"

namespace hadal {
/// What one thread needs while it encodes.
struct Tokenizer::Workspace {
  Regex::Workspace regex;
  Bpe::Workspace bpe;
  WordCache words;
  std::vector<int> piece_ids;
};

struct Tokenizer::Impl {
  Bpe bpe;
  Splitter splitter;
  // By [parse_special]: where it is off, only tokens that are ordinary text count.
  std::array<AddedTokenMatcher, 2> raw, normalized;
  std::vector<char> special;                           // by id
  std::unordered_map<std::string_view, int> token_of;  // only when merges are ignored for whole tokens
  std::mutex mutex;
  std::vector<std::unique_ptr<Workspace>> idle;

  bool no_text_tokens() const { return raw[0].empty() && normalized[0].empty(); }

  explicit Impl(const TokenizerSpec& spec)
      : bpe(spec),
        splitter(spec.splits),
        raw{AddedTokenMatcher(spec.added_tokens, [](const AddedToken& t) { return !t.normalized && is_text_token(t); }),
            AddedTokenMatcher(spec.added_tokens, [](const AddedToken& t) { return !t.normalized; })},
        normalized{
            AddedTokenMatcher(spec.added_tokens, [](const AddedToken& t) { return t.normalized && is_text_token(t); }),
            AddedTokenMatcher(spec.added_tokens, [](const AddedToken& t) { return t.normalized; })},
        special(spec.tokens.size(), 0) {
    for (const AddedToken& token : spec.added_tokens)
      if (token.special) special[static_cast<std::size_t>(token.id)] = 1;
    if (!spec.ignore_merges) return;
    for (int id = 0; id < spec.vocab_size(); ++id)
      if (const auto& token = spec.tokens[static_cast<std::size_t>(id)]; !token.literal && !token.bytes.empty())
        token_of.emplace(token.bytes, id);
  }
};

/// A workspace for the length of one call.
class Tokenizer::WorkspaceLoan {
 public:
  explicit WorkspaceLoan(Impl& impl) : impl_(impl) {
    const std::lock_guard lock(impl.mutex);
    if (impl.idle.empty()) return;
    workspace_ = std::move(impl.idle.back());
    impl.idle.pop_back();
  }
  ~WorkspaceLoan() {
    if (!workspace_) return;
    const std::lock_guard lock(impl_.mutex);
    impl_.idle.push_back(std::move(workspace_));
  }
  WorkspaceLoan(const WorkspaceLoan&) = delete;
  WorkspaceLoan& operator=(const WorkspaceLoan&) = delete;
  Workspace& operator*() {
    if (!workspace_) workspace_ = std::make_unique<Workspace>();
    return *workspace_;
  }

 private:
  Impl& impl_;
  std::unique_ptr<Workspace> workspace_;
};

Tokenizer::Tokenizer(TokenizerFiles files) : files_(std::move(files)), impl_(std::make_unique<Impl>(files_.spec)) {
  const TokenizerConfig& config = files_.config;
  const auto named = [&](const std::string& content, const char* what) {
    const int id = content.empty() ? -1 : added_id(content);
    HADAL_CHECK(content.empty() || id >= 0, "tokenizer_config.json: ", what, " \"", content,
                "\" is not an added token");
    return id;
  };
  bos_id_ = named(config.bos_token, "bos_token");
  eos_id_ = named(config.eos_token, "eos_token");
  pad_id_ = named(config.pad_token, "pad_token");
  // The Python classes replace the post-processor by what tokenizer_config.json says; here it fills in what is missing.
  prefix_ids_ = files_.spec.prefix_ids;
  suffix_ids_ = files_.spec.suffix_ids;
  if (prefix_ids_.empty() && config.add_bos_token && bos_id_ >= 0) prefix_ids_ = {bos_id_};
  if (suffix_ids_.empty() && config.add_eos_token && eos_id_ >= 0) suffix_ids_ = {eos_id_};
}
Tokenizer::~Tokenizer() = default;
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;

int Tokenizer::added_id(std::string_view content) const {
  return added_token_id(files_.spec, content);
}

bool Tokenizer::is_special(int id) const {
  return id >= 0 && id < vocab_size() && impl_->special[static_cast<std::size_t>(id)] != 0;
}

std::string_view Tokenizer::token_bytes(int id) const {
  if (id < 0 || id >= vocab_size()) return {};
  return files_.spec.tokens[static_cast<std::size_t>(id)].bytes;
}

std::vector<int> Tokenizer::text_bytes_per_token() const {
  std::vector<int> bytes;
  bytes.reserve(files_.spec.tokens.size());
  for (int id = 0; id < vocab_size(); ++id)
    bytes.push_back(is_special(id) ? 0 : static_cast<int>(token_bytes(id).size()));
  return bytes;
}

std::vector<int> Tokenizer::encode(std::string_view text, const EncodeOptions& options) const {
  const TextSegment segment{text, options.parse_special};
  return encode({&segment, 1}, options.add_special);
}

std::vector<int> Tokenizer::encode(std::span<const TextSegment> segments, bool add_special) const {
  WorkspaceLoan workspace(*impl_);
  std::vector<int> ids;
  if (add_special) ids = prefix_ids_;
  encode_segments(segments, *workspace, ids);
  if (add_special) ids.insert(ids.end(), suffix_ids_.begin(), suffix_ids_.end());
  return ids;
}

void Tokenizer::encode_append(std::string_view text, std::vector<int>& ids) const {
  WorkspaceLoan workspace(*impl_);
  const TextSegment segment{text, false};
  encode_segments({&segment, 1}, *workspace, ids);
}

std::vector<std::vector<int>> Tokenizer::encode_batch(ThreadPool& pool, std::span<const std::string_view> texts,
                                                      const EncodeOptions& options) const {
  std::vector<std::vector<int>> ids(texts.size());
  pool.parallel_for(static_cast<index_t>(texts.size()), [&](index_t i, int) {
    ids[static_cast<std::size_t>(i)] = encode(texts[static_cast<std::size_t>(i)], options);
  });
  return ids;
}

std::string Tokenizer::decode(std::span<const int> ids, bool skip_special) const {
  std::string text;
  for (const int id : ids)
    if (!skip_special || !is_special(id)) text += token_bytes(id);
  return text;
}

/// Segments as one text, and where each kind of it begins and ends.
struct Tokenizer::Stretches {
  struct Range {
    std::size_t begin, end;
    bool parse_special;
  };
  std::string text;
  std::vector<Range> ranges;  // consecutive, none empty, neighbours of different kinds

  void add(std::string_view part, bool parse_special) {
    if (part.empty()) return;
    const std::size_t begin = text.size();
    text += part;
    if (!ranges.empty() && ranges.back().parse_special == parse_special) {
      ranges.back().end = text.size();
    } else {
      ranges.push_back({begin, text.size(), parse_special});
    }
  }
  std::vector<AddedTokenMatcher::Match> find(const std::array<AddedTokenMatcher, 2>& matchers) const {
    std::vector<AddedTokenMatcher::Match> matches;
    for (const Range& range : ranges)
      matchers[range.parse_special ? 1 : 0].find_all(text, range.begin, range.end, matches);
    return matches;
  }
};

void Tokenizer::encode_segments(std::span<const TextSegment> segments, Workspace& workspace,
                                std::vector<int>& ids) const {
  const bool only_pieces =
      !files_.spec.normalize_nfc && segments.size() == 1 && !segments[0].parse_special && impl_->no_text_tokens();
  if (only_pieces) return encode_pieces(segments[0].text, workspace, ids);
  Stretches stretches;
  for (const TextSegment& segment : segments) stretches.add(segment.text, segment.parse_special);
  std::size_t from = 0;
  for (const AddedTokenMatcher::Match& match : stretches.find(impl_->raw)) {
    encode_between(stretches, from, match.begin, workspace, ids);
    ids.push_back(match.id);
    from = match.end;
  }
  encode_between(stretches, from, stretches.text.size(), workspace, ids);
}

/// What the added tokens that are looked for first leave over: normalised, and searched for the others.
void Tokenizer::encode_between(const Stretches& stretches, std::size_t begin, std::size_t end, Workspace& workspace,
                               std::vector<int>& ids) const {
  const bool nfc = files_.spec.normalize_nfc;
  if (begin == end) return;
  if (!nfc && impl_->normalized[1].empty())
    return encode_pieces(std::string_view(stretches.text).substr(begin, end - begin), workspace, ids);
  Stretches part;
  auto range = std::upper_bound(stretches.ranges.begin(), stretches.ranges.end(), begin,
                                [](std::size_t at, const Stretches::Range& r) { return at < r.end; });
  for (; range != stretches.ranges.end() && range->begin < end; ++range) {
    const std::size_t first = std::max(begin, range->begin), last = std::min(end, range->end);
    const std::string_view text = std::string_view(stretches.text).substr(first, last - first);
    nfc ? part.add(to_nfc(text), range->parse_special) : part.add(text, range->parse_special);
  }
  std::size_t from = 0;
  const std::string_view text = part.text;
  for (const AddedTokenMatcher::Match& match : part.find(impl_->normalized)) {
    encode_pieces(text.substr(from, match.begin - from), workspace, ids);
    ids.push_back(match.id);
    from = match.end;
  }
  encode_pieces(text.substr(from), workspace, ids);
}

void Tokenizer::encode_pieces(std::string_view text, Workspace& w, std::vector<int>& ids) const {
  const char* const text_end = text.data() + text.size();
  const auto merge = [&](std::string_view piece, std::vector<int>& out) {
    if (!impl_->token_of.empty())
      if (const auto whole = impl_->token_of.find(piece); whole != impl_->token_of.end())
        return out.push_back(whole->second);
    impl_->bpe.encode(piece, w.bpe, out);
  };
  impl_->splitter.split(text, w.regex, [&](std::string_view piece) {
    if (piece.size() <= WordCache::kMaxBytes) {
      const WordCache::Key key = WordCache::key_of(piece, text_end);
      if (const WordCache::Entry* entry = w.words.find(key)) {
        ids.insert(ids.end(), entry->ids.begin(), entry->ids.begin() + entry->num_ids);
        return;
      }
      w.piece_ids.clear();
      merge(piece, w.piece_ids);
      if (w.piece_ids.size() <= WordCache::kMaxIds) w.words.insert(key, w.piece_ids);
      ids.insert(ids.end(), w.piece_ids.begin(), w.piece_ids.end());
    } else {
      merge(piece, ids);
    }
  });
}

}  // namespace hadal
