#!/usr/bin/env bash
# Makes a small model with random weights, a tokenizer and a chat template. Usage: model.sh PROGRAM FOLDER.
set -euo pipefail
program=$1
folder=$2
here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
if [ -e "$folder/model.safetensors" ]; then exit 0; fi
mkdir -p "$folder"
"$program" tokenizer train --input "$here/../../README.md" --vocab-size 512 --out "$folder" >/dev/null 2>&1
cat >"$folder/chat_template.jinja" <<'JINJA'
{{ bos_token }}{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}
{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}
JINJA
cat >"$folder/shape.json" <<'JSON'
{"model_type": "qwen2", "vocab_size": 512, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
 "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 4096, "rms_norm_eps": 1e-6,
 "rope_theta": 10000.0, "tie_word_embeddings": false, "bos_token_id": 0, "torch_dtype": "float32"}
JSON
"$program" init --config "$folder/shape.json" --out "$folder" --seed 7 >/dev/null
