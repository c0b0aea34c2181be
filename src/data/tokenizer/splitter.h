#pragma once
// Pre-tokenization: text into the pieces inside which merges happen.
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/parallel.h"
#include "data/tokenizer/regex.h"

namespace hadal {

class Splitter {
 public:
  using Emit = FunctionRef<void(std::string_view piece)>;

  /// Regexes as TokenizerSpec::splits has them. DeepSeek-V3's are run by a hand-written scanner with the same result;
  /// `allow_scanner` false keeps the regex engine (tests compare the two).
  explicit Splitter(const std::vector<std::string>& regexes, bool allow_scanner = true);

  /// Calls emit(piece) for consecutive, non-empty pieces that together are `text`. Bytes that are no UTF-8 form pieces
  /// of their own. Safe from many threads, each with its own workspace.
  void split(std::string_view text, Regex::Workspace& workspace, Emit emit) const;

 private:
  void split_well_formed(std::string_view text, Regex::Workspace& workspace, Emit emit) const;
  void split_stage(std::size_t stage, std::string_view text, Regex::Workspace& workspace, Emit emit) const;

  std::vector<Regex> stages_;
  bool use_scanner_ = false;
};

}  // namespace hadal
