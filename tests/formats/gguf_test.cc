#include "formats/gguf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "base/file.h"
#include "base/json.h"
#include "base/random.h"
#include "formats/inspect.h"
#include "support/shared.h"
#include "support/temp_dir.h"

namespace hadal {
namespace {

using testing::HasSubstr;

std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text));
}

/// Every kind of value, and tensors whose sizes need padding.
GgufPairs all_kinds() {
  return {
      {"general.architecture", std::string("test")},
      {"u8", std::uint8_t{200}},
      {"i8", std::int8_t{-3}},
      {"u16", std::uint16_t{60000}},
      {"i16", std::int16_t{-300}},
      {"u32", std::uint32_t{4000000000U}},
      {"i32", std::int32_t{-5}},
      {"f32", 1e-6F},
      {"bool", true},
      {"u64", std::uint64_t{1} << 63},
      {"i64", std::int64_t{-1} << 40},
      {"f64", 0.25},
      {"names", GgufArray{std::vector<std::string>{"a", "", "\u4E2D\n"}}},
      {"scores", GgufArray{std::vector<float>{1, 2.5F}}},
      {"flags", GgufArray{std::vector<bool>{true, false, true}}},
      {"nested", GgufArray{std::vector<GgufArray>{{std::vector<std::int32_t>{1, 2}}, {std::vector<std::string>{}}}}},
      {"nothing", GgufArray{std::vector<std::uint8_t>{}}}};
}

std::string some_bytes(std::size_t n) {
  std::string text;
  for (std::size_t i = 0; i < n; ++i) text.push_back(static_cast<char>(random_bits(5, Stream::kTest, i)));
  return text;
}

struct Written {
  TempDir dir;
  std::string q4 = some_bytes(3 * 2 * 144), f32 = some_bytes(4 * 5), scalar = some_bytes(2);
  std::vector<GgufTensorToWrite> tensors = {gguf_tensor("blk.0.q", GgmlType::kQ4_K, {512, 3}, bytes_of(q4)),
                                            gguf_tensor("norm", GgmlType::kF32, {5}, bytes_of(f32)),
                                            gguf_tensor("one", GgmlType::kBF16, {}, bytes_of(scalar))};
  std::filesystem::path path = dir / "x.gguf";
  Written() { gguf_write(path, all_kinds(), tensors); }
};

TEST(Gguf, RoundTripOfEveryKindOfValueAndOfTensors) {
  const Written w;
  const GgufFile file(w.path);
  EXPECT_EQ(file.version(), 3);
  EXPECT_EQ(file.num_files(), 1);
  EXPECT_EQ(file.metadata().size(), all_kinds().size());
  EXPECT_EQ(file.get<std::string>("general.architecture"), "test");
  EXPECT_EQ(file.get<int>("u8"), 200);
  EXPECT_EQ(file.get<int>("i8"), -3);
  EXPECT_EQ(file.get<int>("u16"), 60000);
  EXPECT_EQ(file.get<int>("i16"), -300);
  EXPECT_EQ(file.get<std::int64_t>("u32"), 4000000000);
  EXPECT_EQ(file.get<double>("i32"), -5);
  EXPECT_FLOAT_EQ(static_cast<float>(file.get<double>("f32")), 1e-6F);
  EXPECT_TRUE(file.get<bool>("bool"));
  EXPECT_EQ(file.get<std::int64_t>("i64"), std::int64_t{-1} << 40);
  EXPECT_EQ(file.get<double>("f64"), 0.25);
  EXPECT_EQ(file.strings("names"), (std::vector<std::string>{"a", "", "\u4E2D\n"}));
  EXPECT_EQ(file.get<std::vector<double>>("scores"), (std::vector<double>{1, 2.5}));
  EXPECT_EQ(file.get<std::vector<bool>>("flags"), (std::vector<bool>{true, false, true}));
  EXPECT_EQ(file.get<std::vector<int>>("nothing"), std::vector<int>{});
  EXPECT_EQ(file.find<int>("absent"), std::nullopt);
  EXPECT_EQ(file.get_or<int>("absent", 7), 7);
  const auto& nested = std::get<std::vector<GgufArray>>(std::get<GgufArray>(file.metadata().at("nested")).values);
  EXPECT_EQ(std::get<std::vector<std::int32_t>>(nested.at(0).values), (std::vector<std::int32_t>{1, 2}));

  ASSERT_EQ(file.tensors().size(), 3U);
  const GgufTensor& q = file.tensor("blk.0.q");
  EXPECT_EQ(q.shape(), (std::vector<index_t>{3, 512}));
  EXPECT_EQ(q.count(), 3 * 512);
  ASSERT_EQ(static_cast<std::size_t>(q.bytes()), w.q4.size());
  EXPECT_EQ(std::memcmp(q.data, w.q4.data(), w.q4.size()), 0);
  EXPECT_EQ(std::memcmp(file.tensor("norm").data, w.f32.data(), w.f32.size()), 0);
  EXPECT_EQ(std::memcmp(file.tensor("one").data, w.scalar.data(), w.scalar.size()), 0);
  for (const GgufTensor& t : file.tensors()) EXPECT_EQ(reinterpret_cast<std::uintptr_t>(t.data) % 32, 0U) << t.name;
  EXPECT_EQ(file.find_tensor("absent"), nullptr);
}

