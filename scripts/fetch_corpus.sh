#!/usr/bin/env bash
# scripts/fetch_corpus.sh LANGUAGE...: puts the help pages of LibreOffice (en-us, zh-cn) into build/corpus/. Takes them
# from the Debian packages libreoffice-help-LANGUAGE, which are downloaded and unpacked but not installed, or from an
# installed one. Does nothing for what is there already.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

help=usr/share/libreoffice/help

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# The folder inside the package: en-us -> en-US.
folder_of() { echo "${1%-*}-$(echo "${1#*-}" | tr '[:lower:]' '[:upper:]')"; }

download() {
  local package=libreoffice-help-$1
  rm -rf build/corpus/package
  mkdir -p build/corpus/package
  get() { (cd build/corpus/package && apt-get download -qq -o APT::Sandbox::User=root "$package"); }
  get || { as_root apt-get update -qq && get; } || return 1
  # The folder gets its name when it is whole: an interrupted unpacking is not taken for it.
  dpkg -x build/corpus/package/"$package"_*.deb build/corpus/package/root
  mv "build/corpus/package/root/$help/$2/text" "build/corpus/$2"
  rm -rf build/corpus/package
}

for language in "$@"; do
  folder=$(folder_of "$language")
  if [ -e "build/corpus/$folder" ]; then continue; fi
  mkdir -p build/corpus
  if download "$language" "$folder"; then continue; fi
  if [ -d "/$help/$folder/text" ]; then
    ln -s "/$help/$folder/text" "build/corpus/$folder"
    continue
  fi
  echo "fetch_corpus: libreoffice-help-$language can neither be downloaded nor is it installed" >&2
  exit 1
done
