#!/usr/bin/env bash
# ./dev demo: from the text of a Debian package to a model that writes, then a small R1, in minutes, told as a story.
# Further arguments go to hadal pretrain (--steps 100, --set a.b=c).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

hadal=build/release/hadal
run=runs/demo
corpus=(build/corpus/en-US)
bilingual=false
if [ "${1:-}" = --bilingual ]; then
  bilingual=true
  run=runs/demo-bilingual
  shift
fi

say() {
  if [ -t 1 ]; then printf '\n\033[1m%s\033[0m\n' "$*"; else printf '\n%s\n' "$*"; fi
}

say "1. Text: the help of LibreOffice (MPL-2.0), from a Debian package"
if $bilingual; then
  scripts/fetch_corpus.sh en-us zh-cn
  corpus+=(build/corpus/zh-CN)
else
  scripts/fetch_corpus.sh en-us
fi
for folder in "${corpus[@]}"; do
  echo "   $folder: $(find -L "$folder" -name '*.html' | wc -l) pages"
done

say "2. Tokenizer, data and training: $hadal pretrain --config configs/recipes/demo.json --out $run"
resume=()
if [ -e "$run/manifest.json" ]; then resume=(--resume); fi  # a second ./dev demo goes on where the first one stopped
$hadal pretrain --config configs/recipes/demo.json --out "$run" --data.inputs "${corpus[@]}" "${resume[@]}" "$@"

say "3. The model writes"
checkpoint=$(find "$run/checkpoints" -maxdepth 1 -name 'step-*' | sort -V | tail -n 1)
for prompt in "To insert a chart" "The following options" "Click"; do
  $hadal generate --model "$checkpoint" --prompt "$prompt" --max-tokens 60 --temperature 0.7 --seed 1
  echo
done

say "4. A small R1: a base model that only guesses learns to reason ($hadal r1, shortened)"
$hadal r1 --recipe configs/recipes/r1-tiny.json --out "$run-r1" --until eval-r1 --change base.steps=2500 \
  base.model=configs/models/rl-tiny.json r1-zero.steps=200 dev1.steps=900 dev2.steps=40 dev3.steps=900 r1.steps=40

say "What it left"
cat <<TEXT
   $run/manifest.json     what ran, on what
   $run/metrics.jsonl     loss, learning rate, gradient norm and load of the experts, per step
   $run/report.html       the same as pictures: open it in a browser
   $checkpoint            the model, as other software loads it (config.json, tokenizer.json, safetensors)
   $run-r1/report.html    R1 from stage to stage: accuracy, curves, the same questions to all models
TEXT