TEST(Gguf, ErrorsSayWhatWasWanted) {
  const Written w;
  const GgufFile file(w.path);
  EXPECT_THAT(error_of([&] { static_cast<void>(file.get<int>("absent")); }), HasSubstr("no key \"absent\""));
  EXPECT_THAT(error_of([&] { static_cast<void>(file.get<int>("f64")); }),
              HasSubstr("f64: got float64, want an integer"));
  EXPECT_THAT(error_of([&] { static_cast<void>(file.get<int>("u32")); }), HasSubstr("u32: got uint32"));
  EXPECT_THAT(error_of([&] { static_cast<void>(file.get<std::int64_t>("u64")); }), HasSubstr("u64: got uint64"));
  EXPECT_THAT(error_of([&] { static_cast<void>(file.get<std::string>("names")); }), HasSubstr("array of 3 string"));
  EXPECT_THAT(error_of([&] { static_cast<void>(file.strings("scores")); }), HasSubstr("want an array of strings"));
  EXPECT_THAT(error_of([&] { file.tensor("w"); }), HasSubstr("no tensor \"w\""));
}

TEST(Gguf, RefusesToWriteNonsense) {
  const TempDir dir;
  const std::string data = some_bytes(64);
  const auto error = [&](const GgufPairs& metadata, const std::vector<GgufTensorToWrite>& tensors) {
    const std::string message = error_of([&] { gguf_write(dir / "x.gguf", metadata, tensors); });
    EXPECT_FALSE(std::filesystem::exists(dir / "x.gguf"));
    return message;
  };
  const auto f32 = [&](index_t n) { return gguf_tensor("w", GgmlType::kF32, {n}, bytes_of(data)); };
  EXPECT_THAT(error({{"a", true}, {"a", 1}}, {}), HasSubstr("\"a\" is given twice"));
  EXPECT_THAT(error({}, {f32(16), f32(16)}), HasSubstr("\"w\" is given twice"));
  EXPECT_THAT(error({}, {f32(15)}), HasSubstr("got 64 bytes of data, want 60"));
  EXPECT_THAT(error({}, {f32(17)}), HasSubstr("want 68"));
  EXPECT_THAT(error({{"general.alignment", 12}}, {}), HasSubstr("power of two"));
  EXPECT_THAT(error({}, {gguf_tensor("w", GgmlType::kQ8_0, {33}, bytes_of(data))}), HasSubstr("multiple of 32"));
}

/// Bytes of a file, put together field by field.
struct Bytes {
  std::string text;
  template <class T>
  Bytes& put(T value) {
    text.append(reinterpret_cast<const char*>(&value), sizeof value);
    return *this;
  }
  Bytes& str(std::string_view s) {
    put(std::uint64_t{s.size()});
    text.append(s);
    return *this;
  }
  static Bytes head(std::uint64_t tensors, std::uint64_t values, std::uint32_t version = 3) {
    Bytes b;
    b.text = "GGUF";
    return b.put(version).put(tensors).put(values);
  }
  Bytes& tensor(std::string_view name, std::vector<std::uint64_t> dims, std::uint32_t type, std::uint64_t offset) {
    str(name).put(static_cast<std::uint32_t>(dims.size()));
    for (const std::uint64_t dim : dims) put(dim);
    return put(type).put(offset);
  }
  Bytes& data(std::size_t n) {
    text.resize((text.size() + 31) / 32 * 32 + n, 'd');
    return *this;
  }
};

