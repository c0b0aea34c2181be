#!/usr/bin/env bash
# Speed of encode beside two npm packages, in one run: @huggingface/tokenizers with the same vocabulary, and tiktoken
# (compiled Rust) with its own. Usage: tokenizer_speed.sh PROGRAM FOLDER TOKENIZER_DIR TEXT.jsonl... The lines of a text are
# objects with a "text". Ends with 77 (skipped) when node or the packages are not to be had.
set -euo pipefail
program=$(realpath "$1")
folder=$2
mapfile -t inputs < <(realpath "${@:3}")
source "$(dirname "${BASH_SOURCE[0]}")/npm_packages.sh"
npm_packages "$folder"
node tokenizer_speed.mjs "$program" "${inputs[@]}"
