#include "formats/tokenizer_gguf.h"

#include <algorithm>
#include <unordered_map>

#include "base/error.h"
#include "base/utf8.h"
#include "formats/byte_level.h"
#include "formats/pre_tokenizers.h"

namespace hadal {
namespace {

constexpr char kPrefix[] = "tokenizer.ggml.";
// llama.cpp's kinds of tokens.
constexpr int kNormal = 1, kControl = 3, kUserDefined = 4, kUnused = 5;

std::string key(std::string_view name) {
  return str_cat(kPrefix, name);
}

/// "[PAD7]" at id 7: converters fill the vocabulary up to the rows of the embedding.
bool is_filler(const std::string& text, std::size_t id) {
  return text == str_cat("[PAD", id, "]");
}

/// The kind of each token; normal when the file does not say.
std::vector<int> token_types(const GgufFile& file, std::size_t num_tokens) {
  std::vector<int> types = file.get_or<std::vector<int>>(key("token_type"), std::vector<int>(num_tokens, kNormal));
  HADAL_CHECK(types.size() == num_tokens, file.where(), ": ", key("token_type"), ": got ", types.size(),
              " entries, want ", num_tokens, ", as many as tokens");
  return types;
}

/// The id under `name`, -1 when there is none. Becomes a control token whatever its type says.
int token_id(const GgufFile& file, std::string_view name, std::vector<int>& types) {
  const auto id = file.get_or<std::int64_t>(key(name), -1);
  if (id < 0) return -1;
  HADAL_CHECK(id < static_cast<std::int64_t>(types.size()), file.where(), ": ", key(name), ": got ", id,
              ", want an id below ", types.size());
  types[static_cast<std::size_t>(id)] = kControl;
  return static_cast<int>(id);
}

/// Text of a normal token, as the file has it, to its id.
using TokenIds = std::unordered_map<std::string_view, int>;

TokenIds read_tokens(const GgufFile& file, const std::vector<std::string>& texts, const std::vector<int>& types,
                     TokenizerSpec& spec) {
  TokenIds ids;
  ids.reserve(texts.size());
  std::unordered_map<std::string_view, int> added;
  for (std::size_t id = 0; id < texts.size(); ++id) {
    const std::string& text = texts[id];
    TokenizerSpec::Token& token = spec.tokens.emplace_back();
    const auto at = [&] { return str_cat(file.where(), ": ", key("tokens"), "[", id, "]"); };
    if (types[id] == kUnused || is_filler(text, id)) continue;
    HADAL_CHECK(!text.empty(), at(), ": an empty token");
    // No merge can make what the byte-level alphabet cannot spell: files that call "<\uFF5CUser\uFF5C>" normal are
    // known.
    if (types[id] == kNormal && byte_level_decode(text, token.bytes)) {
      HADAL_CHECK(ids.emplace(text, static_cast<int>(id)).second, at(), ": token \"", text, "\" is there twice");
    } else {
      HADAL_CHECK(types[id] == kNormal || types[id] == kControl || types[id] == kUserDefined, at(), ": token type ",
                  types[id], ", want 1 (normal), 3 (control), 4 (user defined) or 5 (unused)");
      HADAL_CHECK(added.emplace(text, static_cast<int>(id)).second, at(), ": token \"", text, "\" is there twice");
      token = {.bytes = text, .literal = true};
      spec.added_tokens.push_back({.id = static_cast<int>(id), .content = text, .special = types[id] == kControl});
    }
  }
  while (!spec.tokens.empty() && spec.tokens.back().bytes.empty()) spec.tokens.pop_back();
  return ids;
}

void read_merges(const GgufFile& file, const TokenIds& ids, TokenizerSpec& spec) {
  const std::vector<std::string>& merges = file.strings(key("merges"));
  spec.merges.reserve(merges.size());
  std::string joined;
  for (std::size_t i = 0; i < merges.size(); ++i) {
    const std::string_view merge = merges[i];
    const auto at = [&] { return str_cat(file.where(), ": ", key("merges"), "[", i, "]"); };
    // The first character may itself be a space in vocabularies that are not byte-level; here it never is.
    const std::size_t space = merge.find(' ');
    HADAL_CHECK(space != std::string_view::npos && merge.find(' ', space + 1) == std::string_view::npos, at(),
                ": got \"", merge, "\", want two tokens");
    const std::string_view left = merge.substr(0, space), right = merge.substr(space + 1);
    joined.assign(left).append(right);
    const auto id_of = [&](std::string_view text) {
      const auto found = ids.find(text);
      HADAL_CHECK(found != ids.end(), at(), ": \"", text, "\" is not a token");
      return found->second;
    };
    spec.merges.push_back({id_of(left), id_of(right), id_of(joined)});
  }
}

/// The name of a text that stands in the vocabulary but is not spelt in the byte-level alphabet.
std::string file_text(const TokenizerSpec::Token& token) {
  return token.literal ? token.bytes : byte_level_encode(token.bytes);
}

}  // namespace

TokenizerFiles gguf_tokenizer(const GgufFile& file) {
  const auto model = file.get<std::string>(key("model"));
  HADAL_CHECK(model == "gpt2", file.where(), ": ", key("model"), ": got \"", model,
              "\", want gpt2 (byte-level BPE); other kinds of vocabularies are not supported");
  const auto pre_name = file.get<std::string>(key("pre"));
  const PreTokenizer& pre = pre_tokenizer(pre_name, str_cat(file.where(), ": ", key("pre")));
  const std::vector<std::string>& texts = file.strings(key("tokens"));
  std::vector<int> types = token_types(file, texts.size());
  const int bos = token_id(file, "bos_token_id", types), eos = token_id(file, "eos_token_id", types);
  const int pad = token_id(file, "padding_token_id", types);

  TokenizerFiles files;
  TokenizerSpec& spec = files.spec;
  spec.splits = pre.splits;
  spec.normalize_nfc = pre.normalize_nfc;
  spec.ignore_merges = pre.ignore_merges;
  read_merges(file, read_tokens(file, texts, types, spec), spec);

  const auto text_of = [&](int id) {
    return id >= 0 && id < spec.vocab_size() ? spec.tokens[static_cast<std::size_t>(id)].bytes : std::string();
  };
  TokenizerConfig& config = files.config;
  config.bos_token = text_of(bos);
  config.eos_token = text_of(eos);
  config.pad_token = text_of(pad);
  // Llama 3's files come without the key and mean yes.
  config.add_bos_token = bos >= 0 && file.get_or<bool>(key("add_bos_token"), pre.name == "llama-bpe");
  config.add_eos_token = eos >= 0 && file.get_or<bool>(key("add_eos_token"), false);
  config.chat_template = file.get_or<std::string>("tokenizer.chat_template", "");
  return files;
}

GgufPairs gguf_tokenizer_metadata(const TokenizerFiles& files, int vocab_size) {
  const TokenizerSpec& spec = files.spec;
  const auto& known = pre_tokenizers();
  const auto pre = std::find_if(known.begin(), known.end(), [&](const PreTokenizer& p) {
    return p.splits == spec.splits && p.normalize_nfc == spec.normalize_nfc && p.ignore_merges == spec.ignore_merges;
  });
  HADAL_CHECK(pre != known.end(), "gguf: the tokenizer cuts text in a way that GGUF has no name for");

  const auto size = static_cast<std::size_t>(std::max(vocab_size, spec.vocab_size()));
  std::vector<std::string> tokens(size), merges;
  std::vector<std::int32_t> types(size, kUnused);
  for (std::size_t id = 0; id < size; ++id) tokens[id] = str_cat("[PAD", id, "]");
  for (std::size_t id = 0; id < spec.tokens.size(); ++id) {
    if (spec.tokens[id].bytes.empty()) continue;
    tokens[id] = file_text(spec.tokens[id]);
    types[id] = kNormal;
  }
  for (const AddedToken& token : spec.added_tokens)
    types[static_cast<std::size_t>(token.id)] = token.special ? kControl : kUserDefined;
  merges.reserve(spec.merges.size());
  for (const TokenizerSpec::Merge& merge : spec.merges)
    merges.push_back(file_text(spec.tokens[static_cast<std::size_t>(merge.left)]) + ' ' +
                     file_text(spec.tokens[static_cast<std::size_t>(merge.right)]));

  GgufPairs pairs = {{key("model"), std::string("gpt2")},
                     {key("pre"), std::string(pre->name)},
                     {key("tokens"), GgufArray{std::move(tokens)}},
                     {key("token_type"), GgufArray{std::move(types)}},
                     {key("merges"), GgufArray{std::move(merges)}}};
  const auto add_id = [&](std::string_view name, const std::string& content) {
    const int id = content.empty() ? -1 : added_token_id(spec, content);
    if (id >= 0) pairs.emplace_back(key(name), static_cast<std::uint32_t>(id));
  };
  const TokenizerConfig& config = files.config;
  add_id("bos_token_id", config.bos_token);
  add_id("eos_token_id", config.eos_token);
  add_id("padding_token_id", config.pad_token);
  pairs.emplace_back(key("add_bos_token"), config.add_bos_token || !spec.prefix_ids.empty());
  pairs.emplace_back(key("add_eos_token"), config.add_eos_token || !spec.suffix_ids.empty());
  if (!config.chat_template.empty()) pairs.emplace_back("tokenizer.chat_template", config.chat_template);
  return pairs;
}

}  // namespace hadal
