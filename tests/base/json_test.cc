#include "base/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>

#include "base/file.h"
#include "support/temp_dir.h"

namespace hadal {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

std::string parse_error(std::string_view text) {
  return error_of([&] { parse_json(text, "f.json", {.max_bytes = 1000, .max_depth = 4}); });
}

TEST(Json, ErrorsNameLineAndColumn) {
  EXPECT_THAT(parse_error("{\n  \"a\": tru\n}"), StartsWith("f.json:2:8: bad JSON"));
  EXPECT_THAT(parse_error("{\"a\": 1,}"), StartsWith("f.json:1:9: bad JSON"));
  EXPECT_THAT(parse_error("{\"a\": 1"), StartsWith("f.json:1:8: JSON ends too early"));
  EXPECT_THAT(parse_error(""), StartsWith("f.json:1:1: JSON ends too early"));
  EXPECT_THAT(parse_error(" \n "), StartsWith("f.json:2:2: JSON ends too early"));
  EXPECT_THAT(parse_error("1 2"), HasSubstr("text after the end"));
  EXPECT_THAT(parse_error("[1]\n]"), StartsWith("f.json:2:1: text after the end"));
  EXPECT_THAT(parse_error("[[[[[1]]]]]"), HasSubstr("nested deeper than 4"));
  EXPECT_THAT(parse_error(std::string(1001, ' ')), HasSubstr("got 1001 bytes of JSON, want at most 1000"));
  EXPECT_THAT(parse_error("\"\xc3\x28\""), HasSubstr("bad JSON"));
  EXPECT_THAT(parse_error("\"\xed\xa0\x80\""), HasSubstr("bad JSON"));  // a surrogate in UTF-8
  EXPECT_THAT(parse_error("\"\\ud800\""), HasSubstr("bad JSON"));
  EXPECT_THAT(parse_error("\"\x01\""), HasSubstr("bad JSON"));
  EXPECT_THAT(parse_error("[1e999]"), HasSubstr("bad JSON"));
  EXPECT_THAT(parse_error("NaN"), HasSubstr("bad JSON"));
  EXPECT_THAT(parse_error("// no\n1"), HasSubstr("bad JSON"));
}

TEST(Json, DuplicateKeysAreErrors) {
  EXPECT_THAT(parse_error("{\"a\":1,\n\"b\":{\"c\":1,\"c\":2}}"), HasSubstr("f.json:2"));
  EXPECT_THAT(parse_error("{\"a\":1,\"b\":2,\"a\":3}"), HasSubstr("has the key \"a\" twice"));
  EXPECT_THAT(parse_error("{\"ab\":1,\"\\u0061b\":3}"), HasSubstr("has the key \"ab\" twice"));
  EXPECT_NO_THROW(parse_json("{\"a\":{\"a\":[{\"a\":1},{\"a\":2}]},\"b\":{\"a\":1}}", "x"));
}

TEST(Json, NumbersAreReadToTheNearestDouble) {
  const char* numbers[] = {"0.8782488562869419",         "1e-06", "2.2250738585072014e-308", "5e-324",
                           "1.7976931348623157e308",     "0.1",   "123456789012345678.5",    "9007199254740993.0",
                           "3.141592653589793238462643", "1e23"};
  for (const char* text : numbers) {
    SCOPED_TRACE(text);
    EXPECT_EQ(parse_json(text, "x").as_double(), std::strtod(text, nullptr));
  }
  EXPECT_EQ(parse_json("1e-400", "x").as_double(), 0);
  EXPECT_EQ(parse_json("-9223372036854775808", "x").as_int64(), std::numeric_limits<std::int64_t>::min());
  EXPECT_TRUE(std::signbit(parse_json("-0.0", "x").as_double()));
}

TEST(Json, WritesStableTextThatReadsBackEqual) {
  const std::string text =
      R"({"b":1,"a":[1,2.5,"x"],"deep":[{"k":[]},{}],"d":1.0,"tiny":1e-300,"s":"q\"\\\n\u0001é","n":null,"t":true})";
  const Json value = parse_json(text, "x");
  EXPECT_EQ(json_pretty(value),
            "{\n  \"b\": 1,\n  \"a\": [1, 2.5, \"x\"],\n  \"deep\": [\n    {\n      \"k\": []\n    },\n    {}\n  ],\n"
            "  \"d\": 1.0,\n  \"tiny\": 1e-300,\n  \"s\": \"q\\\"\\\\\\n\\u0001\xc3\xa9\",\n  \"n\": null,\n  \"t\": "
            "true\n}\n");
  EXPECT_EQ(json_line(value), text);
  EXPECT_EQ(parse_json(json_pretty(value), "x"), value);
  EXPECT_EQ(json_line(JsonArray{std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity(), 1e22,
                                std::numeric_limits<std::uint64_t>::max()}),
            "[null,null,1e+22,18446744073709551615]");
  EXPECT_EQ(parse_json(json_line(0.1 + 0.2), "x").as_double(), 0.1 + 0.2);
}

