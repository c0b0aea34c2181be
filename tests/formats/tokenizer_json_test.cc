#include "formats/tokenizer_json.h"

#include <gtest/gtest.h>

#include <string>

#include "base/file.h"
#include "base/json.h"
#include "formats/byte_level.h"
#include "formats/pre_tokenizers.h"
#include "formats/tokenizer_files.h"
#include "support/shared.h"
#include "support/temp_dir.h"

namespace hadal {
namespace {

/// A small but complete file; `edit` replaces text in it.
std::string small_file(std::string_view from = "", std::string_view to = "") {
  std::string vocab;
  for (int byte = 0; byte < 256; ++byte) {
    if (byte > 0) vocab += ", ";
    append_json_string(vocab, byte_level_encode(std::string(1, static_cast<char>(byte))));
    vocab += ": " + std::to_string(byte);
  }
  std::string text = R"({"version": "1.0", "truncation": null, "padding": null,
    "added_tokens": [{"id": 258, "content": "<s>", "single_word": false, "lstrip": false, "rstrip": false,
                      "normalized": false, "special": true}],
    "normalizer": null,
    "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
      {"type": "Split", "pattern": {"Regex": "\\p{N}{1,3}"}, "behavior": "Isolated", "invert": false},
      {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false}]},
    "post_processor": {"type": "TemplateProcessing",
      "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
      "pair": [], "special_tokens": {"<s>": {"id": "<s>", "ids": [258], "tokens": ["<s>"]}}},
    "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
    "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
      "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false,
      "vocab": {VOCAB, "ab": 256, "Ġab": 257}, "merges": ["a b", ["Ġ", "ab"]]}})";
  text.replace(text.find("VOCAB"), 5, vocab);
  if (!from.empty()) {
    const std::size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    text.replace(at, from.size(), to);
  }
  return text;
}

/// The name in formats/pre_tokenizers.h of a file with these splits, normalizer and settings of the model, and Llama
/// 3's post-processor.
std::string parse_and_name(const std::string& splits, const std::string& normalizer, const std::string& model) {
  std::string text = small_file(
      R"({"type": "Split", "pattern": {"Regex": "\\p{N}{1,3}"}, "behavior": "Isolated", "invert": false})", splits);
  const auto replace = [&](std::string_view from, std::string_view to) {
    text.replace(text.find(from), from.size(), to);
  };
  replace(R"("normalizer": null)", "\"normalizer\": " + normalizer);
  replace(R"("byte_fallback": false)", model);
  replace(R"("post_processor": )", R"("post_processor": {"type": "Sequence", "processors": [
    {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": false, "use_regex": true}, )");
  const std::size_t decoder = text.find("\"decoder\"");
  text.replace(text.rfind("}},", decoder), 3, "}}]},");
  const TokenizerSpec spec = parse_tokenizer_json(text, "family.json");
  EXPECT_EQ(spec.prefix_ids, std::vector<int>{258});
  for (const PreTokenizer& pre : pre_tokenizers())
    if (pre.splits == spec.splits && pre.normalize_nfc == spec.normalize_nfc && pre.ignore_merges == spec.ignore_merges)
      return std::string(pre.name);
  return "";
}

TEST(TokenizerJson, ReadsEveryPart) {
  const TokenizerSpec spec = parse_tokenizer_json(small_file(), "t.json");
  ASSERT_EQ(spec.vocab_size(), 259);
  EXPECT_EQ(spec.tokens[257].bytes, " ab");
  EXPECT_EQ(spec.tokens[0x0A].bytes, "\n");
  ASSERT_EQ(spec.merges.size(), 2U);
  EXPECT_EQ(spec.merges[1].left, 0x20);
  EXPECT_EQ(spec.merges[1].right, 256);
  EXPECT_EQ(spec.merges[1].result, 257);
  EXPECT_EQ(spec.prefix_ids, std::vector<int>{258});
  EXPECT_EQ(spec.splits, std::vector<std::string>{"\\p{N}{1,3}"});
  ASSERT_EQ(spec.added_tokens.size(), 1U);
  EXPECT_TRUE(spec.added_tokens[0].special);
}

TEST(TokenizerJson, WhatIsWrittenReadsBackEqual) {
  const TokenizerSpec spec = parse_tokenizer_json(small_file(), "t.json");
  const std::string text = tokenizer_json(spec);
  const TokenizerSpec again = parse_tokenizer_json(text, "again.json");
  EXPECT_EQ(tokenizer_json(again), text);
  EXPECT_EQ(again.tokens.size(), spec.tokens.size());
  for (std::size_t id = 0; id < spec.tokens.size(); ++id)
    EXPECT_EQ(again.tokens[id].bytes, spec.tokens[id].bytes) << id;
  EXPECT_EQ(again.prefix_ids, spec.prefix_ids);
  EXPECT_EQ(again.splits, spec.splits);
}

TEST(TokenizerJson, ByteLevelPutsItsOwnRegexLast) {
  const TokenizerSpec spec = parse_tokenizer_json(small_file("\"use_regex\": false", "\"use_regex\": true"), "t.json");
  ASSERT_EQ(spec.splits.size(), 2U);
  EXPECT_EQ(spec.splits[1], kGpt2Split);
}

TEST(TokenizerJson, ALiteralPatternIsQuoted) {
  const TokenizerSpec spec =
      parse_tokenizer_json(small_file(R"({"Regex": "\\p{N}{1,3}"})", R"({"String": "a.b"})"), "t.json");
  EXPECT_EQ(spec.splits[0], "a\\.b");
}

TEST(TokenizerJson, TheShapesOfTheFamilies) {
  // What differs between the files of DeepSeek LLM, Qwen2 and Llama 3, in their words.
  const std::string llama = parse_and_name(
      R"({"type": "Split", "pattern": {"Regex": "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"}, "behavior": "Isolated", "invert": false})",
      "null", R"("ignore_merges": true, "byte_fallback": false)");
  EXPECT_EQ(llama, "llama-bpe");
  const std::string qwen = parse_and_name(
      R"({"type": "Split", "pattern": {"Regex": "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"}, "behavior": "Isolated", "invert": false})",
      R"({"type": "NFC"})", R"("ignore_merges": false, "byte_fallback": false)");
  EXPECT_EQ(qwen, "qwen2");
  const std::string coder = parse_and_name(
      R"({"type": "Split", "pattern": {"Regex": "[\r\n]"}, "behavior": "Isolated", "invert": false},
         {"type": "Split", "pattern": {"Regex": "\\s?\\p{L}+"}, "behavior": "Isolated", "invert": false},
         {"type": "Split", "pattern": {"Regex": "\\s?\\p{P}+"}, "behavior": "Isolated", "invert": false},
         {"type": "Split", "pattern": {"Regex": "[\u4E00-\u9FA5\u0800-\u4E00\uAC00-\uD7FF]+"}, "behavior": "Isolated", "invert": false},
         {"type": "Digits", "individual_digits": true})",
      R"({"type": "Sequence", "normalizers": []})", R"("byte_fallback": false)");
  EXPECT_EQ(coder, "deepseek-coder");
}

