#pragma once
// The tokenizer's files in a Hugging Face folder: tokenizer.json with what stands beside it.
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "formats/tokenizer_spec.h"

namespace hadal {

/// The fields of tokenizer_config.json that have a meaning here.
struct TokenizerConfig {
  std::string bos_token, eos_token, pad_token;  // "": none
  bool add_bos_token = false, add_eos_token = false;
  std::string chat_template;          // Jinja; "": none
  std::int64_t model_max_length = 0;  // tokens; 0: not stated
};

/// Reads a tokenizer_config.json text. Keys without a meaning here are left alone: the file is a bag of hints for
/// Python classes. Of several named templates the one called "default" is taken.
TokenizerConfig parse_tokenizer_config(std::string_view json_text, std::string_view where);
/// tokenizer_config.json text for transformers' PreTrainedTokenizerFast.
std::string tokenizer_config_json(const TokenizerConfig& config);
/// special_tokens_map.json text.
std::string special_tokens_map_json(const TokenizerConfig& config);

/// Sampling defaults of a model folder.
struct GenerationConfig {
  int bos_token_id = -1;           // -1: none
  std::vector<int> eos_token_ids;  // every id that ends an answer
  bool do_sample = true;
  double temperature = 0.6, top_p = 0.95;
};
/// generation_config.json text.
std::string generation_config_json(const GenerationConfig& config);

/// A tokenizer with what its folder says about it.
struct TokenizerFiles {
  TokenizerSpec spec;
  TokenizerConfig config;  // defaults when there is no tokenizer_config.json
};

/// The id of the added token `content`, -1 when there is none.
int added_token_id(const TokenizerSpec& spec, std::string_view content);

/// `path`: a folder with tokenizer.json (and perhaps tokenizer_config.json and chat_template.jinja, which wins over the
/// template inside tokenizer_config.json), a tokenizer.json, whose neighbours are read too, or a *.gguf file.
TokenizerFiles load_tokenizer_files(const std::filesystem::path& path);
/// The tokenizer that came with a model, a folder or a *.gguf file; nothing when none did.
std::optional<TokenizerFiles> find_tokenizer_files(const std::filesystem::path& model);

/// Writes tokenizer.json, tokenizer_config.json, special_tokens_map.json, generation_config.json (the end of sentence
/// as the only stop) and, when there is a template, chat_template.jinja into `folder`, which is made when missing. Each
/// file appears whole or not at all.
void write_tokenizer_files(const std::filesystem::path& folder, const TokenizerFiles& files);

}  // namespace hadal
