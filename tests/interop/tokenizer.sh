#!/usr/bin/env bash
# Trains a tokenizer and compares its ids with those of an independent implementation, the npm package
# @huggingface/tokenizers. Usage: tokenizer.sh PROGRAM FOLDER. Ends with 77 (skipped) when node or the package is not to be
# had.
set -euo pipefail
program=$(realpath "$1")
folder=$2
here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")

if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
  echo "skipped: no node or npm"
  exit 77
fi
mkdir -p "$folder"
cp "$here"/package.json "$here"/package-lock.json "$here"/tokenizer.mjs "$folder"
cd "$folder"
if [ ! -d node_modules/@huggingface/tokenizers ]; then
  if ! npm ci --no-audit --no-fund >npm.log 2>&1; then
    tail -n 3 npm.log
    echo "skipped: npm could not install @huggingface/tokenizers"
    exit 77
  fi
fi
node tokenizer.mjs "$program" "$here/../.."