TEST(TokenizerJson, FlagsOfAddedTokens) {
  const TokenizerSpec spec =
      parse_tokenizer_json(small_file("\"single_word\": false, \"lstrip\": false, \"rstrip\": false",
                                      "\"single_word\": true, \"lstrip\": true, \"rstrip\": true"),
                           "t.json");
  const AddedToken& token = spec.added_tokens.at(0);
  EXPECT_TRUE(token.single_word && token.lstrip && token.rstrip);
  const TokenizerSpec again = parse_tokenizer_json(tokenizer_json(spec), "again.json");
  EXPECT_TRUE(again.added_tokens.at(0).single_word && again.added_tokens.at(0).lstrip &&
              again.added_tokens.at(0).rstrip);
}

TEST(TokenizerSpec, WhichAddedTokensAreText) {
  const auto is_text = [](std::string content, bool special = false) {
    return is_text_token({.content = std::move(content), .special = special});
  };
  EXPECT_TRUE(is_text("\u00FC"));
  EXPECT_TRUE(is_text("    "));
  EXPECT_TRUE(is_text("\n\n"));
  EXPECT_FALSE(is_text("\u00FC", true));
  EXPECT_FALSE(is_text("<think>"));
  EXPECT_FALSE(is_text("ab"));
  EXPECT_FALSE(is_text(""));
}

struct BadFile {
  const char *from, *to, *message;
};

