#include "formats/tokenizer_files.h"

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "base/utf8.h"
#include "formats/tokenizer_gguf.h"
#include "formats/tokenizer_json.h"

namespace hadal {
namespace {

/// "text", {"content": "text", ...} or null.
std::string token_text(ObjectReader& reader, std::string_view key) {
  const Json* value = reader.find_value(key);
  if (value == nullptr) return "";
  if (value->is_object()) return reader.object(key).get<std::string>("content");
  return json_as<std::string>(*value, reader.at(key));
}

/// One template, or a list of {"name", "template"}.
std::string template_text(ObjectReader& reader, std::string_view where) {
  const Json* value = reader.find_value("chat_template");
  if (value == nullptr) return "";
  const JsonArray* list = value->if_array();
  if (list == nullptr) return json_as<std::string>(*value, reader.at("chat_template"));
  for (const Json& entry : *list) {
    ObjectReader named(entry, where, "chat_template[]");
    if (named.get<std::string>("name") == "default") return named.get<std::string>("template");
  }
  return "";
}

/// The null of JSON for "".
Json text_or_null(const std::string& text) {
  return text.empty() ? Json(nullptr) : Json(text);
}

}  // namespace

TokenizerConfig parse_tokenizer_config(std::string_view json_text, std::string_view where) {
  const Json json = parse_json(json_text, where);
  ObjectReader reader(json, where);
  TokenizerConfig config;
  config.bos_token = token_text(reader, "bos_token");
  config.eos_token = token_text(reader, "eos_token");
  config.pad_token = token_text(reader, "pad_token");
  config.add_bos_token = reader.get_or<bool>("add_bos_token", false);
  config.add_eos_token = reader.get_or<bool>("add_eos_token", false);
  config.chat_template = template_text(reader, where);
  // Python's "no limit" is 1e30, which no integer holds.
  const double length = reader.get_or<double>("model_max_length", 0);
  if (length > 0 && length < 1e15) config.model_max_length = static_cast<std::int64_t>(length);
  return config;
}

std::string tokenizer_config_json(const TokenizerConfig& config) {
  JsonObject json{{"add_bos_token", config.add_bos_token},
                  {"add_eos_token", config.add_eos_token},
                  {"bos_token", text_or_null(config.bos_token)},
                  {"clean_up_tokenization_spaces", false},
                  {"eos_token", text_or_null(config.eos_token)},
                  {"legacy", true},
                  {"pad_token", text_or_null(config.pad_token)},
                  {"tokenizer_class", "PreTrainedTokenizerFast"},
                  {"unk_token", nullptr}};
  if (config.model_max_length > 0) json["model_max_length"] = config.model_max_length;
  if (!config.chat_template.empty()) json["chat_template"] = config.chat_template;
  return json_pretty(json);
}

std::string special_tokens_map_json(const TokenizerConfig& config) {
  JsonObject map;
  const auto add = [&](const char* key, const std::string& content) {
    if (content.empty()) return;
    map[key] = {
        {"content", content}, {"lstrip", false}, {"normalized", false}, {"rstrip", false}, {"single_word", false}};
  };
  add("bos_token", config.bos_token);
  add("eos_token", config.eos_token);
  add("pad_token", config.pad_token);
  return json_pretty(map);
}

std::string generation_config_json(const GenerationConfig& config) {
  JsonObject json;
  if (config.bos_token_id >= 0) json["bos_token_id"] = config.bos_token_id;
  if (config.eos_token_ids.size() == 1) json["eos_token_id"] = config.eos_token_ids[0];
  if (config.eos_token_ids.size() > 1)
    json["eos_token_id"] = JsonArray(config.eos_token_ids.begin(), config.eos_token_ids.end());
  json["do_sample"] = config.do_sample;
  json["temperature"] = config.temperature;
  json["top_p"] = config.top_p;
  return json_pretty(json);
}

bool is_text_token(const AddedToken& token) {
  const std::string& text = token.content;
  if (token.special || text.empty()) return false;
  const bool one = static_cast<std::size_t>(decode_utf8(text.data(), text.data() + text.size()).length) == text.size();
  return one || text.find_first_not_of(" \t\r\n") == std::string::npos;
}

int added_token_id(const TokenizerSpec& spec, std::string_view content) {
  for (const AddedToken& token : spec.added_tokens)
    if (token.content == content) return token.id;
  return -1;
}

TokenizerFiles load_tokenizer_files(const std::filesystem::path& path) {
  if (path.extension() == ".gguf") return gguf_tokenizer(GgufFile(path));
  const bool is_folder = std::filesystem::is_directory(path);
  const std::filesystem::path folder = is_folder ? path : path.parent_path();
  const std::filesystem::path file = is_folder ? path / "tokenizer.json" : path;
  HADAL_CHECK(std::filesystem::exists(file), file.string(),
              ": no such file; want a tokenizer.json, a folder that holds one, or a .gguf file");
  TokenizerFiles files;
  files.spec = parse_tokenizer_json(read_file(file), file.string());
  if (const auto config = folder / "tokenizer_config.json"; std::filesystem::exists(config))
    files.config = parse_tokenizer_config(read_file(config), config.string());
  if (const auto jinja = folder / "chat_template.jinja"; std::filesystem::exists(jinja))
    files.config.chat_template = read_file(jinja);
  return files;
}

std::optional<TokenizerFiles> find_tokenizer_files(const std::filesystem::path& model) {
  if (model.extension() == ".gguf") {
    const GgufFile file(model);
    if (!file.metadata().contains("tokenizer.ggml.model")) return std::nullopt;
    return gguf_tokenizer(file);
  }
  if (!std::filesystem::exists(model / "tokenizer.json")) return std::nullopt;
  return load_tokenizer_files(model);
}

void write_tokenizer_files(const std::filesystem::path& folder, const TokenizerFiles& files) {
  std::filesystem::create_directories(folder);
  GenerationConfig generation;
  generation.bos_token_id = added_token_id(files.spec, files.config.bos_token);
  if (const int eos = added_token_id(files.spec, files.config.eos_token); eos >= 0) generation.eos_token_ids = {eos};
  if (!files.config.chat_template.empty())
    write_file_atomically(folder / "chat_template.jinja", files.config.chat_template);
  write_file_atomically(folder / "special_tokens_map.json", special_tokens_map_json(files.config));
  write_file_atomically(folder / "generation_config.json", generation_config_json(generation));
  write_file_atomically(folder / "tokenizer_config.json", tokenizer_config_json(files.config));
  write_file_atomically(folder / "tokenizer.json", tokenizer_json(files.spec));
}

}  // namespace hadal
