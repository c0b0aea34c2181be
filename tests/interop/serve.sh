#!/usr/bin/env bash
# Starts `hadal serve` with a small random model and runs a check against it. Usage: serve.sh openai|page PROGRAM FOLDER.
# Ends with 77 (skipped) when node, the package or Chromium is not to be had.
set -euo pipefail
check=$1
program=$(realpath "$2")
folder=$3
here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")

skip() {
  echo "skipped: $1"
  exit 77
}
command -v node >/dev/null || skip "no node"
if [ "$check" = page ]; then
  chromium=$(command -v chromium || command -v chromium-browser || command -v google-chrome) || skip "no Chromium"
  [ "$(node -p 'typeof WebSocket === "function" || process.allowedNodeEnvironmentFlags.has("--experimental-websocket")')" = true ] ||
    skip "this node has no WebSocket"
fi
if [ "$check" = openai ]; then
  source "$here/npm_packages.sh"
  npm_packages "$folder"
else
  mkdir -p "$folder"
  cd "$folder"
fi
"$here"/model.sh "$program" "$PWD/model"
"$program" serve --model model --port 0 --threads 1 --engine.context 4096 --cors http://a.example >"serve-$check.log" 2>&1 &
server=$!
trap 'kill $server 2>/dev/null || true' EXIT
for _ in $(seq 300); do
  url=$(sed -n 's/^listening on //p' "serve-$check.log")
  if [ -n "$url" ] || ! kill -0 $server 2>/dev/null; then break; fi
  sleep 0.1
done
[ -n "$url" ] || { cat "serve-$check.log" && exit 1; }
case $check in
  openai) node openai.mjs "$url" ;;
  page) node $(node -p 'typeof WebSocket === "function" ? "" : "--experimental-websocket"') "$here/page.mjs" "$url" "$chromium" ;;
esac
# The server ends by itself when it is told to.
kill -TERM $server
wait $server
