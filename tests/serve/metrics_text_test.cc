#include "serve/metrics_text.h"

#include <gtest/gtest.h>

#include <set>
#include <sstream>

namespace hadal {
namespace {

TEST(MetricsText, EveryFamilyHasItsHeadAndValue) {
  EngineStats engine;
  engine.waiting = 3, engine.cache_tokens_total = 960;
  const ExpertStats experts{
      .hits = 10, .foreseen = 4, .misses = 6, .guesses = 5, .bytes_read = 12345678901, .wait_seconds = 1.25};
  const std::string text = metrics_text(engine, experts);
  for (const char* line :
       {"hadal_requests_waiting 3", "hadal_cache_tokens 960", "hadal_experts_needed_total{found=\"memory\"} 10",
        "hadal_experts_needed_total{found=\"foreseen\"} 4", "hadal_experts_needed_total{found=\"disk\"} 6",
        "hadal_expert_guesses_total 5", "hadal_expert_bytes_read_total 12345678901",
        "hadal_expert_wait_seconds_total 1.25"})
    EXPECT_NE(text.find(std::string(line) + "\n"), std::string::npos) << line;
  // A family is announced once, before its values.
  std::set<std::string> announced;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string hash, what, name;
    if (line.starts_with("# TYPE ")) {
      words >> hash >> what >> name;
      EXPECT_TRUE(announced.insert(name).second) << name;
    } else if (!line.starts_with('#')) {
      EXPECT_TRUE(announced.contains(line.substr(0, line.find_first_of(" {")))) << line;
    }
  }
  EXPECT_EQ(announced.size(), 16U);
  EXPECT_EQ(metrics_text(engine, std::nullopt).find("expert"), std::string::npos);
}

}  // namespace
}  // namespace hadal
