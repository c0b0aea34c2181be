#include "infer/repetition_guard.h"

#include <gtest/gtest.h>

#include "base/random.h"

namespace hadal {
namespace {

/// Tokens until the guard speaks; -1: it never does.
int first_alarm(RepetitionGuard& guard, const std::vector<int>& tokens) {
  for (std::size_t i = 0; i < tokens.size(); ++i)
    if (guard.push(tokens[i])) return static_cast<int>(i) + 1;
  return -1;
}

/// `before` random tokens, then a random passage of `period` tokens over and over.
std::vector<int> circle(int before, int period, int length) {
  std::vector<int> tokens;
  for (int i = 0; i < length; ++i) {
    const int at = i < before ? i : before + (i - before) % period;
    tokens.push_back(static_cast<int>(random_below(3, Stream::kTest, static_cast<std::uint64_t>(at), 1 << 30)));
  }
  return tokens;
}

TEST(RepetitionGuard, SpeaksWhenEnoughTokensAndEnoughTurnsAreThere) {
  for (const int before : {0, 1, 700})
    for (const int period : {1, 2, 7, 100, RepetitionGuard::kLongest}) {
      RepetitionGuard guard(64);
      const int want = before + std::max(64, RepetitionGuard::kRepeats * period);
      EXPECT_EQ(first_alarm(guard, circle(before, period, want + 10)), want) << before << " " << period;
    }
}

TEST(RepetitionGuard, IsSilentWhereNothingRepeats) {
  RepetitionGuard guard(8);
  EXPECT_EQ(first_alarm(guard, circle(3000, 1, 3000)), -1);
  RepetitionGuard longer(8);
  EXPECT_EQ(first_alarm(longer, circle(0, RepetitionGuard::kLongest + 1, 5000)), -1) << "too long a passage to see";
  // A table whose rows differ in one token each.
  std::vector<int> rows;
  for (int row = 0; row < 100; ++row)
    for (const int token : {1, 2, row + 10, 3}) rows.push_back(token);
  RepetitionGuard table(16);
  EXPECT_EQ(first_alarm(table, rows), -1);
}

TEST(RepetitionGuard, RestartForgets) {
  RepetitionGuard guard(10);
  const std::vector<int> same(9, 5);
  EXPECT_EQ(first_alarm(guard, same), -1);
  guard.restart();
  EXPECT_EQ(first_alarm(guard, same), -1);
  EXPECT_TRUE(guard.push(5));
}

}  // namespace
}  // namespace hadal