TEST(TokenizerJson, SaysWhatItCannotHandle) {
  const BadFile cases[] = {
      {"\"type\": \"BPE\"", "\"type\": \"Unigram\"", "model.type"},
      {"\"behavior\": \"Isolated\"", "\"behavior\": \"Removed\"", "behavior"},
      {"\"invert\": false", "\"invert\": true", "invert"},
      {"\"byte_fallback\": false", "\"byte_fallback\": true", "byte_fallback"},
      {"\"dropout\": null", "\"dropout\": 0.1", "dropout"},
      {"\"add_prefix_space\": false", "\"add_prefix_space\": true", "add_prefix_space"},
      {"\"lstrip\": false", "\"lstrip\": 1", "lstrip"},
      {"\"normalizer\": null", "\"normalizer\": {\"type\": \"Lowercase\"}", "normalizer.type"},
      {"\"type\": \"Split\"", "\"type\": \"Metaspace\"", "pretokenizers[0].type"},
      {"\"version\": \"1.0\"", "\"version\": \"2.0\"", "version"},
      {"\"truncation\"", "\"surprise\": 1, \"truncation\"", "surprise"},
      {"\"ab\": 256", "\"ab\": 99", "99"},
      {"\"ab\": 256", "\"ab\": 4000000000", "4000000000"},
      {"\"ab\": 256", "\"ab\": -1", "-1"},
      {"\"a b\"", "\"a q x\"", "merges"},
      {"\"a b\"", "\"a c\"", "ac"},
      {"\"id\": 258", "\"id\": 65", "id"},
      {"\"id\": 258", "\"id\": 300000", "300000"},
      {"\"ids\": [258]", "\"ids\": [999]", "ids"},
      {"{\"type\": \"ByteLevel\", \"add_prefix_space\": false, \"trim_offsets\": true, \"use_regex\": false}",
       "{\"type\": \"Digits\"}", "ByteLevel"},
  };
  for (const BadFile& bad : cases) {
    const std::string message = error_of([&] { parse_tokenizer_json(small_file(bad.from, bad.to), "t.json"); });
    EXPECT_NE(message.find(bad.message), std::string::npos) << bad.to << " gave: " << message;
    EXPECT_NE(message.find("t.json"), std::string::npos) << message;
  }
}

TEST(TokenizerJson, CutShortAnywhereIsAnError) {
  const std::string text = small_file();
  for (std::size_t n = 0; n < text.size(); n += 37)
    EXPECT_THROW(parse_tokenizer_json(text.substr(0, n), "t.json"), Error) << n;
}

TEST(TokenizerFiles, FolderRoundTrip) {
  const TempDir dir;
  TokenizerFiles files;
  files.spec = parse_tokenizer_json(small_file(), "t.json");
  files.config.bos_token = "<s>";
  files.config.add_bos_token = true;
  files.config.chat_template = "{{ bos_token }}";
  files.config.model_max_length = 4096;
  write_tokenizer_files(dir.path(), files);
  for (const char* name : {"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
                           "generation_config.json", "chat_template.jinja"})
    EXPECT_TRUE(std::filesystem::exists(dir / name)) << name;
  const TokenizerFiles again = load_tokenizer_files(dir.path());
  EXPECT_EQ(again.config.bos_token, "<s>");
  EXPECT_EQ(again.config.eos_token, "");
  EXPECT_TRUE(again.config.add_bos_token);
  EXPECT_EQ(again.config.chat_template, "{{ bos_token }}");
  EXPECT_EQ(again.config.model_max_length, 4096);
  EXPECT_EQ(tokenizer_json(again.spec), tokenizer_json(files.spec));
}

TEST(TokenizerFiles, ReadsPythonsWaysToWriteTheConfig) {
  const TokenizerConfig config = parse_tokenizer_config(
      R"({"bos_token": {"__type": "AddedToken", "content": "<s>"}, "eos_token": "</s>", "pad_token": null,
          "model_max_length": 1000000000000000019884624838656,
          "chat_template": [{"name": "tool", "template": "T"}, {"name": "default", "template": "D"}], "more": [1]})",
      "c.json");
  EXPECT_EQ(config.bos_token, "<s>");
  EXPECT_EQ(config.eos_token, "</s>");
  EXPECT_EQ(config.pad_token, "");
  EXPECT_EQ(config.model_max_length, 0);
  EXPECT_EQ(config.chat_template, "D");
}

TEST(TokenizerFiles, DeepseekV3) {
  const auto folder = shared_dir() / "tokenizers" / "deepseek-v3";
  if (shared_dir().empty()) GTEST_SKIP() << "no shared folder";
  const TokenizerFiles files = load_tokenizer_files(folder);
  EXPECT_EQ(files.spec.vocab_size(), 128815);
  EXPECT_EQ(files.spec.merges.size(), 127741U);
  EXPECT_EQ(files.spec.added_tokens.size(), 818U);
  EXPECT_EQ(added_token_id(files.spec, files.config.eos_token), 1);
  EXPECT_EQ(files.config.model_max_length, 131072);
  EXPECT_EQ(files.config.chat_template.size(), 2301U);
}

}  // namespace
}  // namespace hadal
