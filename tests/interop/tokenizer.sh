#!/usr/bin/env bash
# Trains tokenizers and compares their ids with those of an independent implementation, the npm package
# @huggingface/tokenizers. Usage: tokenizer.sh PROGRAM FOLDER. Ends with 77 (skipped) when node or the package is not to be
# had.
set -euo pipefail
program=$(realpath "$1")
repository=$(realpath "$(dirname "${BASH_SOURCE[0]}")/../..")
source "$repository/tests/interop/npm_packages.sh"
npm_packages "$2"
node tokenizer.mjs "$program" "$repository"
