#include "train/report.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "base/file.h"
#include "base/random.h"
#include "support/temp_dir.h"
#include "train/manifest.h"
#include "train/metrics.h"

namespace hadal {
namespace {

double noise(int i) {
  return random_normal(3, Stream::kTest, static_cast<std::uint64_t>(i));
}

// A run as a trainer would leave it.
void write_run(const std::filesystem::path& folder, int num_steps) {
  write_manifest(folder, {.verb = "pretrain",
                          .options = {{"steps", num_steps},
                                      {"lr", {{"kind", "v3"}, {"lr", 2e-3}, {"warmup_steps", 20}}},
                                      {"batch", {{"sequences", 16}}}},
                          .seed = 1,
                          .threads = 2,
                          .data = {{"path", "build/corpus"}, {"hash", "xxh3:0123456789abcdef"}},
                          .tokenizer = {{"vocab_size", 1536}, {"hash", "xxh3:fedcba9876543210"}}});
  JsonLog metrics(folder / "metrics.jsonl"), experts(folder / "experts.jsonl"), samples(folder / "samples.jsonl");
  JsonLog validation(folder / "validation.jsonl");
  for (int step = 1; step <= num_steps; ++step) {
    const double t = static_cast<double>(step) / num_steps;
    const double main = 2.4 + 5.0 * std::exp(-12 * t) + 0.06 * noise(step);
    const double mtp = (t < 0.67 ? 0.3 : 0.1) * (main + 0.7);
    const double violation = 0.12 + 1.6 * std::exp(-9 * t) + 0.05 * std::abs(noise(step + 99999));
    JsonObject line = to_json(StepMetrics{.step = step,
                                          .tokens = 2048L * step,
                                          .loss = main + mtp + 0.001,
                                          .main_loss = main,
                                          .mtp_loss = mtp,
                                          .balance_loss = 0.001,
                                          .lr = 2e-3 * (t < 0.05 ? t / 0.05 : 0.1 + 0.45 * (1 + std::cos(3.14 * t))),
                                          .grad_norm = 0.4 + 3 * std::exp(-20 * t) + 0.08 * std::abs(noise(-step)),
                                          .tokens_per_second = 10400 + 300 * noise(step + 5000),
                                          .max_violation = violation});
    if (step == num_steps / 3) line["skipped"] = "loss 9.31: z = 14.2 over the last 128 accepted steps (median 3.1)";
    metrics.write(line);
    if (step % 10 == 0) {
      JsonArray load;
      for (int layer = 0; layer < 3; ++layer) {
        JsonArray counts;
        for (int e = 0; e < 8; ++e)
          counts.emplace_back(std::round(512 * std::exp(violation * 0.6 * std::sin(e * 1.7 + layer * 2.1 + 1))));
        load.emplace_back(std::move(counts));
      }
      experts.write({{"step", step}, {"load", std::move(load)}});
    }
    if (step % 50 == 0) {
      JsonArray by_position;
      for (int part = 0; part < 8; ++part) by_position.emplace_back(main / 1.7 + 0.5 / (part + 1));
      validation.write({{"step", step},
                        {"loss", main},
                        {"bits_per_byte", main / 1.7},
                        {"bits_per_byte_by_position", std::move(by_position)}});
    }
    if (step % (num_steps / 4) == 0)
      for (const char* prompt : {"To insert a chart", "</script><b>"})
        samples.write({{"step", step},
                       {"prompt", prompt},
                       {"text",
                        " into the document, choose Insert - Chart.\n"
                        "Click the cell range & press Enter."}});
  }
}

// extension.json as run_extension writes it.
void write_extension(const std::filesystem::path& folder) {
  JsonObject extension = {{"seq_length", 512},
                          {"base", JsonArray{1.6, 1.5, 2.4, 3.1, 3.6, 3.9, 4.1, 4.2}},
                          {"phase_1", JsonArray{1.6, 1.5, 1.48, 1.46, 1.7, 1.9, 2.1, 2.2}},
                          {"phase_2", JsonArray{1.6, 1.5, 1.47, 1.45, 1.44, 1.43, 1.42, 1.42}}};
  for (const char* key : {"needle_before", "needle_after"}) {
    JsonArray scores;
    for (int l = 0; l < 8; ++l) {
      JsonArray row;
      for (int d = 0; d <= 4; ++d)
        row.emplace_back(std::string(key) == "needle_before" && l > 1 ? 0.5 : 9.5 - 0.3 * l + 0.1 * d);
      scores.emplace_back(std::move(row));
    }
    extension[key] = JsonObject{{"lengths", JsonArray{64, 128, 192, 256, 320, 384, 448, 512}},
                                {"depths", JsonArray{0.0, 0.25, 0.5, 0.75, 1.0}},
                                {"scores", std::move(scores)}};
  }
  write_file_atomically(folder / "extension.json", json_pretty(extension));
}

TEST(Report, ThinsLongRuns) {
  const TempDir folder;
  write_run(folder.path(), 4000);
  const JsonObject data = report_data(folder.path());
  const JsonObject& columns = data.at("metrics").get_object();
  EXPECT_EQ(columns.at("step").get_array().size(), 1500u);
  EXPECT_EQ(columns.at("step").get_array().back(), 4000);
  EXPECT_EQ(columns.at("tokens").get_array().back(), 4000 * 2048);
  EXPECT_EQ(data.at("experts").at("load").get_array().size(), 200u);
  double sum = 0;
  for (const Json& v : data.at("experts").at("load").at(0).at(0).get_array()) sum += v.to_number<double>();
  EXPECT_NEAR(sum, 8, 0.01);
  EXPECT_EQ(data.at("samples").get_array().size(), 8u);
  EXPECT_NEAR(data.at("seconds").to_number<double>(), 4000 * 2048 / 10400.0, 20);
}

TEST(Report, IsOneFileThatNothingBreaksOutOf) {
  const TempDir folder;
  write_run(folder.path(), 200);
  const std::string page = read_file(write_report(folder.path()));
  EXPECT_TRUE(page.starts_with("<!doctype html>"));
  EXPECT_EQ(page.find("http://"), page.find("http://www.w3.org/2000/svg"));
  EXPECT_EQ(page.find("https://"), std::string::npos);
  for (const char* mark : {"@TITLE@", "@STYLE@", "@SCRIPT@", "@DATA@", "</script><b>"})
    EXPECT_EQ(page.find(mark), std::string::npos) << mark;
  EXPECT_LT(page.size(), 200'000u);
}

TEST(Report, PhasesOfAnExtensionFollowEachOther) {
  const TempDir folder;
  for (const char* phase : {"phase-1", "phase-2"}) write_run(folder / phase, 100);
  write_extension(folder.path());
  const JsonObject data = report_data(folder.path());
  EXPECT_EQ(data.at("metrics").at("step").get_array().back(), 200);
  EXPECT_EQ(data.at("metrics").at("tokens").get_array().back(), 200 * 2048);
  EXPECT_EQ(data.at("skipped").at(1).at("step"), 133);
  EXPECT_EQ(data.at("manifest").at("verb"), "pretrain");
  EXPECT_EQ(data.at("positions").at("series").get_array().size(), 3u);
  EXPECT_EQ(data.at("needle").at(0).at("scores").at(4).at(7), 0.05);
  EXPECT_EQ(data.at("needle").at(1).at("scores").at(4).at(0), 0.99);
  EXPECT_GT(read_file(write_report(folder.path())).size(), 20'000u);
}

TEST(Report, AnEmptyRunHasAPageToo) {
  const TempDir folder;
  EXPECT_TRUE(read_file(write_report(folder.path())).ends_with("</html>\n"));
  EXPECT_THROW(report_data(folder / "absent"), Error);
  std::ofstream(folder / "extension.json") << R"({"needle_after": {"lengths":[1,2],"depths":[0],"scores":[[1]]}})";
  const std::string message = error_of([&] { report_data(folder.path()); });
  EXPECT_NE(message.find("needle_after: scores: want one row per length"), std::string::npos) << message;
}

}  // namespace
}  // namespace hadal
