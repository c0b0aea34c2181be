#include "train/manifest.h"

#include <gtest/gtest.h>

#include "support/temp_dir.h"

namespace hadal {
namespace {

RunManifest sample() {
  return {.verb = "pretrain",
          .options = {{"steps", 10}, {"lr", {{"kind", "cosine"}, {"lr", 1e-3}}}},
          .seed = 7,
          .threads = 2,
          .data = {{"path", "shards"}, {"hash", "xxh3:12"}},
          .tokenizer = {{"hash", "xxh3:34"}}};
}

TEST(Manifest, HoldsWhatARunWas) {
  const TempDir folder;
  write_manifest(folder / "run", sample());
  const Json value = read_json_file(folder / "run" / "manifest.json");
  const JsonObject& root = value.get_object();
  EXPECT_EQ(root.at("verb"), "pretrain");
  EXPECT_EQ(root.at("seed"), 7);
  EXPECT_EQ(root.at("options").at("lr").at("lr"), 1e-3);
  const Json& session = root.at("sessions").at(0);
  EXPECT_EQ(session.at("machine").at("threads"), 2);
  for (const char* key : {"host", "cpu", "cpus", "isa", "memory_bytes"})
    EXPECT_NE(session.at("machine").get_object().if_contains(key), nullptr) << key;
  EXPECT_FALSE(session.at("hadal").at("git_hash").get_string().empty());
  EXPECT_EQ(session.at("time").get_string().size(), 20u);
}

TEST(Manifest, ResumeAddsASessionAndNotesChanges) {
  const TempDir folder;
  RunManifest m = sample();
  write_manifest(folder.path(), m);
  m.options = {{"steps", 20}, {"lr", {{"kind", "cosine"}}}, {"seed", 1}};
  testing::internal::CaptureStderr();
  resume_manifest(folder.path(), m, 5);
  EXPECT_NE(testing::internal::GetCapturedStderr().find("steps: 10 -> 20"), std::string::npos);
  const Json value = read_json_file(folder / "manifest.json");
  EXPECT_EQ(value.at("options").at("steps"), 20);
  const Json& session = value.at("sessions").at(1);
  EXPECT_EQ(session.at("step"), 5);
  EXPECT_EQ(json_line(session.at("option_changes")),
            R"json(["steps: 10 -> 20","seed: (not set) -> 1","lr.lr: 0.001 -> (gone)"])json");
}

TEST(Manifest, ResumeRefusesOtherData) {
  const TempDir folder;
  RunManifest m = sample();
  EXPECT_THROW(resume_manifest(folder.path(), m, 5), Error);
  write_manifest(folder.path(), m);
  m.tokenizer["hash"] = "xxh3:35";
  const std::string message = error_of([&] { resume_manifest(folder.path(), m, 5); });
  EXPECT_NE(message.find("tokenizer: the run began with hash \"xxh3:34\", got \"xxh3:35\""), std::string::npos)
      << message;
}

}  // namespace
}  // namespace hadal
