#include "formats/tokenizer_json.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "base/json.h"
#include "formats/byte_level.h"
#include "formats/pre_tokenizers.h"

namespace hadal {
namespace {

/// File text of a token to its id. The views point into the JSON value.
using TokenIds = std::unordered_map<std::string_view, int>;

std::string_view view_of(const boost::json::string& s) {
  return {s.data(), s.size()};
}

const JsonArray& array_of(const Json& value, std::string_view at) {
  const JsonArray* array = value.if_array();
  if (array == nullptr) fail(at, ": got ", json_excerpt(value), ", want an array");
  return *array;
}

/// A literal string as a regex.
std::string quoted_regex(std::string_view text) {
  std::string regex;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain =
        byte >= 0x80 || (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z');
    if (!plain) regex += '\\';
    regex += c;
  }
  return regex;
}

void expect_false(ObjectReader& reader, std::string_view key) {
  if (reader.get_or<bool>(key, false)) reader.reject(key, "false");
}

void read_normalizer(const Json& value, std::string_view where, const std::string& path, TokenizerSpec& spec) {
  ObjectReader reader(value, where, path);
  const auto type = reader.get<std::string>("type");
  if (type == "Sequence") {
    const JsonArray& parts = array_of(reader.value("normalizers"), reader.at("normalizers"));
    for (std::size_t i = 0; i < parts.size(); ++i)
      read_normalizer(parts[i], where, str_cat(path, ".normalizers[", i, "]"), spec);
  } else if (type == "NFC") {
    spec.normalize_nfc = true;
  } else {
    reader.reject("type", "Sequence|NFC");
  }
  reader.finish();
}

void read_split(ObjectReader& reader, TokenizerSpec& spec) {
  ObjectReader pattern = reader.object("pattern");
  std::string regex;
  if (const auto text = pattern.find<std::string>("Regex")) {
    regex = *text;
  } else {
    regex = quoted_regex(pattern.get<std::string>("String"));
  }
  pattern.finish();
  if (regex.empty()) reader.reject("pattern", "a pattern that is not empty");
  if (reader.get<std::string>("behavior") != "Isolated") reader.reject("behavior", "Isolated");
  expect_false(reader, "invert");
  spec.splits.push_back(std::move(regex));
}

/// Returns true when the byte-level alphabet is applied, which must come last.
bool read_pre_tokenizer(const Json& value, std::string_view where, const std::string& path, TokenizerSpec& spec) {
  ObjectReader reader(value, where, path);
  const auto type = reader.get<std::string>("type");
  bool byte_level = false;
  if (type == "Sequence") {
    const JsonArray& parts = array_of(reader.value("pretokenizers"), reader.at("pretokenizers"));
    for (std::size_t i = 0; i < parts.size(); ++i) {
      if (byte_level) reader.reject("pretokenizers", "ByteLevel as the last one");
      byte_level = read_pre_tokenizer(parts[i], where, str_cat(path, ".pretokenizers[", i, "]"), spec);
    }
  } else if (type == "Split") {
    read_split(reader, spec);
  } else if (type == "Digits") {
    spec.splits.emplace_back(reader.get_or<bool>("individual_digits", false) ? "\\p{N}" : "\\p{N}+");
  } else if (type == "ByteLevel") {
    expect_false(reader, "add_prefix_space");
    reader.skip("trim_offsets");
    if (reader.get_or<bool>("use_regex", true)) spec.splits.emplace_back(kGpt2Split);
    byte_level = true;
  } else {
    reader.reject("type", "Sequence|Split|Digits|ByteLevel");
  }
  reader.finish();
  return byte_level;
}

void read_decoder(const Json& value, std::string_view where, const std::string& path) {
  ObjectReader reader(value, where, path);
  const auto type = reader.get<std::string>("type");
  if (type == "Sequence") {
    const JsonArray& parts = array_of(reader.value("decoders"), reader.at("decoders"));
    for (std::size_t i = 0; i < parts.size(); ++i) read_decoder(parts[i], where, str_cat(path, ".decoders[", i, "]"));
  } else if (type == "ByteLevel") {
    for (const char* key : {"add_prefix_space", "trim_offsets", "use_regex"}) reader.skip(key);
  } else {
    reader.reject("type", "Sequence|ByteLevel");
  }
  reader.finish();
}

/// "single": [{"SpecialToken": {"id": name}}, {"Sequence": {"id": "A"}}, ...] with the ids of each name in
/// "special_tokens".
void read_template(ObjectReader& reader, TokenizerSpec& spec) {
  ObjectReader specials = reader.object("special_tokens");
  const JsonArray& single = array_of(reader.value("single"), reader.at("single"));
  bool after_text = false;
  for (std::size_t i = 0; i < single.size(); ++i) {
    ObjectReader step(single[i], reader.at("single"), str_cat("[", i, "]"));
    if (step.has("Sequence")) {
      if (after_text) reader.reject("single", "one Sequence");
      after_text = true;
      continue;
    }
    ObjectReader token = step.object("SpecialToken");
    ObjectReader entry = specials.object(token.get<std::string>("id"));
    for (const int id : entry.get<std::vector<int>>("ids")) {
      if (id < 0 || id >= spec.vocab_size() || spec.tokens[id].bytes.empty())
        entry.reject("ids", "ids of the vocabulary");
      (after_text ? spec.suffix_ids : spec.prefix_ids).push_back(id);
    }
  }
  if (!after_text) reader.reject("single", "one Sequence");
  reader.skip("pair");
}

void read_post_processor(const Json& value, std::string_view where, const std::string& path, TokenizerSpec& spec) {
  ObjectReader reader(value, where, path);
  const auto type = reader.get<std::string>("type");
  if (type == "Sequence") {
    const JsonArray& parts = array_of(reader.value("processors"), reader.at("processors"));
    for (std::size_t i = 0; i < parts.size(); ++i)
      read_post_processor(parts[i], where, str_cat(path, ".processors[", i, "]"), spec);
  } else if (type == "ByteLevel") {  // moves offsets only
    for (const char* key : {"add_prefix_space", "trim_offsets", "use_regex"}) reader.skip(key);
  } else if (type == "TemplateProcessing") {
    if (!spec.prefix_ids.empty() || !spec.suffix_ids.empty()) reader.reject("type", "one TemplateProcessing");
    read_template(reader, spec);
  } else {
    reader.reject("type", "Sequence|ByteLevel|TemplateProcessing");
  }
  reader.finish();
}

/// Room for `id`, which a file of `num_entries` tokens names. Holes are allowed, wasting memory is not.
TokenizerSpec::Token& token_slot(TokenizerSpec& spec, std::int64_t id, std::size_t num_entries, std::string_view at) {
  const auto limit = static_cast<std::int64_t>(2 * num_entries + 65536);
  HADAL_CHECK(id >= 0 && id < limit, at, ": got id ", id, ", want 0 to ", limit - 1, " for ", num_entries, " tokens");
  if (id >= spec.vocab_size()) spec.tokens.resize(static_cast<std::size_t>(id) + 1);
  return spec.tokens[static_cast<std::size_t>(id)];
}

TokenIds read_vocab(const Json& value, std::string_view at, TokenizerSpec& spec) {
  const JsonObject* vocab = value.if_object();
  if (vocab == nullptr) fail(at, ": got ", json_excerpt(value), ", want an object");
  TokenIds ids;
  ids.reserve(vocab->size());
  spec.tokens.reserve(vocab->size());
  for (const auto& [key, id_value] : *vocab) {
    const std::string_view text{key.data(), key.size()};
    HADAL_CHECK(!text.empty(), at, ": an empty token");
    const auto id = json_as<std::int64_t>(id_value, at);
    TokenizerSpec::Token& token = token_slot(spec, id, vocab->size(), at);
    HADAL_CHECK(token.bytes.empty(), at, ": two tokens with id ", id);
    if (!byte_level_decode(text, token.bytes)) token = {.bytes = std::string(text), .literal = true};
    ids.emplace(text, static_cast<int>(id));
  }
  return ids;
}

/// "left right" or ["left", "right"].
std::pair<std::string_view, std::string_view> merge_parts(const Json& value, std::string_view at) {
  if (const auto* text = value.if_string()) {
    const std::string_view both = view_of(*text);
    const std::size_t space = both.find(' ');
    if (space != std::string_view::npos && both.find(' ', space + 1) == std::string_view::npos)
      return {both.substr(0, space), both.substr(space + 1)};
  } else if (const auto* pair = value.if_array(); pair != nullptr && pair->size() == 2) {
    const auto *left = (*pair)[0].if_string(), *right = (*pair)[1].if_string();
    if (left != nullptr && right != nullptr) return {view_of(*left), view_of(*right)};
  }
  fail(at, ": got ", json_excerpt(value), ", want two tokens");
}

void read_merges(const JsonArray& merges, std::string_view at, const TokenIds& ids, TokenizerSpec& spec) {
  spec.merges.reserve(merges.size());
  std::string joined;
  for (std::size_t i = 0; i < merges.size(); ++i) {
    const auto [left, right] = merge_parts(merges[i], at);
    joined.assign(left).append(right);
    const auto id_of = [&](std::string_view token) {
      const auto found = ids.find(token);
      if (found == ids.end()) fail(at, "[", i, "]: \"", token, "\" is not in the vocabulary");
      return found->second;
    };
    spec.merges.push_back({id_of(left), id_of(right), id_of(joined)});
  }
}

/// A setting that must be off: null, false, 0 or "".
void expect_off(ObjectReader& reader, std::string_view key) {
  const Json* v = reader.find_value(key);
  if (v == nullptr || (v->is_bool() && !v->get_bool()) || (v->is_string() && v->get_string().empty())) return;
  if (v->is_number() && v->to_number<double>() == 0) return;
  reader.reject(key, "null");
}

void read_model(ObjectReader reader, TokenizerSpec& spec) {
  if (reader.get_or<std::string>("type", "BPE") != "BPE") reader.reject("type", "BPE");
  for (const char* key : {"dropout", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback"})
    expect_off(reader, key);
  for (const char* key : {"unk_token", "fuse_unk"}) reader.skip(key);  // every byte is a token: nothing is unknown
  spec.ignore_merges = reader.get_or<bool>("ignore_merges", false);
  const TokenIds ids = read_vocab(reader.value("vocab"), reader.at("vocab"), spec);
  read_merges(array_of(reader.value("merges"), reader.at("merges")), reader.at("merges"), ids, spec);
  reader.finish();
}

void read_added_tokens(const JsonArray& added, std::string_view where, TokenizerSpec& spec) {
  std::unordered_map<std::string, std::int64_t> seen;
  const std::size_t num_entries = spec.tokens.size() + added.size();
  for (std::size_t i = 0; i < added.size(); ++i) {
    ObjectReader reader(added[i], where, str_cat("added_tokens[", i, "]"));
    AddedToken token{.content = reader.get<std::string>("content"),
                     .special = reader.get_or<bool>("special", false),
                     .normalized = reader.get_or<bool>("normalized", true),
                     .single_word = reader.get_or<bool>("single_word", false),
                     .lstrip = reader.get_or<bool>("lstrip", false),
                     .rstrip = reader.get_or<bool>("rstrip", false)};
    if (token.content.empty()) reader.reject("content", "a text that is not empty");
    const auto id = reader.get<std::int64_t>("id");
    if (!seen.emplace(token.content, id).second) reader.reject("content", "a text that no other added token has");
    TokenizerSpec::Token& slot = token_slot(spec, id, num_entries, reader.at("id"));
    // A vocabulary entry spells its bytes in the alphabet, so "<x>" is the same token in both lists.
    const bool same = slot.bytes == token.content || (!slot.literal && byte_level_encode(slot.bytes) == token.content);
    if (!slot.bytes.empty() && !same) reader.reject("id", "an id that no other token has");
    slot = {.bytes = token.content, .literal = true};
    token.id = static_cast<int>(id);
    spec.added_tokens.push_back(std::move(token));
    reader.finish();
  }
}

}  // namespace

TokenizerSpec parse_tokenizer_json(std::string_view json_text, std::string_view where) {
  const Json json = parse_json(json_text, where, {.max_bytes = std::int64_t{256} << 20, .max_depth = 32});
  ObjectReader reader(json, where);
  if (reader.get_or<std::string>("version", "1.0") != "1.0") reader.reject("version", "1.0");
  for (const char* key : {"truncation", "padding"}) reader.skip(key);  // of batches for Python, not of the tokenizer
  TokenizerSpec spec;
  read_model(reader.object("model"), spec);
  if (const Json* added = reader.find_value("added_tokens"))
    read_added_tokens(array_of(*added, reader.at("added_tokens")), where, spec);
  if (const Json* normalizer = reader.find_value("normalizer")) read_normalizer(*normalizer, where, "normalizer", spec);
  if (!read_pre_tokenizer(reader.value("pre_tokenizer"), where, "pre_tokenizer", spec))
    reader.reject("pre_tokenizer", "a Sequence that ends in ByteLevel");
  if (const Json* decoder = reader.find_value("decoder")) read_decoder(*decoder, where, "decoder");
  if (const Json* processor = reader.find_value("post_processor"))
    read_post_processor(*processor, where, "post_processor", spec);
  reader.finish();
  return spec;
}

}  // namespace hadal
