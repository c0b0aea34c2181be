#include "base/options.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <filesystem>
#include <fstream>
#include <optional>

#include "base/command.h"

namespace hadal {
namespace {

struct Inner {
  double lr = 3e-4;
  std::string kind = "cosine";
  template <class V>
  void visit(V&& v) {
    v("lr", lr, "peak rate");
    v("kind", kind, "shape", {.choices = {"cosine", "constant"}});
  }
};

struct Phase {
  int seq_length = 128;
  Inner schedule;
  template <class V>
  void visit(V&& v) {
    v("seq_length", seq_length, "tokens");
    v.group("schedule", schedule, "rate");
  }
};

struct Sample {
  bool json = false, color = true;
  int threads = 0;
  std::int64_t max_tokens = 10;
  std::string out, where;
  std::vector<std::string> input, words, languages;
  std::vector<int> tokens;
  std::vector<double> weights;
  std::optional<int> seed;
  std::optional<std::string> note;
  Inner schedule;
  std::vector<Phase> phases;
  template <class V>
  void visit(V&& v) {
    v("where", where, "folder", {.required = true, .positional = true});
    v("words", words, "more", {.positional = true});
    v("json", json, "JSON on stdout");
    v("color", color, "colors");
    v("threads", threads, "threads, 0 = all");
    v("max_tokens", max_tokens, "budget");
    v("out", out, "folder", {.placeholder = "DIR"});
    v("input", input, "files");
    v("languages", languages, "to speak", {.choices = {"en", "zh"}});
    v("tokens", tokens, "ids");
    v("weights", weights, "shares");
    v("seed", seed, "seed");
    v("note", note, "text");
    v.group("schedule", schedule, "learning rate");
    v.list("phases", phases, "one after the other");
  }
};

constexpr VerbInfo kVerb{.verb = "sample", .about = "does nothing", .config = true};

Sample parse(const std::vector<std::string_view>& args) {
  Sample s;
  EXPECT_TRUE(parse_options(s, args, kVerb));
  return s;
}

std::string usage_error(const std::vector<std::string_view>& args) {
  Sample s;
  try {
    parse_options(s, args, kVerb);
  } catch (const UsageError& e) {
    return e.what();
  }
  return "no error";
}

TEST(Options, FlagsOfEveryType) {
  const Sample s = parse({"here",    "--json",    "--no-color",    "--threads", "3",     "--max-tokens=2e6",
                          "--out",   "a b",       "--input",       "x",         "y",     "--tokens",
                          "1,-2,3",  "--weights", "0.5,1e-3",      "--seed",    "-1",    "--note=",
                          "--input", "z",         "--schedule.lr", "0.01",      "--set", "schedule.kind=constant"});
  EXPECT_EQ(s.where, "here");
  EXPECT_TRUE(s.json);
  EXPECT_FALSE(s.color);
  EXPECT_EQ(s.threads, 3);
  EXPECT_EQ(s.max_tokens, 2000000);
  EXPECT_EQ(s.out, "a b");
  EXPECT_EQ(s.input, (std::vector<std::string>{"x", "y", "z"}));
  EXPECT_EQ(s.tokens, (std::vector<int>{1, -2, 3}));
  EXPECT_EQ(s.weights, (std::vector<double>{0.5, 1e-3}));
  EXPECT_EQ(s.seed, -1);
  EXPECT_EQ(s.note, "");
  EXPECT_EQ(s.schedule.lr, 0.01);
  EXPECT_EQ(s.schedule.kind, "constant");
}

TEST(Options, PositionalWords) {
  const Sample s = parse({"a", "b", "--json", "c", "--", "--json"});
  EXPECT_EQ(s.where, "a");
  EXPECT_EQ(s.words, (std::vector<std::string>{"b", "c", "--json"}));
}

TEST(Options, UsageErrorsNameTheFlagAndSuggest) {
  EXPECT_EQ(usage_error({"a", "--thread", "3"}), "unknown flag --thread; did you mean --threads?");
  EXPECT_EQ(usage_error({"a", "--max_tokens", "3"}), "unknown flag --max_tokens; did you mean --max-tokens?");
  EXPECT_EQ(usage_error({"a", "--zzzzzzzz"}), "unknown flag --zzzzzzzz");
  EXPECT_EQ(usage_error({"a", "--threads"}), "--threads: a value is missing");
  EXPECT_EQ(usage_error({"a", "--threads", "3.5"}), "--threads: got \"3.5\", want an integer of 32 bits");
  EXPECT_EQ(usage_error({"a", "--threads", "3000000000"}), "--threads: got \"3000000000\", want an integer of 32 bits");
  EXPECT_EQ(usage_error({"a", "--tokens", "1,x"}), "--tokens: got \"x\", want an integer of 32 bits");
  EXPECT_EQ(usage_error({"a", "--json=yes"}), "--json: got \"yes\", want true or false");
  EXPECT_EQ(usage_error({"a", "--schedule.kind", "linear"}), "--schedule.kind: got \"linear\", want cosine|constant");
  EXPECT_EQ(usage_error({"a", "--languages", "zh", "fr"}), "--languages: got \"fr\", want en|zh");
  EXPECT_EQ(parse({"a", "--languages", "zh", "en"}).languages, (std::vector<std::string>{"zh", "en"}));
  EXPECT_EQ(usage_error({"a", "--set", "schedule.lrr=1"}),
            "--set: unknown key \"schedule.lrr\"; did you mean schedule.lr?");
  EXPECT_EQ(usage_error({"a", "--set", "schedule.lr"}), "--set: got \"schedule.lr\", want key=value");
  EXPECT_EQ(usage_error({}), "WHERE is missing: folder");
  EXPECT_EQ(usage_error({"a", "-x"}), "unknown flag -x");
}

struct One {
  std::string path;
  template <class V>
  void visit(V&& v) {
    v("path", path, "file", {.positional = true});
  }
};

TEST(Options, TooManyWords) {
  One one;
  const std::vector<std::string_view> args = {"a", "b"};
  EXPECT_THROW(parse_options(one, args, {.verb = "one", .about = ""}), UsageError);
}

std::filesystem::path write_config(const std::string& text) {
  const auto path = std::filesystem::path(testing::TempDir()) /
                    (std::string("options_") + testing::UnitTest::GetInstance()->current_test_info()->name() + ".json");
  std::ofstream(path) << text;
  return path;
}

TEST(Options, FlagsWinOverTheConfigWhereverTheyStand) {
  const std::string config =
      write_config(R"({"threads": 2, "max_tokens": 1e3, "input": ["p", "q"], "seed": null, "where": "cfg",
                       "schedule": {"lr": 1, "kind": "constant"},
                       "phases": [{"seq_length": 256}, {"schedule": {"lr": 7e-6}}]})");
  const Sample s = parse({"--threads", "5", "--config", config, "--input", "r"});
  EXPECT_EQ(s.threads, 5);
  EXPECT_EQ(s.max_tokens, 1000);
  EXPECT_EQ(s.where, "cfg");
  EXPECT_EQ(s.input, (std::vector<std::string>{"r"}));
  EXPECT_EQ(s.schedule.lr, 1.0);
  ASSERT_EQ(s.phases.size(), 2u);
  EXPECT_EQ(s.phases[0].seq_length, 256);
  EXPECT_EQ(s.phases[1].seq_length, 128);
  EXPECT_EQ(s.phases[1].schedule.lr, 7e-6);
  EXPECT_EQ(parse({"a", "--set", R"(phases=[{"seq_length": 9}])"}).phases.at(0).seq_length, 9);
}

TEST(Options, ConfigErrorsNameFileAndPath) {
  const auto message = [](const std::string& json) {
    Sample s;
    try {
      OptionTable(s).read_json(boost::json::parse(json), "x.json");
    } catch (const Error& e) {
      return std::string(e.what());
    }
    return std::string("no error");
  };
  EXPECT_EQ(message(R"({"schedule": {"lrate": 1}})"),
            "x.json: unknown key \"schedule.lrate\"; did you mean schedule.lr?");
  EXPECT_EQ(message(R"({"schedule": 3})"), "x.json: schedule: got 3, want an object");
  EXPECT_EQ(message(R"({"threads": "3"})"), "x.json: threads: got \"3\", want an integer of 32 bits");
  EXPECT_EQ(message(R"({"threads": 1e30})"), "x.json: threads: got 1e+30, want an integer of 32 bits");
  EXPECT_EQ(message(R"({"tokens": [1, "a"]})"), "x.json: tokens[1]: got \"a\", want an integer of 32 bits");
  EXPECT_EQ(message(R"({"phases": [{}, {"schedule": {"kind": "x"}}]})"),
            "x.json: phases[1]: schedule.kind: got \"x\", want cosine|constant");
  EXPECT_EQ(message(R"([1])"), "x.json: got [1], want an object");
}

TEST(Options, JsonRoundTrip) {
  Sample s = parse({"here", "--seed", "7", "--tokens", "4,5", "--set", R"(phases=[{"seq_length": 9}])", "--json"});
  const boost::json::object written = OptionTable(s).to_json();
  EXPECT_TRUE(written.at("note").is_null());
  EXPECT_EQ(written.at("schedule").at("lr").as_double(), 3e-4);
  Sample again;
  OptionTable(again).read_json(written, "again");
  EXPECT_EQ(boost::json::serialize(OptionTable(again).to_json()), boost::json::serialize(written));
}

TEST(Options, HelpListsEveryOption) {
  Sample s;
  const std::string help = OptionTable(s).help(kVerb);
  EXPECT_NE(help.find("usage: hadal sample WHERE [WORDS...] [options]\n  does nothing\n"), std::string::npos) << help;
  EXPECT_NE(help.find("  --[no-]color "), std::string::npos) << help;
  EXPECT_NE(help.find("  --out DIR "), std::string::npos) << help;
  EXPECT_NE(help.find("  --max-tokens N "), std::string::npos) << help;
  EXPECT_NE(help.find("budget [10]\n"), std::string::npos) << help;
  EXPECT_NE(help.find("\nschedule: learning rate\n  --schedule.lr X "), std::string::npos) << help;
  EXPECT_NE(help.find("shape: cosine|constant [cosine]\n"), std::string::npos) << help;
}

int answer(Args args) {
  return static_cast<int>(args.size()) + 40;
}
constexpr Command kCommands[] = {{"answer", "gives it", answer}};

TEST(Command, PicksTheVerb) {
  const std::vector<std::string_view> good = {"answer", "a", "b"}, bad = {"anwser"}, empty;
  EXPECT_EQ(run_program("t", kCommands, good), 42);
  EXPECT_EQ(run_program("t", kCommands, bad), 2);
  EXPECT_EQ(run_program("t", kCommands, empty), 2);
  try {
    run_command("t", kCommands, bad);
  } catch (const UsageError& e) {
    EXPECT_NE(std::string(e.what()).find("unknown verb \"anwser\"; did you mean answer?"), std::string::npos);
  }
}

}  // namespace
}  // namespace hadal
