#include "data/tokenizer/splitter.h"

#include <algorithm>

#include "base/utf8.h"
#include "data/tokenizer/presets.h"
#include "data/tokenizer/scan_v3.h"

namespace hadal {

Splitter::Splitter(const std::vector<std::string>& regexes, bool allow_scanner) {
  use_scanner_ =
      allow_scanner && std::equal(regexes.begin(), regexes.end(), kDeepseekV3Splits.begin(), kDeepseekV3Splits.end());
  if (use_scanner_) return;
  for (const std::string& regex : regexes) stages_.emplace_back(regex);
}

void Splitter::split(std::string_view text, Regex::Workspace& workspace, Emit emit) const {
  while (!text.empty()) {
    const std::size_t good = well_formed_prefix(text);
    split_well_formed(text.substr(0, good), workspace, emit);
    text.remove_prefix(good);
    std::size_t bad = 0;
    while (bad < text.size() && decode_utf8(text.data() + bad, text.data() + text.size()).length == 0) ++bad;
    if (bad > 0) emit(text.substr(0, bad));
    text.remove_prefix(bad);
  }
}

void Splitter::split_well_formed(std::string_view text, Regex::Workspace& workspace, Emit emit) const {
  if (!use_scanner_) return split_stage(0, text, workspace, emit);
  const auto emit_range = [&](const char* begin, const char* end) {
    emit({begin, static_cast<std::size_t>(end - begin)});
  };
  ScannerV3().scan(text.data(), text.data() + text.size(), emit_range);
}

void Splitter::split_stage(std::size_t stage, std::string_view text, Regex::Workspace& workspace, Emit emit) const {
  if (text.empty()) return;
  if (stage == stages_.size()) return emit(text);
  std::size_t done = 0, from = 0;
  while (const auto match = stages_[stage].find(text, from, workspace)) {
    const auto [begin, end] = *match;
    if (begin == end) {  // an empty match separates nothing; look on behind the next character
      if (begin == text.size()) break;
      from = begin + static_cast<std::size_t>(decode_utf8(text.data() + begin, text.data() + text.size()).length);
      continue;
    }
    split_stage(stage + 1, text.substr(done, begin - done), workspace, emit);
    split_stage(stage + 1, text.substr(begin, end - begin), workspace, emit);
    done = from = end;
  }
  split_stage(stage + 1, text.substr(done), workspace, emit);
}

}  // namespace hadal
