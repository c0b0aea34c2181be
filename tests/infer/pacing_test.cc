// What steers a step by the times of steps before: the depth of drafts and the size of prompt chunks.
#include <gtest/gtest.h>

#include <functional>

#include "base/random.h"
#include "infer/chunk_pacer.h"
#include "infer/draft_depth.h"

namespace hadal {
namespace {

/// Runs steps of a machine with these costs, on which each draft comes true with probability p. How often each depth
/// was chosen in the last half.
std::vector<int> run(DraftDepth& depth, double p, const std::function<double(int)>& seconds, int steps = 2000,
                     int most = 3) {
  std::vector<int> chosen(static_cast<std::size_t>(most) + 1);
  for (int i = 0; i < steps; ++i) {
    const int k = depth.next(1);
    int right = 0;
    const auto uniform = [&](int j) { return random_uniform(9, Stream::kTest, static_cast<std::uint64_t>(i * 8 + j)); };
    while (right < k && uniform(right) < p) ++right;
    depth.verified(k, right);
    // The machine is noisy, and now and then somebody else has it.
    depth.took(1, k, seconds(k) * (1 + 0.05 * uniform(6)) * (i % 37 == 0 ? 5 : 1));
    if (i >= steps / 2) ++chosen[static_cast<std::size_t>(k)];
  }
  return chosen;
}

TEST(DraftDepth, IsWhatPays) {
  const auto share = [](double p, double cost_of_a_draft, std::size_t best) {
    DraftDepth depth(3, /*fixed=*/false);
    return run(depth, p, [&](int k) { return 1 + cost_of_a_draft * k; })[best];
  };
  EXPECT_GT(share(0.9, 0.1, 3), 900) << "1 + 0.9 + 0.81 + 0.73 tokens for 1.3";
  EXPECT_GT(share(0.9, 0.88, 0), 900) << "1.9 tokens for 1.88 are no clear gain";
  EXPECT_GT(share(0.1, 0.2, 0), 900) << "1.1 tokens for 1.2";
  EXPECT_GT(share(0.5, 0.2, 1), 500) << "1.5 for 1.2; 1.75 for 1.4 is the same";
}

TEST(DraftDepth, FollowsWhatChanges) {
  DraftDepth depth(3, false);
  const auto cost = [](int k) { return 1 + 0.15 * k; };
  EXPECT_GT(run(depth, 0.05, cost)[0], 900);
  EXPECT_GT(run(depth, 0.95, cost, 4000)[3], 1800);
  EXPECT_GT(run(depth, 0.05, cost)[0], 900);
}

TEST(DraftDepth, MeasuresEachNumberOfAnswersByItself) {
  DraftDepth depth(1, false);
  for (int i = 0; i < 400; ++i)
    for (const int answers : {1, 8}) {
      const int k = depth.next(answers);
      depth.verified(k, k);
      depth.took(answers, k, answers == 1 ? 1 + 0.1 * k : 1 + 2.0 * k);
    }
  int one = 0, eight = 0;
  for (int i = 0; i < 64; ++i) one += depth.next(1), eight += depth.next(8);
  EXPECT_GE(one, 60);
  EXPECT_LE(eight, 4);
}

TEST(DraftDepth, FixedIsFixed) {
  DraftDepth fixed(2, true), none(0, false);
  EXPECT_EQ(run(fixed, 0.0, [](int k) { return 1.0 + k; }, 100, 2), (std::vector<int>{0, 0, 50}));
  EXPECT_EQ(none.next(3), 0);
}

TEST(ChunkPacer, FindsTheChunkThatTakesTheTarget) {
  // A step costs something anyway, and a token of a prompt costs more the deeper it stands.
  ChunkPacer pacer(512, 0.2);
  double depth = 0;
  for (int i = 0; i < 400; ++i) {
    const int chunk = pacer.chunk();
    const double seconds = 0.05 + chunk * (1e-3 + depth * 1e-6);
    if (i > 20) {
      EXPECT_GT(seconds, 0.15) << i;
      EXPECT_LT(seconds, 0.25) << i;
    }
    depth += chunk;
    pacer.took(chunk, seconds);
  }
}

TEST(ChunkPacer, KeepsWithinItsBounds) {
  ChunkPacer off(256, 0), slow(256, 0.1), fast(256, 0.1), tiny(2, 0.1);
  EXPECT_EQ(off.chunk(), 256);
  EXPECT_EQ(tiny.chunk(), 2);
  for (int i = 0; i < 50; ++i) {
    off.took(256, 99);
    slow.took(slow.chunk(), 99);
    fast.took(fast.chunk(), 1e-6);
    tiny.took(2, 99);
  }
  EXPECT_EQ(off.chunk(), 256);
  EXPECT_EQ(slow.chunk(), 4) << "prompts get on, whatever the target";
  EXPECT_EQ(fast.chunk(), 256);
  EXPECT_EQ(tiny.chunk(), 2);
  const int before = slow.chunk();
  slow.took(1, 1e-6);  // the short end of a prompt says nothing
  EXPECT_EQ(slow.chunk(), before);
}

}  // namespace
}  // namespace hadal
