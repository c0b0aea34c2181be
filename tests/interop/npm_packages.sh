# Sourced. npm_packages FOLDER: copies the programs of this folder to FOLDER, goes there and installs the packages of
# package.json; ends the script with 77 (skipped) when node, npm or the packages are not to be had.
npm_packages() {
  local here
  here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
  if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
    echo "skipped: no node or npm"
    exit 77
  fi
  mkdir -p "$1"
  cp "$here"/package.json "$here"/package-lock.json "$here"/*.mjs "$1"
  cd "$1"
  if cmp -s package-lock.json node_modules/.installed; then return; fi
  if ! npm ci --no-audit --no-fund >npm.log 2>&1; then
    tail -n 3 npm.log
    echo "skipped: npm could not install the packages of tests/interop/package.json"
    exit 77
  fi
  cp package-lock.json node_modules/.installed
}
