#include "infer/prefix_cache.h"

#include <gtest/gtest.h>

#include <numeric>

namespace hadal {
namespace {

std::vector<int> counted(int from, int count) {
  std::vector<int> tokens(static_cast<std::size_t>(count));
  std::iota(tokens.begin(), tokens.end(), from);
  return tokens;
}

/// A cache of pages of four tokens that sequences fill.
struct Fixture {
  PagePool pool{6};
  PrefixCache cache{pool, 4};
  /// A sequence that comes, is remembered and goes; the pages that it found.
  std::size_t visit(const std::vector<int>& tokens) {
    std::vector<int> pages = cache.find(tokens);
    const std::size_t found = pages.size();
    while (pages.size() < (tokens.size() + 3) / 4) {
      EXPECT_TRUE(cache.make_room(1));
      pages.push_back(pool.take());
    }
    cache.insert(tokens, pages);
    for (const int page : pages) pool.release(page);
    return found;
  }
};

TEST(PrefixCache, FindsTheLongestBeginningInWholePages) {
  Fixture f;
  EXPECT_EQ(f.visit(counted(0, 11)), 0U);
  EXPECT_EQ(f.cache.num_pages(), 2);  // the third page is not whole
  EXPECT_EQ(f.visit(counted(0, 11)), 2U);
  EXPECT_EQ(f.visit(counted(0, 7)), 1U);
  std::vector<int> branch = counted(0, 8);
  branch[6] = 99;
  EXPECT_EQ(f.visit(branch), 1U);
  EXPECT_EQ(f.visit(branch), 2U);
  EXPECT_EQ(f.visit(counted(1, 8)), 0U);
}

TEST(PrefixCache, EvictsTheLeastRecentlyUsedButNothingInUse) {
  Fixture f;
  f.visit(counted(0, 8));     // 2 pages
  f.visit(counted(100, 8));   // 2
  f.visit(counted(0, 8));     // used again
  f.visit(counted(200, 12));  // 3: one of the second sequence must go
  EXPECT_EQ(f.cache.num_pages(), 6);
  std::vector<int> pages = f.cache.find(counted(100, 8));
  EXPECT_EQ(pages.size(), 1U);  // its end went first
  EXPECT_EQ(f.cache.num_evictable(), 5);
  EXPECT_TRUE(f.cache.make_room(5));
  EXPECT_FALSE(f.cache.make_room(6));  // one page is in use
  EXPECT_EQ(f.cache.num_pages(), 1);
  f.pool.release(pages[0]);
  EXPECT_TRUE(f.cache.make_room(6));
}

TEST(PagePool, CountsUsers) {
  PagePool pool(2);
  const int a = pool.take(), b = pool.take();
  EXPECT_THROW(pool.take(), Error);
  pool.share(a);
  pool.release(a);
  EXPECT_EQ(pool.num_free(), 0);
  pool.release(a);
  pool.release(b);
  EXPECT_EQ(pool.num_free(), 2);
  EXPECT_THROW(pool.release(b), Error);
}

}  // namespace
}  // namespace hadal
