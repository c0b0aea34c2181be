#include "data/tokenizer/bpe.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <map>

#include "base/random.h"
#include "base/utf8.h"
#include "data/tokenizer/added_tokens.h"
#include "support/temp_dir.h"

namespace hadal {
namespace {

/// A vocabulary of all bytes with random merges, so that characters are cut and joined in every way.
TokenizerSpec random_spec(std::uint64_t seed, int num_merges, std::string_view alphabet) {
  TokenizerSpec spec;
  for (int byte = 0; byte < 256; ++byte) spec.tokens.push_back({.bytes = std::string(1, static_cast<char>(byte))});
  std::vector<int> usable;
  for (const char c : alphabet) usable.push_back(static_cast<unsigned char>(c));
  std::map<std::pair<int, int>, int> seen;
  for (std::uint64_t i = 0; static_cast<int>(spec.merges.size()) < num_merges && i < 100000; ++i) {
    const std::uint64_t bits = random_bits(seed, Stream::kTest, i);
    const int left = usable[bits % usable.size()], right = usable[(bits >> 32) % usable.size()];
    const std::string bytes =
        spec.tokens[static_cast<std::size_t>(left)].bytes + spec.tokens[static_cast<std::size_t>(right)].bytes;
    if (bytes.size() > 8 || !seen.emplace(std::pair(left, right), 0).second) continue;
    const int id = spec.vocab_size();
    spec.tokens.push_back({.bytes = bytes});
    spec.merges.push_back({left, right, id});
    usable.push_back(id);
  }
  return spec;
}

std::vector<int> encode_by_definition(const TokenizerSpec& spec, std::string_view piece) {
  std::map<std::pair<int, int>, std::pair<int, int>> rank;
  for (std::size_t r = 0; r < spec.merges.size(); ++r)
    rank[{spec.merges[r].left, spec.merges[r].right}] = {static_cast<int>(r), spec.merges[r].result};
  std::vector<int> ids;
  for (const char c : piece) ids.push_back(static_cast<unsigned char>(c));
  for (;;) {
    int best = INT32_MAX, result = 0;
    std::size_t at = 0;
    for (std::size_t i = 1; i < ids.size(); ++i)
      if (const auto found = rank.find({ids[i - 1], ids[i]}); found != rank.end() && found->second.first < best) {
        best = found->second.first;
        result = found->second.second;
        at = i - 1;
      }
    if (best == INT32_MAX) return ids;
    ids[at] = result;
    ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(at) + 1);
  }
}

TEST(Bpe, EqualsTheDefinitionOnShortAndLongPieces) {
  const char* const kCharacters[] = {"a", "b", "\u00E9", "\u00EA", "\u4E2D", "\u4E2E", "\u4F2D", "\U0001F680"};
  std::string alphabet;
  for (const char* c : kCharacters) alphabet += c;
  std::sort(alphabet.begin(), alphabet.end());
  alphabet.erase(std::unique(alphabet.begin(), alphabet.end()), alphabet.end());
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    const TokenizerSpec spec = random_spec(seed, 5 + static_cast<int>(seed % 90), alphabet);
    const Bpe bpe(spec);
    Bpe::Workspace workspace;
    for (const std::size_t length : {1U, 2U, 5U, 20U, 70U, 200U}) {
      std::string piece;
      for (std::uint64_t i = 0; i < length; ++i)
        piece += kCharacters[random_below(seed, Stream::kTest, 1000 * length + i, std::size(kCharacters))];
      std::vector<int> ids;
      bpe.encode(piece, workspace, ids);
      ASSERT_EQ(ids, encode_by_definition(spec, piece)) << "seed " << seed << ", " << length << " characters";
    }
  }
}

TEST(Bpe, WantsAllBytesThatUtf8Uses) {
  TokenizerSpec spec = random_spec(1, 0, "ab");
  spec.tokens.pop_back();
  const Bpe bpe(spec);
  Bpe::Workspace workspace;
  std::vector<int> ids;
  bpe.encode("\xFE\xFF\xFF", workspace, ids);
  EXPECT_EQ(ids, (std::vector<int>{0xFE, 0xEF, 0xBF, 0xBD, 0xEF, 0xBF, 0xBD}));
  spec.tokens.resize(0xF4);
  EXPECT_NE(error_of([&] { Bpe b(spec); }).find("byte 244"), std::string::npos);
}

TEST(AddedTokenMatcher, LeftmostThenLongest) {
  const AddedTokenMatcher matcher({{.id = 1, .content = "ab"},
                                   {.id = 2, .content = "abcd"},
                                   {.id = 3, .content = "bc"},
                                   {.id = 4, .content = "x", .normalized = true}},
                                  [](const AddedToken& t) { return !t.normalized; });
  std::vector<AddedTokenMatcher::Match> matches;
  matcher.find_all("zabcabcdbcx", 0, 11, matches);
  std::vector<int> ids;
  for (const auto& match : matches) ids.push_back(match.id);
  EXPECT_EQ(ids, (std::vector<int>{1, 2, 3}));
  matches.clear();
  matcher.find_all("abcd", 0, 3, matches);  // the longer one does not fit into the range
  ASSERT_EQ(matches.size(), 1U);
  EXPECT_EQ(matches[0].id, 1);
}

TEST(AddedTokenMatcher, WordsAndWhiteSpace) {
  const AddedTokenMatcher matcher({{.id = 1, .content = "is", .single_word = true},
                                   {.id = 2, .content = "<l>", .lstrip = true},
                                   {.id = 3, .content = "<r>", .rstrip = true}},
                                  [](const AddedToken&) { return true; });
  using Found = std::vector<std::array<std::size_t, 3>>;
  const auto find = [&](std::string_view text, std::size_t from = 0) {
    std::vector<AddedTokenMatcher::Match> matches;
    matcher.find_all(text, from, text.size(), matches);
    Found found;
    for (const auto& m : matches) found.push_back({static_cast<std::size_t>(m.id), m.begin, m.end});
    return found;
  };
  EXPECT_EQ(find("this is \u00E9is is_ is"), (Found{{1, 5, 7}, {1, 17, 19}}));
  EXPECT_EQ(find("is"), (Found{{1, 0, 2}}));
  EXPECT_EQ(find("a \t\u3000<l> b"), (Found{{2, 1, 9}}));
  EXPECT_EQ(find("a <r> \n b"), (Found{{3, 2, 8}}));
  EXPECT_EQ(find("<r> \n <l>"), (Found{{3, 0, 6}, {2, 6, 9}}));  // the white space is gone already
  EXPECT_EQ(find("a  <l>", 2), (Found{{2, 2, 6}}));              // not beyond where the search starts
  EXPECT_EQ(find("\xFF<l>"), (Found{{2, 1, 4}}));
}

}  // namespace
}  // namespace hadal
