#include "formats/tokenizer_gguf.h"

#include <gtest/gtest.h>

#include <fstream>

#include "base/file.h"
#include "base/random.h"
#include "data/tokenizer/tokenizer.h"
#include "formats/pre_tokenizers.h"
#include "support/shared.h"
#include "support/temp_dir.h"

namespace hadal {
namespace {

std::vector<std::string> split_text(const std::string& text, const std::string& separator) {
  std::vector<std::string> parts;
  for (std::size_t from = 0;;) {
    const std::size_t at = text.find(separator, from);
    if (at == std::string::npos) return parts;
    parts.push_back(text.substr(from, at - from));
    from = at + separator.size();
  }
}

class DeepseekLlm : public testing::Test {
 protected:
  void SetUp() override {
    if (shared_dir().empty()) GTEST_SKIP() << "no shared folder";
    path_ = shared_dir() / "tokenizers" / "deepseek-llm.gguf";
  }
  std::filesystem::path path_;
};

TEST_F(DeepseekLlm, EqualsLlamaCppOnItsOwnTexts) {
  const Tokenizer tokenizer = Tokenizer::load(path_);
  const std::vector<std::string> texts = split_text(read_file(path_.string() + ".inp"), "\n__ggml_vocab_test__\n");
  std::ifstream lines(path_.string() + ".out");
  ASSERT_GT(texts.size(), 40U);
  for (const std::string& text : texts) {
    std::string line;
    ASSERT_TRUE(std::getline(lines, line));
    std::istringstream numbers(line);
    const std::vector<int> ids{std::istream_iterator<int>(numbers), {}};
    EXPECT_EQ(tokenizer.encode(text), ids) << text;
    EXPECT_EQ(tokenizer.encode(text, {.parse_special = true}), ids) << text;
    EXPECT_EQ(tokenizer.decode(ids), text);
  }
}

TEST_F(DeepseekLlm, SpecialsAndFillers) {
  const Tokenizer tokenizer = Tokenizer::load(path_);
  EXPECT_EQ(tokenizer.bos_id(), 100000);
  EXPECT_EQ(tokenizer.eos_id(), 100001);
  EXPECT_EQ(tokenizer.vocab_size(), 100015);  // the [PAD...] of the file are no tokens
  EXPECT_EQ(tokenizer.encode("Hello", {.add_special = true}), (std::vector<int>{100000, 17464}));
  const std::string bos = "<\uFF5Cbegin\u2581of\u2581sentence\uFF5C>";
  EXPECT_EQ(tokenizer.encode(bos, {.parse_special = true}), (std::vector<int>{100000}));
  for (const int id : tokenizer.encode(bos)) EXPECT_LT(id, 100000);
  // A letter that only an added token stands for is text, wherever it comes from.
  EXPECT_EQ(tokenizer.encode("\u00FC"), (std::vector<int>{100014}));
  // Bytes without a token decode to U+FFFD, all others to themselves.
  EXPECT_EQ(tokenizer.decode(tokenizer.encode("a\xFF\xE4\xB8z")), "a\uFFFD\xE4\xB8z");
}

/// A vocabulary of all bytes, some merges and control tokens.
TokenizerFiles small_tokenizer(const PreTokenizer& pre) {
  TokenizerFiles files;
  TokenizerSpec& spec = files.spec;
  for (int byte = 0; byte < 256; ++byte) spec.tokens.push_back({.bytes = std::string(1, static_cast<char>(byte))});
  const auto merge = [&](int left, int right) {
    const int id = spec.vocab_size();
    spec.tokens.push_back({.bytes = spec.tokens[static_cast<std::size_t>(left)].bytes +
                                    spec.tokens[static_cast<std::size_t>(right)].bytes});
    spec.merges.push_back({left, right, id});
    return id;
  };
  merge(merge(' ', 'a'), 'b');
  merge(merge('1', '2'), '3');
  merge('\n', '\n');
  merge('!', '\n');
  spec.tokens.emplace_back();  // an id without a token
  for (const char* content : {"<s>", "</s>", "<think>"}) {
    spec.added_tokens.push_back({.id = spec.vocab_size(), .content = content, .special = content[1] != 't'});
    spec.tokens.push_back({.bytes = content, .literal = true});
  }
  spec.splits = pre.splits;
  spec.normalize_nfc = pre.normalize_nfc;
  spec.ignore_merges = pre.ignore_merges;
  files.config = {.bos_token = "<s>", .eos_token = "</s>", .add_bos_token = true, .chat_template = "{{ x }}"};
  return files;
}

TEST(TokenizerGguf, EveryPreTokenizerRoundTrips) {
  const TempDir dir;
  for (const PreTokenizer& pre : pre_tokenizers()) {
    SCOPED_TRACE(pre.name);
    const TokenizerFiles files = small_tokenizer(pre);
    GgufPairs metadata = gguf_tokenizer_metadata(files, 300);
    gguf_write(dir / "x.gguf", metadata, {});
    const Tokenizer original(files), again = Tokenizer::load(dir / "x.gguf");
    EXPECT_EQ(again.files().spec.splits, pre.splits);
    EXPECT_EQ(again.vocab_size(), original.vocab_size());
    EXPECT_EQ(again.bos_id(), original.bos_id());
    EXPECT_EQ(again.eos_id(), original.eos_id());
    EXPECT_EQ(again.pad_id(), -1);
    EXPECT_EQ(again.files().config.chat_template, "{{ x }}");
    EXPECT_FALSE(again.is_special(again.added_id("<think>")));
    for (std::uint64_t seed = 0; seed < 40; ++seed) {
      std::string text = "<s>e\u0301 ";
      for (std::uint64_t i = 0; i < 60; ++i) text += " ab123!\n\n\xC3\xFF"[random_below(seed, Stream::kTest, i, 11)];
      text += "<think>";
      for (const bool special : {false, true})
        EXPECT_EQ(again.encode(text, {special, special}), original.encode(text, {special, special})) << text;
    }
  }
}

TEST(TokenizerGguf, WhatThePreTokenizersCut) {
  const auto cut = [](std::string_view name, std::string_view text) {
    std::vector<std::string> pieces;
    Regex::Workspace workspace;
    Splitter(pre_tokenizer(name, "test").splits).split(text, workspace, [&](std::string_view piece) {
      pieces.emplace_back(piece);
    });
    return pieces;
  };
  using Pieces = std::vector<std::string>;
  EXPECT_EQ(cut("llama-bpe", "I'LL pay 1234 ...\n\n x"),
            (Pieces{"I", "'LL", " pay", " ", "123", "4", " ...\n\n", " x"}));
  EXPECT_EQ(cut("qwen2", "we're 12\n"), (Pieces{"we", "'re", " ", "1", "2", "\n"}));
  EXPECT_EQ(cut("deepseek-coder", "x = 12;\n\u4E2D\u6587"), (Pieces{"x", " = ", "1", "2", ";", "\n", "\u4E2D\u6587"}));
  EXPECT_EQ(cut("deepseek-llm", "Hi, 12 \u4E2D\u6587\n\n  "),
            (Pieces{"Hi", ",", " ", "1", "2", " ", "\u4E2D\u6587", "\n", "\n", "  "}));
}

/// What reading says after the pair `name` was replaced or, with no value, taken away.
std::string reading(const std::string& name, std::optional<GgufValue> value) {
  const TempDir dir;
  GgufPairs metadata = gguf_tokenizer_metadata(small_tokenizer(pre_tokenizer("gpt-2", "test")));
  std::erase_if(metadata, [&](const auto& pair) { return pair.first == "tokenizer.ggml." + name; });
  if (value) metadata.emplace_back("tokenizer.ggml." + name, *value);
  gguf_write(dir / "x.gguf", metadata, {});
  return error_of([&] { Tokenizer::load(dir / "x.gguf"); });
}

TEST(TokenizerGguf, HostileMetadata) {
  const auto has = [](const std::string& message, std::string_view part) {
    EXPECT_NE(message.find(part), std::string::npos) << message;
  };
  using Strings = std::vector<std::string>;
  has(reading("model", std::string("llama")), "got \"llama\", want gpt2");
  has(reading("pre", std::string("default")), "got \"default\", want deepseek-v3|deepseek-llm");
  has(reading("pre", std::nullopt), "no key \"tokenizer.ggml.pre\"");
  has(reading("tokens", GgufArray{Strings{"a", "a"}}), "token_type: got 266 entries, want 2");
  has(reading("token_type", GgufArray{std::vector<std::int32_t>(266, 7)}), "token type 7");
  has(reading("token_type", 3), "got int32, want an array of numbers");
  has(reading("merges", GgufArray{Strings{"a"}}), "merges[0]: got \"a\", want two tokens");
  has(reading("merges", GgufArray{Strings{"a b c"}}), "want two tokens");
  has(reading("merges", GgufArray{Strings{"a z"}}), "\"az\" is not a token");
  has(reading("merges", GgufArray{Strings{"<s> a"}}), "\"<s>\" is not a token");
  has(reading("bos_token_id", std::uint32_t{266}), "bos_token_id: got 266, want an id below 266");
  has(reading("add_bos_token", 1), "add_bos_token: got int32, want a bool");
}

}  // namespace
}  // namespace hadal
