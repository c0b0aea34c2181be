#pragma once
// Pairs of a better and a worse answer, or answers with a label, as token ids.
#include <string>
#include <vector>

#include "base/json.h"
#include "base/parallel.h"
#include "data/batch.h"
#include "data/sft/encoder.h"

namespace hadal {

struct PreferenceDataOptions {
  std::vector<std::string> input, validation;
  std::string template_file;
  template <class V>
  void visit(V&& v) {
    v("input", input,
      "JSON lines of pairs: {\"prompt\", \"chosen\", \"rejected\"}, texts or messages, or whole conversations under "
      "\"chosen\" and \"rejected\"; with --loss pointwise {\"prompt\", \"completion\", \"label\"} or {\"messages\", "
      "\"label\"}",
      {.required = true, .placeholder = "FILE"});
    v("validation", validation, "held-out records of the same shape", {.placeholder = "FILE"});
    v("template_file", template_file, "use this Jinja template, not the tokenizer's", {.placeholder = "FILE"});
  }
};

/// An answer behind its prompt. trained[i]: ids[i] is of the answer.
struct PreferenceAnswer {
  std::vector<int> ids;
  std::vector<char> trained;
  std::int64_t num_trained() const;
};

/// Two answers to one prompt, chosen first; or one answer with a label in [0, 1].
struct Preference {
  std::vector<PreferenceAnswer> answers;
  double margin = 0;  // pairs: by how much the chosen one is better ("margin"), for reward models
  double label = 0;
};

struct PreferenceData {
  std::vector<Preference> records;
  std::int64_t read = 0, bad = 0, too_long = 0;
  std::vector<std::string> problems;  // the first bad records: "file:line: reason"
  std::string hash;                   // of the files, the template and what else the ids depend on
  JsonObject to_json() const;         // counts and hash, for the manifest
};

/// Template and tokenizer of a model, as preference data needs them: whole last answers are trained on, reasoning
/// included where the template prints it.
class PreferenceEncoder {
 public:
  /// `where` opens error messages. The tokenizer must outlive the encoder.
  PreferenceEncoder(const Tokenizer& tokenizer, std::string_view where);
  const SftEncoder& get() const { return encoder_; }
  /// The ids of a conversation in any known shape.
  Result<std::vector<int>> ids_of(const Json& record) const;

 private:
  ChatTemplate chat_;
  SftEncoder encoder_;
};

/// The text of a template file, empty for no file.
std::string template_text(const std::string& file);

/// Reads records of one kind. Records that cannot be used, and those with an answer of more than max_tokens (prompt
/// included), are counted and left out. Throws Error when none is left. A function of the bytes read, not of threads.
PreferenceData load_preferences(ThreadPool& pool, const SftEncoder& encoder, const std::vector<std::string>& files,
                                bool pairs, std::int64_t max_tokens);

/// Appends an answer as a sequence of its own: targets are the tokens of the answer.
void append_answer(Batch& batch, const PreferenceAnswer& answer);

}  // namespace hadal
