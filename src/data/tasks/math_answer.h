#pragma once
// Grades the final answer of a mathematical task against the known one: where in a response the answer stands, and
// whether two answers mean the same. No answer is executed, every comparison ends after a fixed number of operations,
// and the same texts give the same verdict on every thread.
#include <string>
#include <string_view>
#include <vector>

#include "data/tasks/math_expr.h"

namespace hadal {

struct MathOptions {
  bool strict = false;        // only a box or "answer is" counts as an answer
  bool percent = false;       // 10% is 10, too; otherwise it is 0.1 and nothing else
  bool unevaluated = false;   // 12 + 30 answers 42
  double tolerance = 1e-6;    // of decimals: |a - b| <= tolerance * max(1, |gold|)
  int tail_characters = 300;  // where answers without a box are looked for: at the end of the response
  template <class V>
  void visit(V&& v) {
    v("strict", strict, "only a box or \"answer is\" counts as an answer");
    v("percent", percent, "10% also means 10");
    v("unevaluated", unevaluated, "12 + 30 also answers 42");
    v("tolerance", tolerance, "relative, for answers that are not exact");
    v("tail_characters", tail_characters, "bytes at the end in which an answer without a box is looked for");
  }
};

/// The text of the final answer of a response; empty when there is none. In this order: the last balanced \boxed{}
/// (several that differ count as none: naming many answers does not pay), "answer is ...", and unless strict GSM8K's
/// "#### ...", the last formula, the last number. Reasoning before </think> is not looked at, and inside <answer> tags
/// only what they hold.
std::string extract_math_answer(std::string_view response, const MathOptions& options = {});

/// A known answer, read once and compared often. Safe to use from several threads.
class MathGold {
 public:
  /// A Failure when the text is no answer that can be compared: an error of the data, not of a model.
  static Result<MathGold> parse(std::string_view text);
  /// Whether an answer (extract_math_answer) means the same.
  bool equals(std::string_view answer, const MathOptions& options = {}) const;
  const std::string& text() const { return text_; }

 private:
  std::string text_, canonical_;
  std::vector<MathExpr> readings_;  // with their commas read in different ways
};

/// MathGold::parse(gold).equals(answer). Throws Error when gold is no answer.
bool math_equal(std::string_view gold, std::string_view answer, const MathOptions& options = {});

}  // namespace hadal
