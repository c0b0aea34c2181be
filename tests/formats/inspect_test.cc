#include "formats/inspect.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "formats/model_config.h"
#include "formats/safetensors.h"
#include "support/temp_dir.h"

namespace hadal {
namespace {

using testing::HasSubstr;

TEST(Inspect, AConfigWithoutWeights) {
  const std::string path = HADAL_SOURCE_DIR "/configs/models/deepseek-v3.json";
  const JsonObject report = inspect(path);
  EXPECT_EQ(report.at("kind"), "model");
  EXPECT_EQ(report.at("model_type"), "deepseek_v3");
  EXPECT_EQ(report.at("parameters").at("total"), 671026419200);
  EXPECT_EQ(report.at("parameters").at("mtp"), 11610068224);
  EXPECT_EQ(report.at("kv_elements_per_token"), 35136);
  EXPECT_EQ(report.at("kv_bytes_per_token"), 70272);
  EXPECT_TRUE(report.at("weights").is_null());
  const std::string text = inspect_text(report);
  EXPECT_THAT(text, HasSubstr("671.03 B, 37.55 B active"));
  EXPECT_THAT(text, HasSubstr("70.27 KB in bf16"));
}

TEST(Inspect, AFolderAndItsFile) {
  const TempDir dir;
  const ModelConfig config = load_model_config(HADAL_SOURCE_DIR "/configs/models/deepseek-r1-distill-qwen-1.5b.json");
  write_file_atomically(dir / "config.json", model_config_json(config));
  EXPECT_TRUE(inspect(dir.path()).at("weights").is_null());
  const std::vector<float> values(12, 1.0F);
  const ConstView view = view_of(Mat<const float>{values.data(), 3, 4, 4});
  write_safetensors_folder(dir.path(), {{"a", DType::kF32, {3, 4}, view}, {"b", DType::kBF16, {12}, view}});
  const JsonObject folder = inspect(dir.path());
  EXPECT_EQ(folder.at("weights").at("bytes"), 72);
  EXPECT_EQ(folder.at("weights").at("dtypes").at("BF16").at("num_values"), 12);
  EXPECT_THAT(inspect_text(folder), HasSubstr("28 layers"));

  const JsonObject file = inspect(dir / "model.safetensors");
  EXPECT_EQ(file.at("num_tensors"), 2);
  EXPECT_EQ(file.at("tensors").at(0), parse_json(R"({"name":"a","dtype":"F32","shape":[3,4],"bytes":48})", "x"));
  EXPECT_EQ(file.at("metadata").at("format"), "pt");
  EXPECT_THAT(inspect_text(file), HasSubstr("2 tensors, 24 values, 72 bytes"));
}

TEST(Inspect, Refusals) {
  const TempDir dir;
  EXPECT_THAT(error_of([&] { inspect(dir.path()); }), HasSubstr("config.json: cannot open"));
  EXPECT_THAT(error_of([&] { inspect(dir / "none"); }), HasSubstr("no such file"));
  write_file_atomically(dir / "x.gguf", "GGUF");
  EXPECT_THAT(error_of([&] { inspect(dir / "x.gguf"); }), HasSubstr("no GGUF file"));
  write_file_atomically(dir / "x.txt", "text");
  EXPECT_THAT(error_of([&] { inspect(dir / "x.txt"); }), HasSubstr("want a model folder"));
}

}  // namespace
}  // namespace hadal
