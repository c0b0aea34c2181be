// Recipes: reading, running with a stand-in for the program, stopping, going on, figures.
#include "post/recipe/recipe.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <csignal>
#include <thread>

#include "base/file.h"
#include "post/answer_figures.h"
#include "post/recipe/answers.h"
#include "post/recipe/run_recipe.h"
#include "post/recipe/summary.h"
#include "support/temp_dir.h"

namespace hadal {
namespace {

constexpr std::string_view kRecipe = R"({
  "about": "a test",
  "defaults": {"sft": {"lr": {"lr": 0.1, "kind": "cosine"}, "steps": 10}},
  "evaluation": {"tasks": "{tasks}/test.jsonl", "samples": 2},
  "stages": [
    {"name": "tasks", "verb": "tasks make", "options": {"classes": ["sort"]}},
    {"name": "base", "verb": "pretrain", "title": "Base", "options": {"model": "m.json", "steps": 100}},
    {"name": "tuned", "verb": "sft", "title": "Tuned",
     "options": {"model": "{base}", "lr": {"lr": 0.2}, "data": {"input": ["{tasks}/sft.jsonl"]}},
     "evaluate": {"samples": 3, "prompt": {"text": "{question}?"}}},
    {"evaluates": "base", "options": {}}
  ]})";

/// Notes how it was called, and answers as a verb does; its model is OUT/m. A file "fail" or "wait" beside it, with the
/// name of a stage inside, makes that stage fail, or wait for a signal and end unfinished.
constexpr std::string_view kProgram = R"SH(#!/bin/bash
here=$(dirname "$0")
config="${@: -1}"
[ "$config" != --resume ] || config="${@: -2:1}"
stage=$(basename "$config" .json)
echo "$stage: ${*:1:2} ${@: -1}" | sed "s#[^ ]*/##g" >> "$here/calls"
out="$here/out/$stage"
mkdir -p "$out"
touch "$out/manifest.json"
if [ "$(cat "$here/fail" 2>/dev/null)" = "$stage" ]; then exit 3; fi
if [ "$(cat "$here/wait" 2>/dev/null)" = "$stage" ]; then
  trap 'echo "{\"finished\":false}"; exit 0' TERM
  touch "$here/waiting"
  while :; do sleep 0.02; done
fi
if [[ $stage == eval-* ]]; then
  for i in 1 2 3; do
    correct=$([ $i = 1 ] && echo true || echo false)
    messages='[{"role":"user","content":"q<"},{"role":"assistant","reasoning_content":"wait","content":"a"}]'
    echo '{"step":'$i',"id":"q'$((i / 2))'","class":"sort","messages":'$messages',"correct":'$correct',"reward":1,'\
'"parts":{"accuracy":1,"format":0.5},"tokens":'$i',"truncated":false}'
  done > "$out/candidates.jsonl"
fi
echo "a line before"
echo "{\"finished\":true,\"model\":\"$out/m\"}"
)SH";

struct RecipeRun : testing::Test {
  TempDir folder;
  std::filesystem::path file = folder / "recipe.json", program = folder / "program", out = folder / "out";
  RecipeRunOptions options{.out = out, .seed = 7, .program = program.string()};
  void SetUp() override {
    write_file_atomically(file, kRecipe);
    write_file_atomically(program, kProgram);
    ::chmod(program.c_str(), 0755);
  }
  std::string calls() const { return read_file(folder / "calls"); }
  JsonObject config(const std::string& stage) const {
    return read_json_file(out / "steps" / (stage + ".json")).as_object();
  }
};

TEST_F(RecipeRun, ReadsStagesWithDefaultsAndEvaluations) {
  const Recipe recipe = load_recipe(file, {.options = {"tuned.lr.kind=constant", "tuned.lr.lr=3"}, .scale = 0.5});
  std::string names;
  for (const Stage& stage : recipe.stages) names += stage.name + " ";
  EXPECT_EQ(names, "tasks base tuned eval-tuned eval-base ");
  EXPECT_EQ(recipe.stage("base").options.at("steps"), 50);
  EXPECT_EQ(json_line(recipe.stage("tuned").options),
            R"({"lr":{"lr":3,"kind":"constant"},"steps":5,"model":"{base}","data":{"input":["{tasks}/sft.jsonl"]}})");
  EXPECT_EQ(recipe.stage("eval-tuned").options.at("samples"), 3);
  EXPECT_EQ(recipe.stage("eval-base").options.at("model"), "{base}");
}

