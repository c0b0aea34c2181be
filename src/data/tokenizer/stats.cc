#include "data/tokenizer/stats.h"

#include <algorithm>
#include <array>
#include <functional>
#include <numeric>
#include <span>
#include <unordered_set>

#include "base/log.h"
#include "base/utf8.h"
#include "data/tokenizer/scripts.h"

namespace hadal {
namespace {

constexpr std::size_t kBatchBytes = 16 << 20;

/// Tokens and bytes by the script that they belong to.
struct ScriptCounts {
  std::array<std::int64_t, kNumScripts> tokens{}, bytes{};
};

/// What one tokenizer made of some documents.
struct Counts {
  std::int64_t tokens = 0;
  ScriptCounts scripts;
  std::vector<std::int64_t> uses;  // by id
};

/// The script of every byte of a text: that of the character it is part of.
std::vector<std::uint8_t> scripts_of(std::string_view text) {
  const ScriptTable& table = ScriptTable::get();
  std::vector<std::uint8_t> scripts(text.size(), 0);
  for (std::size_t i = 0; i < text.size();) {
    const CodePoint c = decode_utf8(text.data() + i, text.data() + text.size());
    const auto length = static_cast<std::size_t>(std::max(c.length, 1));
    if (c.length > 0)
      std::fill_n(scripts.begin() + static_cast<std::ptrdiff_t>(i), length,
                  static_cast<std::uint8_t>(table.of(c.value)));
    i += length;
  }
  return scripts;
}

/// The first script with letters of a token, else the highest of the others (digit before punctuation before space).
std::size_t script_of_token(std::span<const std::uint8_t> bytes) {
  std::uint8_t best = 0;
  for (const std::uint8_t script : bytes) {
    if (script >= static_cast<std::uint8_t>(Script::kLatin)) return script;
    best = std::max(best, script);
  }
  return best;
}

void count_document(const Tokenizer& tokenizer, const std::vector<std::uint8_t>& scripts, const std::vector<int>& ids,
                    Counts& counts) {
  counts.uses.resize(static_cast<std::size_t>(tokenizer.vocab_size()), 0);
  counts.tokens += static_cast<std::int64_t>(ids.size());
  std::size_t at = 0;
  for (const int id : ids) {
    ++counts.uses[static_cast<std::size_t>(id)];
    // Normalised text may be longer than the original; what is beyond counts as other.
    const std::size_t length = tokenizer.token_bytes(id).size(), begin = std::min(at, scripts.size());
    const std::size_t script =
        script_of_token(std::span(scripts).subspan(begin, std::min(length, scripts.size() - begin)));
    ++counts.scripts.tokens[script];
    counts.scripts.bytes[script] += static_cast<std::int64_t>(length);
    at += length;
  }
}

void add(Counts& sum, const Counts& part) {
  sum.tokens += part.tokens;
  for (std::size_t s = 0; s < kNumScripts; ++s) {
    sum.scripts.tokens[s] += part.scripts.tokens[s];
    sum.scripts.bytes[s] += part.scripts.bytes[s];
  }
  sum.uses.resize(std::max(sum.uses.size(), part.uses.size()), 0);
  for (std::size_t id = 0; id < part.uses.size(); ++id) sum.uses[id] += part.uses[id];
}

/// Of one input, or of all.
struct InputCounts {
  std::int64_t documents = 0, bytes = 0, characters = 0;
  Counts mine, other;
};

void add_input(InputCounts& sum, const InputCounts& part) {
  sum.documents += part.documents;
  sum.bytes += part.bytes;
  sum.characters += part.characters;
  add(sum.mine, part.mine);
  add(sum.other, part.other);
}

class Counter {
 public:
  Counter(ThreadPool& pool, const Tokenizer& tokenizer, const Tokenizer* other)
      : pool_(pool), tokenizer_(tokenizer), other_(other), workers_(static_cast<std::size_t>(pool.num_threads())) {}

