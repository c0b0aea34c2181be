#include <algorithm>
#include <unordered_map>
#include <utility>

#include "base/error.h"
#include "base/json.h"
#include "formats/byte_level.h"
#include "formats/tokenizer_json.h"

namespace hadal {
namespace {

std::string file_text(const TokenizerSpec::Token& token) {
  return token.literal ? token.bytes : byte_level_encode(token.bytes);
}

JsonArray added_tokens_json(const TokenizerSpec& spec) {
  JsonArray added;
  for (const AddedToken& token : spec.added_tokens)
    added.push_back({{"id", token.id},
                     {"content", token.content},
                     {"single_word", token.single_word},
                     {"lstrip", token.lstrip},
                     {"rstrip", token.rstrip},
                     {"normalized", token.normalized},
                     {"special", token.special}});
  return added;
}

JsonObject pre_tokenizer_json(const TokenizerSpec& spec) {
  JsonArray steps;
  for (const std::string& split : spec.splits)
    steps.push_back({{"type", "Split"}, {"pattern", {{"Regex", split}}}, {"behavior", "Isolated"}, {"invert", false}});
  steps.push_back({{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", false}});
  return {{"type", "Sequence"}, {"pretokenizers", std::move(steps)}};
}

Json byte_level_json() {
  return {{"type", "ByteLevel"}, {"add_prefix_space", true}, {"trim_offsets", false}, {"use_regex", true}};
}

Json post_processor_json(const TokenizerSpec& spec) {
  if (spec.prefix_ids.empty() && spec.suffix_ids.empty()) return byte_level_json();
  JsonArray single, pair;
  JsonObject specials;
  const auto add_special = [&](int id) {
    const std::string text = file_text(spec.tokens.at(static_cast<std::size_t>(id)));
    single.push_back(JsonObject{{"SpecialToken", {{"id", text}, {"type_id", 0}}}});
    specials[text] = {{"id", text}, {"ids", JsonArray{id}}, {"tokens", JsonArray{Json(text)}}};
  };
  for (const int id : spec.prefix_ids) add_special(id);
  single.push_back(JsonObject{{"Sequence", {{"id", "A"}, {"type_id", 0}}}});
  for (const int id : spec.suffix_ids) add_special(id);
  for (const char* name : {"A", "B"})
    for (const Json& step : single)
      pair.push_back(step.get_object().contains("Sequence") ? Json{{"Sequence", {{"id", name}, {"type_id", 0}}}}
                                                            : step);
  return {{"type", "TemplateProcessing"}, {"single", single}, {"pair", pair}, {"special_tokens", specials}};
}

/// Every token but the added ones behind the last token of the vocabulary proper: those get their ids from their order
/// in added_tokens.
JsonObject vocab_json(const TokenizerSpec& spec) {
  std::vector<char> added(spec.tokens.size(), 0);
  for (const AddedToken& token : spec.added_tokens) added[static_cast<std::size_t>(token.id)] = 1;
  std::size_t end = spec.tokens.size();
  while (end > 0 && (added[end - 1] || spec.tokens[end - 1].bytes.empty())) --end;
  int last = -1;
  for (const AddedToken& token : spec.added_tokens) {
    if (token.id < static_cast<int>(end)) continue;
    HADAL_CHECK(token.id > last, "tokenizer.json: added token \"", token.content, "\" has id ", token.id, " behind id ",
                last);
    last = token.id;
  }
  for (std::size_t id = end; id < spec.tokens.size(); ++id)
    HADAL_CHECK(!spec.tokens[id].bytes.empty(), "tokenizer.json: no token has id ", id,
                ", which the format cannot say");
  JsonObject vocab;
  vocab.reserve(end);
  for (std::size_t id = 0; id < end; ++id) {
    if (spec.tokens[id].bytes.empty()) continue;
    const std::string text = file_text(spec.tokens[id]);
    const bool is_new = vocab.emplace(text, static_cast<std::int64_t>(id)).second;
    HADAL_CHECK(is_new, "tokenizer.json: two tokens \"", text, "\", the second with id ", id);
  }
  return vocab;
}

JsonArray merges_json(const TokenizerSpec& spec) {
  JsonArray merges;
  merges.reserve(spec.merges.size());
  for (const TokenizerSpec::Merge& merge : spec.merges)
    merges.emplace_back(file_text(spec.tokens.at(static_cast<std::size_t>(merge.left))) + ' ' +
                        file_text(spec.tokens.at(static_cast<std::size_t>(merge.right))));
  return merges;
}

/// As json_pretty, but one line for each token, since the vocabulary is what people look at.
std::string lines_of(const JsonArray& array, std::string_view indent) {
  std::string text = "[";
  for (const Json& value : array)
    text.append(text.size() > 1 ? ",\n" : "\n").append(indent).append("  ").append(json_line(value));
  return text.append("\n").append(indent).append("]");
}

std::string lines_of(const JsonObject& object, std::string_view indent) {
  std::string text = "{";
  for (const auto& [key, value] : object) {
    text.append(text.size() > 1 ? ",\n" : "\n").append(indent).append("  ");
    append_json_string(text, {key.data(), key.size()});
    text.append(": ").append(json_line(value));
  }
  return text.append("\n").append(indent).append("}");
}

}  // namespace

std::string tokenizer_json(const TokenizerSpec& spec) {
  const Json normalizer = spec.normalize_nfc ? Json{{"type", "NFC"}} : Json(nullptr);
  std::string text = "{\n  \"version\": \"1.0\",\n  \"truncation\": null,\n  \"padding\": null,\n  \"added_tokens\": ";
  text += lines_of(added_tokens_json(spec), "  ");
  text += ",\n  \"normalizer\": " + json_line(normalizer);
  text += ",\n  \"pre_tokenizer\": " + json_line(pre_tokenizer_json(spec));
  text += ",\n  \"post_processor\": " + json_line(post_processor_json(spec));
  text += ",\n  \"decoder\": " + json_line(byte_level_json());
  text += ",\n  \"model\": {\n    \"type\": \"BPE\",\n    \"dropout\": null,\n    \"unk_token\": null,\n";
  text += "    \"continuing_subword_prefix\": null,\n    \"end_of_word_suffix\": null,\n    \"fuse_unk\": false,\n";
  text += str_cat("    \"byte_fallback\": false,\n    \"ignore_merges\": ", spec.ignore_merges);
  text += ",\n    \"vocab\": " + lines_of(vocab_json(spec), "    ");
  text += ",\n    \"merges\": " + lines_of(merges_json(spec), "    ");
  return text + "\n  }\n}\n";
}

}  // namespace hadal
