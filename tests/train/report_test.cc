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
  JsonLog needle(folder / "needle.jsonl"), guard(folder / "guard.jsonl"), eval(folder / "eval.jsonl");
  for (int step = 1; step <= num_steps; ++step) {
    const double t = static_cast<double>(step) / num_steps;
    const double main = 2.4 + 5.0 * std::exp(-12 * t) + 0.06 * noise(step);
    const double mtp = (t < 0.67 ? 0.3 : 0.1) * (main + 0.7);
    const double violation = 0.12 + 1.6 * std::exp(-9 * t) + 0.05 * std::abs(noise(step + 99999));
    metrics.write(to_json(StepMetrics{.step = step,
                                      .tokens = 2048L * step,
                                      .loss = main + mtp + 0.001,
                                      .main_loss = main,
                                      .mtp_loss = mtp,
                                      .balance_loss = 0.001,
                                      .lr = 2e-3 * (t < 0.05 ? t / 0.05 : 0.1 + 0.45 * (1 + std::cos(3.14 * t))),
                                      .grad_norm = 0.4 + 3 * std::exp(-20 * t) + 0.08 * std::abs(noise(-step)),
                                      .tokens_per_second = 10400 + 300 * noise(step + 5000),
                                      .max_violation = violation}));
    if (step % 10 == 0) {
      JsonArray load;
      for (int layer = 0; layer < 3; ++layer) {
        JsonArray counts;
        for (int e = 0; e < 8; ++e)
          counts.emplace_back(std::round(512 * std::exp(violation * 0.6 * std::sin(e * 1.7 + layer * 2.1 + 1))));
        load.emplace_back(std::move(counts));
      }
      experts.write({{"step", step}, {"layers", JsonArray{1, 2, 3}}, {"load", std::move(load)}});
    }
    if (step % 50 == 0) eval.write({{"step", step}, {"loss", main}, {"bits_per_byte", main / 1.7}});
    if (step % (num_steps / 4) == 0)
      for (const char* prompt : {"To insert a chart", "</script><b>"})
        samples.write({{"step", step},
                       {"prompt", prompt},
                       {"text",
                        " into the document, choose Insert - Chart.\n"
                        "Click the cell range & press Enter."}});
  }
  guard.write(
      {{"step", num_steps / 3}, {"verdict", "skip"}, {"reason", "loss 9.31: z = 14.2 over the last 128 steps"}});
  for (const char* label : {"before", "after YaRN to 512"}) {
    JsonArray scores;
    for (int d = 0; d <= 4; ++d) {
      JsonArray row;
      for (int l = 0; l < 8; ++l)
        row.emplace_back(std::string(label) == "before" && l > 1 ? 0.05 : 0.95 - 0.03 * l + 0.01 * d);
      scores.emplace_back(std::move(row));
    }
    needle.write({{"step", num_steps},
                  {"label", label},
                  {"lengths", JsonArray{64, 128, 192, 256, 320, 384, 448, 512}},
                  {"depths", JsonArray{0.0, 0.25, 0.5, 0.75, 1.0}},
                  {"scores", std::move(scores)}});
  }
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

TEST(Report, AnEmptyRunHasAPageToo) {
  const TempDir folder;
  EXPECT_TRUE(read_file(write_report(folder.path())).ends_with("</html>\n"));
  EXPECT_THROW(report_data(folder / "absent"), Error);
  std::ofstream(folder / "needle.jsonl") << R"({"step":1,"label":"x","lengths":[1,2],"depths":[0],"scores":[[1]]})"
                                         << "\n";
  const std::string message = error_of([&] { report_data(folder.path()); });
  EXPECT_NE(message.find("needle.jsonl: scores: want [1 depths][2 lengths]"), std::string::npos) << message;
}

}  // namespace
}  // namespace hadal
