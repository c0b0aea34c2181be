#pragma once
// Text <-> token ids.
#include <filesystem>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/parallel.h"
#include "data/tokenizer/added_tokens.h"
#include "data/tokenizer/bpe.h"
#include "data/tokenizer/splitter.h"
#include "formats/tokenizer_files.h"

namespace hadal {

/// A stretch of a prompt. Added tokens ("<think>", ...) are found only where parse_special is set: text of a user can
/// never become a control token (see is_text_token for the few that are no control tokens). For splitting and merging
/// the stretches are one text.
struct TextSegment {
  std::string_view text;
  bool parse_special = false;
};

struct EncodeOptions {
  bool parse_special = false;  // find added tokens in the text
  bool add_special = false;    // put BOS (and EOS) around it as the tokenizer's files say
};

/// A byte-level BPE tokenizer. Immutable; all functions may be called from many threads at once.
class Tokenizer {
 public:
  /// Throws Error when the specification is not consistent.
  explicit Tokenizer(TokenizerFiles files);
  ~Tokenizer();
  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;
  /// `path` as load_tokenizer_files takes it.
  static Tokenizer load(const std::filesystem::path& path) { return Tokenizer(load_tokenizer_files(path)); }

  const TokenizerFiles& files() const { return files_; }
  /// One more than the largest id. Models may have more rows than that.
  int vocab_size() const { return files_.spec.vocab_size(); }
  /// -1: the tokenizer has none.
  int bos_id() const { return bos_id_; }
  int eos_id() const { return eos_id_; }
  int pad_id() const { return pad_id_; }
  /// The id of an added token, -1 when there is none of that name.
  int added_id(std::string_view content) const;
  /// True for control tokens, which decode() may leave out.
  bool is_special(int id) const;
  /// What an id decodes to; empty for ids that no token has.
  std::string_view token_bytes(int id) const;
  /// Bytes of text that each id stands for, by id; 0 for control tokens. For bits per byte.
  std::vector<int> text_bytes_per_token() const;

  std::vector<int> encode(std::string_view text, const EncodeOptions& options = {}) const;
  std::vector<int> encode(std::span<const TextSegment> segments, bool add_special = false) const;
  /// Appends the ids of plain text.
  void encode_append(std::string_view text, std::vector<int>& ids) const;
  /// encode() of many texts by all threads of the pool.
  std::vector<std::vector<int>> encode_batch(ThreadPool& pool, std::span<const std::string_view> texts,
                                             const EncodeOptions& options = {}) const;

  /// The bytes of the ids, one after the other; no UTF-8 is promised (see StreamDecoder and replace_ill_formed).
  std::string decode(std::span<const int> ids, bool skip_special = false) const;

 private:
  struct Workspace;
  class WorkspaceLoan;
  struct Impl;
  struct Stretches;

  void encode_pieces(std::string_view text, Workspace& workspace, std::vector<int>& ids) const;
  void encode_between(const Stretches& stretches, std::size_t begin, std::size_t end, Workspace& workspace,
                      std::vector<int>& ids) const;
  void encode_segments(std::span<const TextSegment> segments, Workspace& workspace, std::vector<int>& ids) const;

  TokenizerFiles files_;
  int bos_id_ = -1, eos_id_ = -1, pad_id_ = -1;
  std::vector<int> prefix_ids_, suffix_ids_;
  std::unique_ptr<Impl> impl_;
};

}  // namespace hadal
