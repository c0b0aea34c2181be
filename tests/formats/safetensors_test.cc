#include "formats/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <random>

#include "base/file.h"
#include "base/json.h"
#include "support/shared.h"
#include "support/temp_dir.h"

namespace hadal {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

std::string file_with(std::string_view header, std::string_view data) {
  std::string bytes(8, '\0');
  const std::uint64_t size = header.size();
  std::memcpy(bytes.data(), &size, sizeof size);
  return bytes.append(header).append(data);
}

/// What reading a file of these bytes says; "" when it is accepted.
std::string reading(const std::string& bytes) {
  try {
    const SafetensorsFile file(std::as_bytes(std::span(bytes)), "x");
    // The last byte of each tensor must be there to read.
    for (const auto& [name, tensor] : file.tensors())
      if (tensor.bytes() > 0)
        static_cast<void>(*const_cast<const volatile std::byte*>(tensor.data + tensor.bytes() - 1));
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

std::vector<float> ramp(index_t count) {
  std::vector<float> values(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i) * 0.37F - 3;
  return values;
}

TensorToWrite f32_tensor(std::string name, std::vector<float>& values, std::vector<index_t> shape,
                         DType dtype = DType::kF32) {
  const auto count = static_cast<index_t>(values.size());
  return {std::move(name), dtype, std::move(shape), view_of(Mat<const float>{values.data(), 1, count, count})};
}

TEST(Safetensors, ReadsTheFixtures) {
  const fs::path shared = shared_dir();
  if (shared.empty()) GTEST_SKIP() << "no shared folder";
  int num_files = 0;
  for (const auto& entry : fs::recursive_directory_iterator(shared / "fixtures")) {
    if (entry.path().extension() != ".safetensors") continue;
    SCOPED_TRACE(entry.path().string());
    const SafetensorsFile file(entry.path());
    EXPECT_FALSE(file.tensors().empty());
    ++num_files;
  }
  EXPECT_GE(num_files, 26);
  const SafetensorsFolder shards(shared / "fixtures" / "llama_gqa");
  EXPECT_EQ(shards.tensors().size(), 3U * 9 + 3);
  EXPECT_EQ(shards.tensors().at("model.embed_tokens.weight").view().rows, 256);
  const SafetensorsFolder fp8(shared / "fixtures" / "deepseek_v3_fp8_ragged");
  EXPECT_EQ(fp8.tensors().at("model.layers.0.self_attn.q_a_proj.weight").dtype, DType::kE4M3);
  EXPECT_EQ(fp8.tensors().at("model.layers.0.self_attn.q_a_proj.weight_scale_inv").shape, (std::vector<index_t>{1, 2}));
}

TEST(Safetensors, RoundTripKeepsEveryByteAndAlignsEveryTensor) {
  const TempDir dir;
  std::vector<float> a = ramp(15), b = ramp(7 * 33), c = ramp(3);
  const std::vector<std::uint8_t> u = {1, 2, 3};
  const std::vector<std::int64_t> ids = {-1, 1LL << 60};
  std::vector<TensorToWrite> tensors;
  tensors.push_back({"z.bytes", DType::kU8, {3}, view_of(Mat<const std::uint8_t>{u.data(), 1, 3, 3})});
  tensors.push_back({"ids", DType::kI64, {2, 1}, view_of(Mat<const std::int64_t>{ids.data(), 2, 1, 1})});
  tensors.push_back(f32_tensor("b", b, {7, 33}));
  tensors.push_back(f32_tensor("a \"quoted\" \\ name", a, {5, 3}, DType::kBF16));
  tensors.push_back(f32_tensor("half", c, {3}, DType::kF16));
  tensors.push_back({"empty", DType::kF32, {0, 4}, ConstView{nullptr, DType::kF32, 0, 4, 4}});
  tensors.push_back(f32_tensor("cube", a, {1, 5, 3}));
  // Every other column of b.
  tensors.push_back({"strided", DType::kF32, {7, 2}, view_of(Mat<const float>{b.data() + 1, 7, 2, 33})});
  write_safetensors(dir / "x.safetensors", tensors, {{"format", "pt"}, {"note", "line\nbreak"}});

  const SafetensorsFile file(dir / "x.safetensors");
  EXPECT_EQ(file.metadata().at("note"), "line\nbreak");
  ASSERT_EQ(file.tensors().size(), tensors.size());
  for (const auto& [name, tensor] : file.tensors())
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(tensor.data) % static_cast<unsigned>(bits_of(tensor.dtype) / 8), 0U)
        << name;
  EXPECT_EQ(file.tensors().at("ids").view().as<std::int64_t>()(1, 0), 1LL << 60);
  EXPECT_EQ(file.tensors().at("cube").shape, (std::vector<index_t>{1, 5, 3}));
  EXPECT_THAT(error_of([&] { file.tensors().at("cube").view(); }), HasSubstr("3 dimensions"));
  EXPECT_EQ(file.tensors().at("empty").count(), 0);
  const auto strided = file.tensors().at("strided").view().as<float>();
  const auto half = file.tensors().at("half").view().as<f16>();
  const auto as_bf16 = file.tensors().at("a \"quoted\" \\ name").view().as<bf16>();
  for (index_t r = 0; r < 7; ++r)
    for (index_t k = 0; k < 2; ++k) EXPECT_EQ(strided(r, k), b[static_cast<std::size_t>(r * 33 + 1 + k)]);
  for (index_t i = 0; i < 3; ++i) EXPECT_EQ(half(0, i).bits, to_f16(c[static_cast<std::size_t>(i)]).bits);
  for (index_t i = 0; i < 15; ++i) EXPECT_EQ(as_bf16(i / 3, i % 3).bits, to_bf16(a[static_cast<std::size_t>(i)]).bits);
}

TEST(Safetensors, ConvertsLongRowsInPieces) {
  const TempDir dir;
  std::vector<float> a = ramp(200'003);
  write_safetensors(dir / "x.safetensors", {f32_tensor("a", a, {200'003}, DType::kBF16)});
  const SafetensorsFile file(dir / "x.safetensors");
  const auto row = file.tensors().at("a").view().flat<bf16>();
  ASSERT_EQ(row.size(), a.size());
  for (std::size_t i = 0; i < a.size(); ++i) ASSERT_EQ(row[i].bits, to_bf16(a[i]).bits) << i;
}

TEST(Safetensors, RefusesToWriteNonsense) {
  const TempDir dir;
  std::vector<float> a = ramp(6);
  const fs::path path = dir / "x.safetensors";
  EXPECT_THAT(error_of([&] { write_safetensors(path, {f32_tensor("a", a, {5})}); }), HasSubstr("a: shape holds 5"));
  EXPECT_THAT(error_of([&] { write_safetensors(path, {f32_tensor("a", a, {6}), f32_tensor("a", a, {6})}); }),
              HasSubstr("twice"));
  EXPECT_THAT(error_of([&] { write_safetensors(path, {f32_tensor("a", a, {6}, DType::kI64)}); }),
              HasSubstr("f32 into i64"));
  EXPECT_THAT(error_of([&] { write_safetensors(path, {f32_tensor("__metadata__", a, {6})}); }),
              HasSubstr("__metadata__"));
  EXPECT_TRUE(fs::is_empty(dir.path()));
}

TEST(Safetensors, FolderKeepsLayersWholeAndReplacesOldShards) {
  const TempDir dir;
  std::vector<std::vector<float>> values;
  values.reserve(20);
  std::vector<TensorToWrite> tensors;
  for (const char* name : {"model.embed_tokens.weight", "model.layers.0.a", "model.layers.0.b", "model.layers.1.a",
                           "model.layers.1.b", "model.layers.10.a", "model.layers.10.b", "model.layers.2.a"})
    tensors.push_back(f32_tensor(name, values.emplace_back(ramp(10)), {10}));
  write_safetensors_folder(dir.path(), tensors, 100);
  EXPECT_TRUE(fs::exists(dir / "model-00005-of-00005.safetensors"));
  const SafetensorsFolder folder(dir.path());
  EXPECT_EQ(folder.tensors().size(), 8U);
  const Json index = read_json_file(dir / "model.safetensors.index.json");
  EXPECT_EQ(index.at("metadata").at("total_size"), 320);
  EXPECT_EQ(index.at("weight_map").at("model.layers.10.a"), index.at("weight_map").at("model.layers.10.b"));
  EXPECT_NE(index.at("weight_map").at("model.layers.10.a"), index.at("weight_map").at("model.layers.1.a"));

  write_safetensors_folder(dir.path(), tensors, 200);
  EXPECT_EQ(SafetensorsFolder(dir.path()).tensors().size(), 8U);
  EXPECT_FALSE(fs::exists(dir / "model-00005-of-00005.safetensors"));
  write_safetensors_folder(dir.path(), tensors);
  EXPECT_TRUE(fs::exists(dir / "model.safetensors"));
  EXPECT_EQ(std::distance(fs::directory_iterator(dir.path()), fs::directory_iterator()), 1);
}

TEST(Safetensors, FolderDisagreements) {
  const TempDir dir;
  EXPECT_THAT(error_of([&] { SafetensorsFolder{dir.path()}; }), HasSubstr("neither"));
  std::vector<float> a = ramp(2);
  write_safetensors(dir / "s1.safetensors", {f32_tensor("a", a, {2}), f32_tensor("b", a, {2})});
  auto with_index = [&](std::string_view weight_map) {
    write_file_atomically(dir / "model.safetensors.index.json",
                          str_cat(R"({"metadata":{},"weight_map":)", weight_map, "}"));
    return error_of([&] { SafetensorsFolder{dir.path()}; });
  };
  EXPECT_THAT(with_index(R"({"a":"s1.safetensors"})"), HasSubstr("b: not in the index"));
  EXPECT_THAT(with_index(R"({"a":"s1.safetensors","b":"s1.safetensors","c":"s1.safetensors"})"),
              HasSubstr("c: not in"));
  EXPECT_THAT(with_index(R"({"a":"../s1.safetensors"})"), HasSubstr("same folder"));
  EXPECT_THAT(with_index(R"({"a":"/etc/passwd"})"), HasSubstr("same folder"));
  EXPECT_THAT(with_index(R"({"a":"missing.safetensors"})"), HasSubstr("missing.safetensors"));
  EXPECT_THAT(with_index(R"([])"), HasSubstr("weight_map"));
  EXPECT_THAT(with_index(R"({"a":7})"), HasSubstr("want a string"));
}

TEST(SafetensorsHostile, EveryTruncationIsAnError) {
  const TempDir dir;
  std::vector<float> a = ramp(3);
  write_safetensors(dir / "x.safetensors", {f32_tensor("a", a, {3}), f32_tensor("b", a, {3}, DType::kBF16)});
  const std::string whole = read_file(dir / "x.safetensors");
  EXPECT_EQ(reading(whole), "");
  for (std::size_t size = 0; size < whole.size(); ++size) EXPECT_NE(reading(whole.substr(0, size)), "") << size;
  EXPECT_THAT(reading(whole + '\0'), HasSubstr("belong to no tensor"));
}

TEST(SafetensorsHostile, EveryFlippedHeaderBitIsSurvived) {
  const TempDir dir;
  std::vector<float> a = ramp(3);
  write_safetensors(dir / "x.safetensors", {f32_tensor("a", a, {3}), f32_tensor("b", a, {3}, DType::kBF16)});
  const std::string whole = read_file(dir / "x.safetensors");
  for (std::size_t i = 0; i + 18 < whole.size(); ++i)
    for (int bit = 0; bit < 8; ++bit) {
      std::string changed = whole;
      changed[i] = static_cast<char>(changed[i] ^ (1 << bit));
      reading(changed);  // accepted or refused, but never a crash
    }
}

TEST(SafetensorsHostile, BadHeaders) {
  const std::string data(8, 'x');
  EXPECT_EQ(reading(file_with(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}  )", data)), "");
  EXPECT_EQ(reading(file_with("{}", "")), "");
  auto one = [&](std::string_view entry) { return reading(file_with(str_cat(R"({"a":)", entry, "}"), data)); };
  EXPECT_THAT(reading("1234567"), HasSubstr("want at least 8"));
  EXPECT_THAT(reading(std::string(8, '\xff') + "{}"), HasSubstr("header of 18446744073709551615"));
  EXPECT_THAT(reading(file_with("", data)), HasSubstr("ends too early"));
  EXPECT_THAT(reading(file_with("[1]", data)), HasSubstr("want an object"));
  EXPECT_THAT(reading(file_with("{}{}", "")), HasSubstr("after the end"));
  EXPECT_THAT(one("[]"), HasSubstr("want an object"));
  EXPECT_THAT(one(R"({"dtype":"F33","shape":[2],"data_offsets":[0,8]})"), HasSubstr("a.dtype: got \"F33\""));
  EXPECT_THAT(one(R"({"dtype":"F32","shape":[2]})"), HasSubstr("a.data_offsets: missing"));
  EXPECT_THAT(one(R"({"dtype":"F32","shape":[2],"data_offsets":[0,8],"extra":1})"),
              HasSubstr("unknown keys: \"extra\""));
  EXPECT_THAT(one(R"({"dtype":"F32","shape":[-2],"data_offsets":[0,8]})"), HasSubstr("a.shape"));
  EXPECT_THAT(one(R"({"dtype":"F32","shape":[2.5],"data_offsets":[0,8]})"), HasSubstr("a.shape"));
  EXPECT_THAT(one(R"({"dtype":"F32","shape":2,"data_offsets":[0,8]})"), HasSubstr("a.shape"));
  EXPECT_THAT(one(R"({"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8]})"),
              HasSubstr("fits into memory"));
  EXPECT_THAT(one(R"({"dtype":"F32","shape":[281474976710656,281474976710656,0],"data_offsets":[0,0]})"),
              HasSubstr("fits into memory"));
  EXPECT_THAT(one(R"({"dtype":"F32","shape":[9223372036854775807],"data_offsets":[0,8]})"), HasSubstr("a.shape"));
  EXPECT_THAT(one(R"({"dtype":"F32","shape":[18446744073709551615],"data_offsets":[0,8]})"), HasSubstr("a.shape"));
  EXPECT_THAT(one(R"({"dtype":"F32","shape":[1,1,1,1,1,1,1,1,2],"data_offsets":[0,8]})"), HasSubstr("up to 8"));
  EXPECT_THAT(one(R"({"dtype":"F32","shape":[1],"data_offsets":[0,8]})"), HasSubstr("4 bytes"));
  EXPECT_THAT(one(R"({"dtype":"F32","shape":[3],"data_offsets":[0,12]})"), HasSubstr("a.data_offsets"));
  EXPECT_THAT(one(R"({"dtype":"F32","shape":[2],"data_offsets":[8,0]})"), HasSubstr("begin <= end"));
  EXPECT_THAT(one(R"({"dtype":"F32","shape":[2],"data_offsets":[-8,0]})"), HasSubstr("a.data_offsets"));
  EXPECT_THAT(one(R"({"dtype":"F32","shape":[2],"data_offsets":[0]})"), HasSubstr("a.data_offsets"));
  EXPECT_THAT(one(R"({"dtype":"F32","shape":[1],"data_offsets":[4,8]})"), HasSubstr("gap"));
  EXPECT_THAT(one(R"({"dtype":"F32","shape":[1],"data_offsets":[0,4]})"), HasSubstr("belong to no tensor"));
  EXPECT_THAT(one(R"({"dtype":"F32","shape":[[[1]]],"data_offsets":[0,8]})"), HasSubstr("nested deeper"));
}

TEST(SafetensorsHostile, OverlapsDuplicatesAndText) {
  const std::string f32 = R"({"dtype":"F32","shape":[1],"data_offsets":[0,4]})";
  const std::string data(4, 'x');
  EXPECT_THAT(reading(file_with(str_cat(R"({"a":)", f32, R"(,"b":)", f32, "}"), data)), HasSubstr("overlap"));
  EXPECT_THAT(reading(file_with(str_cat(R"({"a":)", f32, R"(,"a":)", f32, "}"), data)), HasSubstr("\"a\" twice"));
  EXPECT_THAT(reading(file_with(str_cat(R"({"a":)", f32, R"(,"\u0061":)", f32, "}"), data)), HasSubstr("\"a\" twice"));
  EXPECT_THAT(reading(file_with(str_cat("{\"\xff\":", f32, "}"), data)), HasSubstr("bad JSON"));
  EXPECT_THAT(reading(file_with(str_cat(R"({"__metadata__":{"a":1},"a":)", f32, "}"), data)),
              HasSubstr("want a string"));
  EXPECT_THAT(reading(file_with(std::string(100'000, '['), data)), HasSubstr("nested deeper"));
  // Zero-sized tensors may share a place with others.
  EXPECT_EQ(
      reading(file_with(str_cat(R"({"e":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},"a":)", f32, "}"), data)), "");
}

TEST(Safetensors, MisalignedTensorsAreCopied) {
  const TempDir dir;
  const float value = 1.5F;
  std::string data(1, 'x');
  data.append(reinterpret_cast<const char*>(&value), 4);
  write_file_atomically(
      dir / "x.safetensors",
      file_with(
          R"({"u":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"f":{"dtype":"F32","shape":[],"data_offsets":[1,5]}})",
          data));
  const SafetensorsFile file(dir / "x.safetensors");
  const StoredTensor& f = file.tensors().at("f");
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(f.data) % 4, 0U);
  EXPECT_EQ(f.view().as<float>()(0, 0), 1.5F);
}

/// Files of ours through the reader of the reference implementation, which shares no code with us.
TEST(Safetensors, AnIndependentReaderAgrees) {
  const fs::path shared = shared_dir();
  if (shared.empty()) GTEST_SKIP() << "no shared folder";
  if (std::system("/usr/bin/python3 -c 'import numpy' >/dev/null 2>&1") != 0) GTEST_SKIP() << "no python3 with numpy";
  const TempDir dir;
  std::vector<float> a = ramp(35), b = ramp(4);
  std::vector<TensorToWrite> tensors = {f32_tensor("model.layers.0.a", a, {5, 7}),
                                        f32_tensor("model.layers.1.b", b, {4}, DType::kBF16)};
  write_safetensors_folder(dir.path(), tensors, 100);
  std::ofstream(dir / "check.py") << R"(
import json, pathlib, sys
sys.path.insert(0, sys.argv[1])
import numpy as np
from reference import decode, read_safetensors
folder = pathlib.Path(sys.argv[2])
index = json.loads((folder / "model.safetensors.index.json").read_text())
found = {}
for name in sorted(set(index["weight_map"].values())):
    raw = (folder / name).read_bytes()
    size = int.from_bytes(raw[:8], "little")
    assert size % 8 == 0 and json.loads(raw[8:8 + size])["__metadata__"] == {"format": "pt"}
    found.update(read_safetensors(folder / name))
assert set(found) == set(index["weight_map"]), found.keys()
ramp = lambda n: np.arange(n, dtype=np.float32) * np.float32(0.37) - np.float32(3)
kind, value = found["model.layers.0.a"]
assert kind == "F32" and np.array_equal(value, ramp(35).reshape(5, 7)), value
kind, value = found["model.layers.1.b"]
assert kind == "BF16" and np.abs(decode(kind, value) - ramp(4)).max() <= 3 / 256, value
assert index["metadata"]["total_size"] == 35 * 4 + 4 * 2
)";
  const std::string command = str_cat("/usr/bin/python3 '", (dir / "check.py").string(), "' '",
                                      (shared / "fixtures").string(), "' '", dir.path().string(), "'");
  EXPECT_EQ(std::system(command.c_str()), 0);
}

}  // namespace
}  // namespace hadal