  InputCounts count(const std::string& input, const TextReadOptions& read, TextReadCounts& read_counts) {
    InputCounts result;
    std::vector<std::string> texts;
    std::size_t pending = 0;
    read_documents(input, read, read_counts, [&](std::string&& text) {
      pending += text.size();
      texts.push_back(std::move(text));
      if (pending < kBatchBytes) return;
      count_batch(texts, result);
      texts.clear();
      pending = 0;
    });
    count_batch(texts, result);
    return result;
  }

 private:
  void count_batch(const std::vector<std::string>& texts, InputCounts& result) {
    for (InputCounts& worker : workers_) worker = {};
    pool_.parallel_for(static_cast<index_t>(texts.size()), [&](index_t task, int w) {
      const std::string& text = texts[static_cast<std::size_t>(task)];
      InputCounts& counts = workers_[static_cast<std::size_t>(w)];
      const std::vector<std::uint8_t> scripts = scripts_of(text);
      ++counts.documents;
      counts.bytes += static_cast<std::int64_t>(text.size());
      counts.characters += std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; });
      count_document(tokenizer_, scripts, tokenizer_.encode(text), counts.mine);
      if (other_ != nullptr) count_document(*other_, scripts, other_->encode(text), counts.other);
    });
    for (const InputCounts& worker : workers_) add_input(result, worker);
  }

  ThreadPool& pool_;
  const Tokenizer& tokenizer_;
  const Tokenizer* other_;
  std::vector<InputCounts> workers_;
};

Json ratio(std::int64_t a, std::int64_t b) {
  return b == 0 ? Json(nullptr) : Json(static_cast<double>(a) / static_cast<double>(b));
}

JsonObject input_json(const InputCounts& counts, bool with_other) {
  JsonObject json{{"documents", counts.documents},
                  {"bytes", counts.bytes},
                  {"characters", counts.characters},
                  {"tokens", counts.mine.tokens},
                  {"bytes_per_token", ratio(counts.bytes, counts.mine.tokens)},
                  {"characters_per_token", ratio(counts.characters, counts.mine.tokens)}};
  if (with_other) {
    json["other_tokens"] = counts.other.tokens;
    json["other_bytes_per_token"] = ratio(counts.bytes, counts.other.tokens);
    json["tokens_ratio"] = ratio(counts.mine.tokens, counts.other.tokens);
  }
  return json;
}

JsonObject scripts_json(const InputCounts& all, bool with_other) {
  JsonObject json;
  for (std::size_t s = 0; s < kNumScripts; ++s) {
    const ScriptCounts &mine = all.mine.scripts, &other = all.other.scripts;
    if (mine.tokens[s] == 0 && other.tokens[s] == 0) continue;
    JsonObject entry{{"bytes", mine.bytes[s]},
                     {"tokens", mine.tokens[s]},
                     {"bytes_per_token", ratio(mine.bytes[s], mine.tokens[s])}};
    if (with_other) {
      entry["other_tokens"] = other.tokens[s];
      entry["other_bytes_per_token"] = ratio(other.bytes[s], other.tokens[s]);
    }
    json[std::string(script_name(static_cast<Script>(s)))] = std::move(entry);
  }
  return json;
}

JsonObject token_json(const Tokenizer& tokenizer, int id, const char* what, std::int64_t value) {
  return {{"id", id}, {"text", replace_ill_formed(tokenizer.token_bytes(id))}, {what, value}};
}

/// The first `top` ids by `value`, largest first, of equal ones the smaller id first.
JsonArray top_tokens(const Tokenizer& tokenizer, int top, const char* what,
                     const std::function<std::int64_t(int)>& value) {
  std::vector<int> ids(static_cast<std::size_t>(tokenizer.vocab_size()));
  std::iota(ids.begin(), ids.end(), 0);
  const auto end = ids.begin() + std::min<std::ptrdiff_t>(top, std::ssize(ids));
  std::partial_sort(ids.begin(), end, ids.end(),
                    [&](int a, int b) { return value(a) != value(b) ? value(a) > value(b) : a < b; });
  JsonArray list;
  for (auto id = ids.begin(); id != end; ++id)
    if (value(*id) > 0) list.push_back(token_json(tokenizer, *id, what, value(*id)));
  return list;
}