/// What reading says; "" when the bytes are accepted.
std::string reading(const Bytes& b) {
  try {
    const GgufFile file(bytes_of(b.text), "x");
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

TEST(Gguf, HostileHeads) {
  constexpr std::uint64_t kHuge = ~std::uint64_t{0};
  EXPECT_EQ(reading(Bytes::head(0, 0)), "");
  EXPECT_EQ(reading(Bytes::head(0, 0, 2)), "");
  EXPECT_THAT(reading({"GGML"}), HasSubstr("no GGUF file"));
  EXPECT_THAT(reading(Bytes::head(0, 0, 1)), HasSubstr("version 1, want 2 or 3"));
  EXPECT_THAT(reading(Bytes::head(0, 0, 0x03000000)), HasSubstr("big-endian"));
  EXPECT_THAT(reading(Bytes::head(kHuge, 0)), HasSubstr("tensors and 0 keys in 0 bytes"));
  EXPECT_THAT(reading(Bytes::head(0, 1 << 20)), HasSubstr("1048576 keys"));
  EXPECT_THAT(reading(Bytes::head(0, 1).put(kHuge).data(64)), HasSubstr("a key of 18446744073709551615 bytes"));
  EXPECT_THAT(reading(Bytes::head(0, 1).str("k").put(13).put(0)), HasSubstr("unknown type 13"));
  EXPECT_THAT(reading(Bytes::head(0, 1).str("k").put(12).put(0)), HasSubstr("ends inside a number of 8 bytes"));
  EXPECT_THAT(reading(Bytes::head(0, 1).str("key").put(7).put(std::uint8_t{2})), HasSubstr("bool 2"));
  EXPECT_THAT(reading(Bytes::head(0, 1).str("k").put(8).put(kHuge)), HasSubstr("a string of"));
  EXPECT_THAT(reading(Bytes::head(0, 1).str("k").put(9).put(8).put(kHuge).data(64)),
              HasSubstr("an array of 18446744073709551615 string"));
  EXPECT_THAT(reading(Bytes::head(0, 1).str("k").put(9).put(9).put(kHuge / 12).data(64)), HasSubstr("an array of"));
  Bytes deep = Bytes::head(0, 1).str("k").put(9);
  for (int i = 0; i < 1000; ++i) deep.put(9).put(std::uint64_t{1});
  EXPECT_THAT(reading(deep), HasSubstr("nested 3 deep"));
  EXPECT_THAT(reading(Bytes::head(0, 2).str("k").put(7).put(std::uint8_t{1}).str("k").put(7).put(std::uint8_t{1})),
              HasSubstr("\"k\" is there twice"));
  for (const std::uint32_t alignment : {0U, 1U, 4U, 24U, 1U << 30})
    EXPECT_THAT(reading(Bytes::head(0, 1).str("general.alignment").put(4).put(alignment)),
                HasSubstr("general.alignment: got"));
  EXPECT_THAT(reading(Bytes::head(0, 1).str("general.alignment").put(8).str("32")), HasSubstr("general.alignment"));
}

TEST(Gguf, HostileTensors) {
  constexpr std::uint32_t kF32 = 0, kQ8 = 8;
  const auto one = [&](std::vector<std::uint64_t> dims, std::uint32_t type, std::uint64_t offset) {
    return reading(Bytes::head(1, 0).tensor("w", std::move(dims), type, offset).data(128));
  };
  EXPECT_EQ(one({8, 4}, kF32, 0), "");
  EXPECT_EQ(one({8, 2}, kF32, 64), "");
  EXPECT_THAT(one({8, 4}, kF32, 32), HasSubstr("cut short"));
  EXPECT_THAT(one({8, 2}, kF32, 63), HasSubstr("want a multiple of 32"));
  EXPECT_THAT(one({8}, kF32, std::uint64_t{1} << 63), HasSubstr("cut short"));
  EXPECT_THAT(one({8, 4, 1, 1, 1}, kF32, 0), HasSubstr("5 dimensions"));
  EXPECT_THAT(one({0}, kF32, 0), HasSubstr("dimension 0"));
  EXPECT_THAT(one({1ULL << 40, 1ULL << 40}, kF32, 0), HasSubstr("fits into memory"));
  EXPECT_THAT(one({~0ULL}, kF32, 0), HasSubstr("fits into memory"));
  EXPECT_THAT(one({32}, 4, 0), HasSubstr("tensor type 4 is not known"));
  EXPECT_THAT(one({33}, kQ8, 0), HasSubstr("multiple of 32 for Q8_0"));
  const auto two = [&](std::string_view name, std::uint64_t offset) {
    return reading(Bytes::head(2, 0).tensor("w", {16}, kF32, 32).tensor(name, {8}, kF32, offset).data(128));
  };
  EXPECT_EQ(two("v", 0), "");
  EXPECT_EQ(two("v", 96), "");
  EXPECT_THAT(two("v", 64), HasSubstr("overlaps"));
  EXPECT_THAT(two("w", 96), HasSubstr("\"w\" is there twice"));
}

TEST(Gguf, EveryTruncationIsAnError) {
  const Written w;
  const std::string whole = read_file(w.path);
  // The padding behind the last tensor is no loss.
  const std::size_t needed = whole.size() - 30;
  for (std::size_t n = 0; n < needed; n += n < 700 ? 1 : 37)
    EXPECT_NE(reading({whole.substr(0, n)}), "") << n << " of " << whole.size() << " bytes";
  EXPECT_EQ(reading({whole.substr(0, needed)}), "");
}

/// Three files of one model.
std::vector<std::filesystem::path> write_split(const TempDir& dir, const std::string& data) {
  std::vector<std::filesystem::path> paths;
  for (int i = 0; i < 3; ++i) {
    GgufPairs metadata;
    if (i == 0) metadata.emplace_back("general.architecture", std::string("test"));
    metadata.emplace_back("split.no", static_cast<std::uint16_t>(i));
    metadata.emplace_back("split.count", std::uint16_t{3});
    metadata.emplace_back("split.tensors.count", std::int32_t{3});
    paths.push_back(dir / ("m-0000" + std::to_string(i + 1) + "-of-00003.gguf"));
    gguf_write(paths.back(), metadata,
               {gguf_tensor("t" + std::to_string(i), GgmlType::kF32, {i + 1}, bytes_of(data).first(4U * (i + 1U)))});
  }
  return paths;
}

TEST(Gguf, SplitFilesAreOneModel) {
  const TempDir dir;
  const std::string data = some_bytes(12);
  const auto paths = write_split(dir, data);
  const GgufFile file(paths[0]);
  EXPECT_EQ(file.num_files(), 3);
  EXPECT_EQ(file.tensors().size(), 3U);
  EXPECT_EQ(std::memcmp(file.tensor("t2").data, data.data(), 12), 0);
  EXPECT_THAT(error_of([&] { GgufFile f(paths[1]); }), HasSubstr("file 2 of 3 of a split model"));
  std::filesystem::copy_file(paths[1], paths[2], std::filesystem::copy_options::overwrite_existing);
  EXPECT_THAT(error_of([&] { GgufFile f(paths[0]); }), HasSubstr("says it is file 2 of 3, want 3 of 3"));
  std::filesystem::remove(paths[2]);
  EXPECT_THAT(error_of([&] { GgufFile f(paths[0]); }), HasSubstr("m-00003-of-00003.gguf"));
  std::filesystem::rename(paths[0], dir / "renamed.gguf");
  EXPECT_THAT(error_of([&] { GgufFile f(dir / "renamed.gguf"); }), HasSubstr("ends in -00001-of-00003.gguf"));
}

TEST(Gguf, Inspect) {
  const Written w;
  const JsonObject report = inspect(w.path);
  EXPECT_EQ(report.at("kind"), "gguf");
  EXPECT_EQ(report.at("num_tensors"), 3);
  EXPECT_EQ(report.at("bytes"), 3 * 2 * 144 + 20 + 2);
  EXPECT_EQ(report.at("metadata").at("f32"), 1e-6);
  EXPECT_EQ(report.at("tensors").at(0).at("dtype"), "Q4_K");
  EXPECT_EQ(json_line(report.at("tensors").at(0).at("shape")), "[3,512]");
  EXPECT_THAT(inspect_text(report), HasSubstr("blk.0.q"));
}

TEST(Gguf, TheVocabularyFile) {
  if (shared_dir().empty()) GTEST_SKIP() << "no shared folder";
  const GgufFile file(shared_dir() / "tokenizers" / "deepseek-llm.gguf");
  EXPECT_EQ(file.get<std::string>("tokenizer.ggml.pre"), "deepseek-llm");
  EXPECT_EQ(file.strings("tokenizer.ggml.tokens").size(), 102400U);
  EXPECT_EQ(file.strings("tokenizer.ggml.merges").size(), 99757U);
  EXPECT_EQ(file.get<int>("tokenizer.ggml.bos_token_id"), 100000);
  EXPECT_TRUE(file.tensors().empty());
}

TEST(GgmlType, NamesAndSizes) {
  EXPECT_EQ(ggml_bytes(GgmlType::kQ6_K, 512), 420);
  EXPECT_EQ(parse_ggml_type("IQ4_XS"), GgmlType::kIQ4_XS);
  EXPECT_THAT(error_of([] { parse_ggml_type("Q9"); }), HasSubstr("F32|F16|Q4_0"));
  EXPECT_EQ(find_ggml_type(4), nullptr);
}

}  // namespace
}  // namespace hadal