TEST(Json, ExcerptsCutWholeCharacters) {
  std::string long_text;
  for (int i = 0; i < 100; ++i) long_text += "\xe6\xb7\xb1";
  const std::string excerpt = json_excerpt(Json(long_text));
  EXPECT_LT(excerpt.size(), 70U);
  EXPECT_NO_THROW(parse_json(excerpt.substr(0, excerpt.size() - 3) + "\"", "x"));
}

TEST(ObjectReader, ReadsTypedValues) {
  const Json json = parse_json(
      R"({"i":3,"d":2.5,"whole":4.0,"s":"text","b":true,"v":[1,2],"w":["x","y"],"n":null,"o":{"k":1},"u":[0.5,1]})",
      "f");
  ObjectReader r(json, "f");
  EXPECT_EQ(r.get<int>("i"), 3);
  EXPECT_EQ(r.get<double>("i"), 3.0);
  EXPECT_EQ(r.get<double>("d"), 2.5);
  EXPECT_EQ(r.get<int>("whole"), 4);
  EXPECT_EQ(r.get<std::string>("s"), "text");
  EXPECT_TRUE(r.get<bool>("b"));
  EXPECT_EQ(r.get<std::vector<int>>("v"), (std::vector<int>{1, 2}));
  EXPECT_EQ(r.get<std::vector<std::string>>("w"), (std::vector<std::string>{"x", "y"}));
  EXPECT_EQ(r.get<std::vector<double>>("u"), (std::vector<double>{0.5, 1}));
  EXPECT_FALSE(r.has("n"));
  EXPECT_EQ(r.get_or<int>("n", 7), 7);
  EXPECT_EQ(r.find<int>("absent"), std::nullopt);
  ObjectReader o = r.object("o");
  EXPECT_EQ(o.get_integer("k", 0, 1), 1);
  o.finish();
  r.finish();
}

TEST(ObjectReader, ErrorsNameFileKeyGotAndWanted) {
  const Json json =
      parse_json(R"({"i":3.5,"big":3000000000,"huge":1e300,"s":1,"v":[1,"x"],"o":{"k":"v","extra":1}})", "f");
  ObjectReader r(json, "f.json");
  EXPECT_EQ(error_of([&] { r.get<int>("i"); }), "f.json: i: got 3.5, want an integer");
  EXPECT_EQ(error_of([&] { r.get<int>("big"); }), "f.json: big: got 3000000000, want an integer of 32 bits");
  EXPECT_EQ(r.get<std::int64_t>("big"), 3000000000);
  EXPECT_EQ(error_of([&] { r.get<std::int64_t>("huge"); }), "f.json: huge: got 1e+300, want an integer");
  EXPECT_EQ(error_of([&] { r.get<std::string>("s"); }), "f.json: s: got 1, want a string");
  EXPECT_EQ(error_of([&] { r.get<std::vector<int>>("v"); }), "f.json: v[1]: got \"x\", want an integer");
  EXPECT_EQ(error_of([&] { r.get<std::vector<int>>("o"); }), "f.json: o: got an object, want an array");
  EXPECT_EQ(error_of([&] { r.get<int>("none"); }), "f.json: none: missing");
  EXPECT_EQ(error_of([&] { r.get_integer("s", 2, 5); }), "f.json: s: got 1, want an integer in [2, 5]");
  ObjectReader o = r.object("o");
  EXPECT_EQ(error_of([&] { o.get<bool>("k"); }), "f.json: o.k: got \"v\", want true or false");
  EXPECT_EQ(error_of([&] { o.finish(); }), "f.json: o: unknown keys: \"extra\"");
  EXPECT_EQ(error_of([&] { ObjectReader(Json(1), "f.json"); }), "f.json: got 1, want an object");
  EXPECT_EQ(error_of([&] { r.object("s"); }), "f.json: s: got 1, want an object");
}

TEST(Json, FilesAndPlanB) {
  const TempDir dir;
  write_file_atomically(dir / "a.json", "{\"a\": [1,\n 2,]}");
  EXPECT_THAT(error_of([&] { read_json_file(dir / "a.json"); }), HasSubstr("a.json:2:4: bad JSON"));
  EXPECT_THAT(error_of([&] { read_json_file(dir / "none.json"); }), HasSubstr("cannot open"));
  EXPECT_FALSE(try_parse_json("{", "body").ok());
  EXPECT_TRUE(try_parse_json("{}", "body").ok());
}

}  // namespace
}  // namespace hadal