/// Whether an id is a token of the vocabulary proper.
bool is_text(const Tokenizer& tokenizer, int id) {
  const TokenizerSpec::Token& token = tokenizer.files().spec.tokens[static_cast<std::size_t>(id)];
  return !token.literal && !token.bytes.empty();
}

JsonObject vocabulary_json(const Tokenizer& tokenizer, const Tokenizer* other, int top) {
  const TokenizerSpec& spec = tokenizer.files().spec;
  std::int64_t tokens = 0, shared = 0;
  std::unordered_set<std::string_view> theirs;
  if (other != nullptr)
    for (int id = 0; id < other->vocab_size(); ++id)
      if (is_text(*other, id)) theirs.insert(other->token_bytes(id));
  for (int id = 0; id < tokenizer.vocab_size(); ++id) {
    tokens += is_text(tokenizer, id) ? 1 : 0;
    shared += is_text(tokenizer, id) && theirs.contains(tokenizer.token_bytes(id)) ? 1 : 0;
  }
  JsonObject json{{"size", tokenizer.vocab_size()},
                  {"tokens", tokens},
                  {"added", spec.added_tokens.size()},
                  {"merges", spec.merges.size()},
                  {"longest", top_tokens(tokenizer, top, "bytes", [&](int id) {
                     return is_text(tokenizer, id) ? std::ssize(tokenizer.token_bytes(id)) : 0;
                   })}};
  if (other != nullptr) json["shared"] = shared;
  return json;
}

/// Tokens of the vocabulary proper that no text used.
JsonObject unused_json(const Tokenizer& tokenizer, const Counts& counts, int top) {
  std::int64_t count = 0;
  JsonArray first;
  for (int id = 0; id < tokenizer.vocab_size(); ++id) {
    const auto i = static_cast<std::size_t>(id);
    if (!is_text(tokenizer, id) || (i < counts.uses.size() && counts.uses[i] > 0)) continue;
    if (count++ < top) first.push_back(id);
  }
  return {{"count", count}, {"ids", std::move(first)}};
}

}  // namespace

JsonObject tokenizer_stats(ThreadPool& pool, const Tokenizer& tokenizer, const Tokenizer* other,
                           const TokenizerStatsOptions& options) {
  HADAL_CHECK(options.top >= 0, "top: got ", options.top, ", want 0 or more");
  const bool with_other = other != nullptr;
  Counter counter(pool, tokenizer, other);
  InputCounts all;
  JsonArray inputs;
  TextReadCounts read_counts;
  for (const std::string& input : options.inputs) {
    const InputCounts counts = counter.count(input, options.read, read_counts);
    JsonObject entry{{"input", input}};
    for (const auto& [key, value] : input_json(counts, with_other)) entry[key] = value;
    inputs.push_back(std::move(entry));
    add_input(all, counts);
  }
  if (read_counts.bad_documents > 0)
    log_warning(read_counts.bad_documents, " lines could not be used; the first: ", read_counts.first_bad);
  JsonObject total = input_json(all, with_other);
  total["unused"] = unused_json(tokenizer, all.mine, options.top);
  total["most_used"] = top_tokens(tokenizer, options.top, "count", [&](int id) {
    const auto i = static_cast<std::size_t>(id);
    return i < all.mine.uses.size() ? all.mine.uses[i] : 0;
  });
  return {{"vocabulary", vocabulary_json(tokenizer, other, options.top)},
          {"inputs", std::move(inputs)},
          {"total", std::move(total)},
          {"scripts", scripts_json(all, with_other)}};
}

}  // namespace hadal