TEST_F(RecipeRun, RefusesWhatMakesNoSense) {
  EXPECT_NE(error_of([&] { load_recipe(file, {.options = {"bas.steps=1"}}); }).find("no stage bas"), std::string::npos);
  EXPECT_NE(error_of([&] { load_recipe(file, {.options = {"steps=1"}}); }).find("want stage.option=value"),
            std::string::npos);
  const auto error = [&](std::string what, std::string with) {
    std::string text(kRecipe);
    text.replace(text.find(what), what.size(), with);
    write_file_atomically(file, text);
    return error_of([&] { load_recipe(file); });
  };
  EXPECT_NE(error("\"sft\", \"title\"", "\"serve\", \"title\"").find("verb: got \"serve\", want one of"),
            std::string::npos);
  EXPECT_NE(error("{base}", "{tuned}").find("{tuned} is no earlier stage"), std::string::npos);
  EXPECT_NE(error("\"name\": \"tuned\"", "\"name\": \"base\"").find("two stages are called base"), std::string::npos);
  EXPECT_NE(error("\"name\": \"tuned\"", "\"name\": \"../up\"").find("want small letters"), std::string::npos);
  EXPECT_NE(error("\"title\": \"Base\"", "\"titel\": \"Base\"").find("titel"), std::string::npos);
}

TEST_F(RecipeRun, FindsFilesBesideTheRecipe) {
  std::string text(kRecipe);
  text.replace(text.find("m.json"), 6, "{recipe}/../models/m.json");
  write_file_atomically(file, text);
  EXPECT_EQ(load_recipe(file).stage("base").options.at("model"), Json(folder.path().string() + "/../models/m.json"));
  text.replace(text.find("\"name\": \"tuned\""), 15, "\"name\": \"recipe\"");
  write_file_atomically(file, text);
  EXPECT_NE(error_of([&] { load_recipe(file); }).find("cannot be called recipe"), std::string::npos);
}

TEST_F(RecipeRun, RunsEveryStageOnce) {
  const Recipe recipe = load_recipe(file);
  EXPECT_TRUE(run_recipe(recipe, options));
  EXPECT_EQ(calls(),
            "tasks: tasks make tasks.json\nbase: pretrain --config base.json\ntuned: sft --config tuned.json\n"
            "eval-tuned: sample --config eval-tuned.json\neval-base: sample --config eval-base.json\n");
  const JsonObject tuned = config("tuned"), measured = config("eval-tuned");
  EXPECT_EQ(tuned.at("model"), Json((folder / "out/base/m").string()));
  EXPECT_EQ(tuned.at("data").at("input").at(0), Json((folder / "out/tasks/sft.jsonl").string()));
  EXPECT_EQ(tuned.at("out"), Json((folder / "out/tuned").string()));
  EXPECT_EQ(tuned.at("seed"), 7);
  EXPECT_EQ(measured.at("prompt").at("text"), "{question}?");
  const std::string before = calls();
  EXPECT_TRUE(run_recipe(recipe, options));
  EXPECT_EQ(calls(), before);
  options.seed = 8;
  EXPECT_NE(
      error_of([&] { run_recipe(recipe, options); }).find("stage tasks was done with other options (seed: 7 -> 8)"),
      std::string::npos);
}

TEST_F(RecipeRun, GoesOnAfterAFailureAndAStop) {
  const Recipe recipe = load_recipe(file);
  write_file_atomically(folder / "fail", "base\n");
  EXPECT_NE(error_of([&] { run_recipe(recipe, options); }).find("stage base failed; its command was: "),
            std::string::npos);
  std::filesystem::remove(folder / "fail");
  write_file_atomically(folder / "wait", "tuned\n");
  std::jthread stopper([&] {
    while (!std::filesystem::exists(folder / "waiting")) std::this_thread::sleep_for(std::chrono::milliseconds(5));
    ::kill(::getpid(), SIGTERM);
  });
  EXPECT_FALSE(run_recipe(recipe, options));
  stopper.join();
  std::filesystem::remove(folder / "wait");
  options.until = "tuned";
  EXPECT_TRUE(run_recipe(recipe, options));
  EXPECT_EQ(calls(),
            "tasks: tasks make tasks.json\nbase: pretrain --config base.json\nbase: pretrain --config --resume\n"
            "tuned: sft --config tuned.json\ntuned: sft --config --resume\n");
}

