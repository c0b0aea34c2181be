#include "infer/ngram_draft.h"

#include <gtest/gtest.h>

namespace hadal {
namespace {

TEST(NgramDraft, ProposesWhatFollowedLastTime) {
  const std::vector<int> prompt = {1, 2, 3, 4, 5, 9, 1, 2, 3};
  NgramDraft draft(prompt);
  EXPECT_EQ(draft.propose(8), (std::vector<int>{4, 5, 9}));
  EXPECT_EQ(draft.propose(2), (std::vector<int>{4, 5}));
  EXPECT_TRUE(draft.propose(0).empty());
  draft.add(7);
  EXPECT_TRUE(draft.propose(8).empty());
  draft.add(2);
  draft.add(3);  // only the pair is known; its last place counts
  EXPECT_EQ(draft.propose(1), (std::vector<int>{7}));
}

TEST(NgramDraft, GrowsWhenRightAndRestsWhenWrong) {
  std::vector<int> loop;
  for (int i = 0; i < 60; ++i) loop.push_back(i % 20);
  NgramDraft draft(loop);
  for (const std::size_t length : {3U, 5U, 7U, 8U, 8U}) {
    EXPECT_EQ(draft.propose(20).size(), length);
    draft.judge(static_cast<int>(length), static_cast<int>(length));
  }
  for (int i = 0; i < 3; ++i) draft.judge(1, 0);
  EXPECT_TRUE(draft.propose(8).empty());
  for (int i = 0; i < 16; ++i) draft.add(i);
  EXPECT_EQ(draft.propose(8).size(), 1U);
}

TEST(NgramDraft, ShortHistoriesHaveNoGuess) {
  for (std::size_t length = 0; length < 3; ++length)
    EXPECT_TRUE(NgramDraft(std::vector<int>(length, 1)).propose(4).empty());
}

}  // namespace
}  // namespace hadal
