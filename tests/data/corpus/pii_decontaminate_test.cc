#include <gtest/gtest.h>

#include "base/file.h"
#include "data/corpus/decontaminate.h"
#include "data/corpus/mask_pii.h"
#include "support/shared.h"
#include "support/temp_dir.h"

namespace hadal {
namespace {

std::string masked(std::string text, const PiiOptions& options = {.phone = true}) {
  mask_pii(text, options);
  return text;
}

TEST(MaskPii, Emails) {
  EXPECT_EQ(masked("mail to jane.doe+x@mail.example.co.uk, or a_b@x-y.org."), "mail to <email>, or <email>.");
  EXPECT_EQ(masked("(me@here.com)<you@there.com>"), "(<email>)<<email>>");
  for (const char* not_one : {"@mention", "a@b", "x@y.1", "user@", "a @ b.com", "git@", "1@2.3", "@@@@", "a.@b.com"})
    EXPECT_EQ(masked(not_one), not_one);
}

TEST(MaskPii, Addresses) {
  EXPECT_EQ(masked("from 8.8.4.4 to 93.184.216.34:80."), "from <ip> to <ip>:80.");
  EXPECT_EQ(masked("at 2a00:1450:4001:81b::200e, ok"), "at <ip>, ok");
  for (const char* not_one :
       {"127.0.0.1", "192.168.1.20", "10.0.0.1", "172.16.5.4", "256.1.1.1", "1.2.3", "v1.2.3.4", "1.2.3.4.5",
        "8.08.8.8", "2001:db8::1", "fe80::1:2:3", "12:34:56", "std::string", "a::b", "dead::beef", "1.2.3.4a"})
    EXPECT_EQ(masked(not_one), not_one);
}

TEST(MaskPii, Phones) {
  EXPECT_EQ(masked("+49 (30) 1234567, (555) 123-4567, 555-123-4567, 13812345678."),
            "<phone>, <phone>, <phone>, <phone>.");
  for (const char* not_one : {"2024-01-02", "12345678901", "1,234,567.89", "3.14159265358979", "555-1234", "+1 2",
                              "$5555551234", "978-3-16-148410-0", "100 200 300"})
    EXPECT_EQ(masked(not_one), not_one);
  EXPECT_EQ(masked("+49 30 1234567", {}), "+49 30 1234567");  // off by default
}

TEST(MaskPii, CountsAndChoices) {
  std::string text = "a@b.com c@d.org 8.8.8.8";
  const PiiCounts counts = mask_pii(text, {.ip = false, .email_mask = "E"});
  EXPECT_EQ(text, "E E 8.8.8.8");
  EXPECT_EQ(counts.emails, 2);
  EXPECT_EQ(counts.ips, 0);
}

TextScan scan_of(std::string_view text) {
  TextScan scan;
  scan_text(text, scan);
  return scan;
}

TEST(Decontamination, FindsSharedNgramsWhateverTheirDress) {
  const TempDir dir;
  write_file_atomically(
      dir / "eval.jsonl",
      "{\"question\": \"One two three four, five six seven EIGHT nine ten eleven twelve thirteen fourteen?\","
      " \"answer\": \"7\"}\n{\"question\": [\"a b c\"]}\n");
  const EvaluationNgrams sets({.files = {(dir / "eval.jsonl").string()}});
  EXPECT_EQ(sets.num_texts(), 3);
  EXPECT_EQ(sets.num_short_texts(), 2);
  EXPECT_EQ(sets.num_ngrams(), 2);
  const std::string text =
      "Prefix words; TWO three four five - six seven eight\nnine ten eleven twelve thirteen fourteen.";
  const TextScan found = scan_of(text);
  const auto match = sets.find(found);
  ASSERT_TRUE(match.has_value());
  EXPECT_TRUE(match->words.starts_with("TWO") && match->words.ends_with("fourteen.")) << match->words;
  EXPECT_TRUE(match->file.ends_with("eval.jsonl"));
  EXPECT_FALSE(sets.find(scan_of("three four five six seven eight nine ten eleven twelve thirteen fourteen")));
  EXPECT_FALSE(
      sets.find(scan_of("one two three four five six x seven eight nine ten eleven twelve thirteen fourteen")));
  EXPECT_FALSE(sets.find(scan_of("")));
  EXPECT_TRUE(EvaluationNgrams(DecontaminationOptions{}).empty());
}

TEST(Decontamination, SaysWhatIsWrong) {
  const TempDir dir;
  write_file_atomically(dir / "eval.jsonl", "{\"other\": \"x\"}\n");
  EXPECT_NE(error_of([&] {
              EvaluationNgrams(DecontaminationOptions{.files = {(dir / "eval.jsonl").string()}});
            }).find("none of the fields"),
            std::string::npos);
  EXPECT_NE(error_of([&] { EvaluationNgrams(DecontaminationOptions{.files = {"/no/such.jsonl"}}); }).find("no such"),
            std::string::npos);
}

TEST(Decontamination, RealSets) {
  if (shared_dir().empty()) GTEST_SKIP() << "no shared folder";
  const std::string data = (shared_dir() / "data").string();
  const EvaluationNgrams sets({.files = {data + "/gsm8k_test.jsonl", data + "/HumanEval.jsonl.gz"}});
  EXPECT_EQ(sets.num_texts(), 2 * 1319 + 164);
  EXPECT_TRUE(
      sets.find(scan_of("He says: Janet\u2019s ducks lay 16 eggs per day. She eats three for breakfast every "
                        "morning and bakes muffins for her friends every day with four.")));
}

}  // namespace
}  // namespace hadal
