#include "base/error.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <memory>

namespace hadal {
namespace {

std::string message_of(auto&& run) {
  try {
    run();
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

TEST(Error, MessageJoinsTheParts) {
  EXPECT_EQ(str_cat("a", 1, ' ', 2.5), "a1 2.5");
  EXPECT_EQ(message_of([] { fail("rows: got ", 3, ", want ", 4); }), "rows: got 3, want 4");
}

TEST(Error, CheckEvaluatesItsPartsOnlyOnFailure) {
  int evaluated = 0;
  const auto part = [&] { return ++evaluated; };
  HADAL_CHECK(true, "x ", part());
  EXPECT_EQ(evaluated, 0);
  EXPECT_EQ(message_of([&] { HADAL_CHECK(1 + 1 == 3, "sum is ", part()); }), "sum is 1");
}

Result<int> parse_digit(char c) {
  if (c < '0' || c > '9') return Failure{str_cat("not a digit: ", c)};
  return c - '0';
}

TEST(Result, ValueOrReason) {
  EXPECT_TRUE(parse_digit('7').ok());
  EXPECT_EQ(parse_digit('7').value(), 7);
  const Result<int> bad = parse_digit('x');
  EXPECT_FALSE(bad);
  EXPECT_EQ(bad.message(), "not a digit: x");
  EXPECT_EQ(message_of([&] { bad.value(); }), "not a digit: x");
}

TEST(Result, HoldsWhatOnlyMoves) {
  Result<std::unique_ptr<int>> result = std::make_unique<int>(5);
  const std::unique_ptr<int> taken = std::move(result).value();
  EXPECT_EQ(*taken, 5);
}

TEST(Narrow, KeepsOrThrows) {
  EXPECT_EQ(narrow<int>(std::int64_t{-5}), -5);
  EXPECT_EQ(narrow<std::uint8_t>(255), 255);
  EXPECT_THROW(narrow<std::uint8_t>(256), Error);
  EXPECT_THROW(narrow<std::uint32_t>(-1), Error);
  EXPECT_THROW(narrow<int>(std::numeric_limits<std::int64_t>::max()), Error);
  EXPECT_THROW(narrow<std::int64_t>(std::numeric_limits<std::uint64_t>::max()), Error);
}

}  // namespace
}  // namespace hadal
