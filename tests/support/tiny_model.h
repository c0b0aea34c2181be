#pragma once
// A model folder with random weights, the tokenizer of bytes and a plain chat template.
#include <filesystem>
#include <string>

#include "formats/tokenizer_files.h"
#include "nn/context.h"
#include "nn/weights.h"
#include "support/byte_tokenizer.h"

namespace hadal {

inline constexpr char kTinyTemplate[] =
    "{{ bos_token }}{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}";

inline void write_tiny_model(const std::filesystem::path& folder, const std::string& chat_template = kTinyTemplate) {
  const ModelConfig config = parse_model_config(
      R"({"model_type": "qwen2", "vocab_size": 264, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
          "num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": 1024, "rms_norm_eps": 1e-6,
          "rope_theta": 10000.0, "tie_word_embeddings": false, "bos_token_id": 256, "eos_token_id": 257,
          "torch_dtype": "float32"})",
      "tiny");
  Model model(config, Precision::parse("f32"), false);
  model.init(3);
  save_model(model, folder, DType::kF32);
  TokenizerFiles files = byte_tokenizer_files();
  files.config.chat_template = chat_template;
  write_tokenizer_files(folder, files);
}

}  // namespace hadal