TEST_F(RecipeRun, SummaryAndReport) {
  const Recipe recipe = load_recipe(file);
  run_recipe(recipe, options);
  const JsonObject summary = recipe_summary(recipe, out, 7);
  EXPECT_EQ(json_line(read_json_file(out / "summary.json")), json_line(summary));
  EXPECT_EQ(summary.at("stages").as_array().size(), 5U);
  const Json& evaluation = summary.at("evaluations").at(0);
  EXPECT_EQ(evaluation.at("title"), "Tuned");
  const Json& all = evaluation.at("figures").at("all");
  EXPECT_EQ(all.at("questions"), 2);
  EXPECT_EQ(all.at("answers"), 3);
  EXPECT_DOUBLE_EQ(all.at("accuracy").as_double(), 1.0 / 3);
  EXPECT_DOUBLE_EQ(all.at("format").as_double(), 0.5);
  EXPECT_DOUBLE_EQ(all.at("reflective_words").as_double(), 1);
  EXPECT_NE(summary_text(summary).find("33.3 ("), std::string::npos);
  EXPECT_EQ(answers_text(side_by_side(summary, out), 1),
            "q<\n  Tuned: <think>wait</think>a (right)\n  Base: <think>wait</think>a (right)\n");
  const std::string page = read_file(write_recipe_report(recipe, out, summary));
  EXPECT_NE(page.find("\"question\":\"q\\u003c\""), std::string::npos);
  EXPECT_NE(page.find("evaluationCard"), std::string::npos);
}

TEST_F(RecipeRun, TheProgramItself) {
  write_file_atomically(file, R"({
    "defaults": {"grpo": {"questions": 2, "group_size": 2, "rollout": {"max_tokens": 4}, "precision": "f32"}},
    "evaluation": {"tasks": "{tasks}/test.jsonl", "samples": 1, "rollout": {"max_tokens": 4},
                   "prompt": {"style": "plain"}, "filter": {"only_correct": false}},
    "stages": [
      {"name": "tasks", "verb": "tasks make",
       "options": {"classes": ["sort", "talk"], "sizes": [3, 3], "train": 5, "test": 2}},
      {"name": "base", "verb": "pretrain", "evaluate": {},
       "options": {"model": "SOURCE/configs/models/rl-tiny.json", "steps": 1, "seq_length": 32,
                   "batch": {"sequences": 1}, "data": {"inputs": ["{tasks}/text.jsonl"], "vocab_size": 384}}},
      {"name": "zero", "verb": "grpo",
       "options": {"model": "{base}", "tasks": "{tasks}/train.jsonl", "validation": "{tasks}/test.jsonl", "steps": 1,
                   "prompt": {"style": "plain"}}}]})");
  std::string text = read_file(file);
  text.replace(text.find("SOURCE"), 6, HADAL_SOURCE_DIR);
  write_file_atomically(file, text);
  options.program = HADAL_BINARY, options.threads = 1;
  const Recipe recipe = load_recipe(file);
  ASSERT_TRUE(run_recipe(recipe, options));
  const JsonObject summary = recipe_summary(recipe, out, 7);
  EXPECT_EQ(summary.at("evaluations").at(0).at("figures").at("sort").at("questions"), 4);
  EXPECT_EQ(summary.at("stages").as_array().back().at("greedy").at("sort").as_array().size(), 2U);
  EXPECT_NE(summary_text(summary).find("greedy, by zero:   sort 0.0 -> 0.0"), std::string::npos);
  const std::string page = read_file(write_recipe_report(recipe, out, summary));
  EXPECT_NE(page.find("\"curves\":{\"step\":[1]"), std::string::npos);
}

TEST(Wilson, KnownIntervals) {
  // Newcombe (1998), table I: 81 of 263 and 15 of 148, Wilson's method without continuity correction.
  const auto [a, b] = wilson_interval(81, 263);
  EXPECT_NEAR(a, 0.2553, 1e-4);
  EXPECT_NEAR(b, 0.3662, 1e-4);
  const auto [c, d] = wilson_interval(15, 148);
  EXPECT_NEAR(c, 0.0624, 1e-4);
  EXPECT_NEAR(d, 0.1605, 1e-4);
  EXPECT_EQ(wilson_interval(0, 0), (std::pair<double, double>(0, 1)));
  EXPECT_EQ(wilson_interval(0, 20).first, 0);
}

}  // namespace
}  // namespace hadal
