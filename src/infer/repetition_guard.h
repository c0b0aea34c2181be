#pragma once
// Finds answers that go round in circles.
#include <vector>

namespace hadal {

/// Tells when the last tokens of an answer are one passage over and over: at least `least` tokens, and at least
/// kRepeats times a passage of at most kLongest tokens. Looks at ids only, so what it says depends on nothing else.
class RepetitionGuard {
 public:
  static constexpr int kLongest = 512, kRepeats = 4;
  /// least > 0
  explicit RepetitionGuard(int least) : least_(least), run_(kLongest + 1) {}

  /// Takes the next token. True: the answer repeats itself.
  bool push(int token);
  /// What came before counts no longer.
  void restart();

 private:
  int least_;
  std::vector<int> tokens_;
  std::vector<int> run_;  // [p]: how many of the last tokens equal the one p before them
};

}  // namespace hadal
