#include "data/cmd_tokenizer.h"

#include <fmt/format.h>

#include <array>
#include <filesystem>
#include <functional>

#include "base/command.h"
#include "base/json_lines.h"
#include "base/utf8.h"
#include "data/tokenizer/joint_tokens.h"
#include "data/tokenizer/stats.h"
#include "data/tokenizer/tokenizer.h"
#include "data/tokenizer/train_on_files.h"

namespace hadal {
namespace {

struct TrainVerbOptions {
  std::vector<std::string> input;
  std::string out, text_field = "text", separator, regex;
  int threads = 0;
  TokenizerTrainOptions train;

  template <class V>
  void visit(V&& v) {
    v("input", input, "text, .jsonl and .html files, and folders of them", {.required = true, .placeholder = "PATH"});
    v("out", out, "folder for tokenizer.json and what belongs to it", {.required = true, .placeholder = "DIR"});
    v("text_field", text_field, "key of the text in JSON lines");
    v("separator", separator, "stands between the documents of a plain-text file");
    v("threads", threads, "0: all CPUs");
    v("regex", regex, "cut text by this pattern instead of a preset", {.placeholder = "PATTERN"});
    train.visit(v);
  }
};

int train(Args args) {
  TrainVerbOptions o;
  if (!parse_options(o, args,
                     {.verb = "tokenizer train",
                      .about = "train a byte-level BPE tokenizer",
                      .example = "hadal tokenizer train --input corpus/ --vocab-size 32768 --out runs/tokenizer"}))
    return 0;
  if (!o.regex.empty()) o.train.preset = "regex:" + o.regex;
  ThreadPool pool(o.threads);
  const TokenizerTrainReport report = train_tokenizer_on_files(
      pool, {.inputs = o.input, .read = {.text_field = o.text_field, .separator = o.separator}, .train = o.train});
  write_tokenizer_files(o.out, report.result.files);
  fmt::print("{}\n", json_line(JsonObject{{"out", o.out},
                                          {"documents", report.read.documents},
                                          {"bytes", report.read.bytes},
                                          {"words", report.words},
                                          {"forgotten", report.forgotten},
                                          {"vocab_size", report.result.files.spec.vocab_size()},
                                          {"merges", report.result.num_merges},
                                          {"unused_ids", report.result.num_unused}}));
  return 0;
}

/// Calls use(value of the field, "file:line") for every line of a JSONL file.
void for_each_field(const std::string& path, const std::string& field,
                    const std::function<void(const Json&, const std::string&)>& use) {
  for_each_json_line(path, [&](const Json& json, const std::string& where) {
    ObjectReader reader(json, where);
    use(reader.value(field), reader.at(field));
  });
}

struct EncodeVerbOptions {
  std::string tokenizer, jsonl, field = "text";
  std::optional<std::string> text;
  bool add_special = false, parse_special = true;
  double split_rate = 0;
  std::int64_t seed = 0;

  template <class V>
  void visit(V&& v) {
    v("tokenizer", tokenizer, "folder, tokenizer.json or .gguf file", {.required = true, .placeholder = "PATH"});
    v("text", text, "the text to encode");
    v("jsonl", jsonl, "file with one JSON object per line", {.placeholder = "FILE"});
    v("field", field, "key of the text in each line");
    v("add_special", add_special, "add BOS and EOS as the tokenizer's files say");
    v("parse_special", parse_special, "read the names of control tokens as these tokens");
    v("split_rate", split_rate, "share of the tokens \".\\n\" and such that is split at random, as for training data");
    v("seed", seed, "of the random split; line numbers count as documents");
  }
};

int encode(Args args) {
  EncodeVerbOptions o;
  if (!parse_options(o, args,
                     {.verb = "tokenizer encode",
                      .about = "text to ids, one array per line",
                      .example = "hadal tokenizer encode --tokenizer DIR --text \"Hello world\""}))
    return 0;
  if (o.text.has_value() != o.jsonl.empty()) throw UsageError("tokenizer encode: want either --text or --jsonl");
  const Tokenizer tokenizer = Tokenizer::load(o.tokenizer);
  const EncodeOptions options{.parse_special = o.parse_special, .add_special = o.add_special};
  std::optional<JointTokenSplitter> splitter;
  if (o.split_rate != 0) splitter.emplace(tokenizer);
  std::uint64_t document = 0;
  const auto print = [&](const std::string& text) {
    std::vector<int> ids = tokenizer.encode(text, options);
    if (splitter) ids = splitter->split(ids, o.split_rate, static_cast<std::uint64_t>(o.seed), document++);
    fmt::print("[{}]\n", fmt::join(ids, ","));
  };
  if (o.text) {
    print(*o.text);
  } else {
    for_each_field(o.jsonl, o.field,
                   [&](const Json& value, const std::string& at) { print(json_as<std::string>(value, at)); });
  }
  return 0;
}

struct DecodeVerbOptions {
  std::string tokenizer, jsonl, field = "ids";
  std::optional<std::string> ids;
  bool skip_special = false;

  template <class V>
  void visit(V&& v) {
    v("tokenizer", tokenizer, "folder, tokenizer.json or .gguf file", {.required = true, .placeholder = "PATH"});
    v("ids", ids, "the ids to decode", {.placeholder = "N,N,..."});
    v("jsonl", jsonl, "file with one JSON object per line", {.placeholder = "FILE"});
    v("field", field, "key of the ids in each line");
    v("skip_special", skip_special, "leave control tokens out");
  }
};

int decode(Args args) {
  DecodeVerbOptions o;
  if (!parse_options(o, args,
                     {.verb = "tokenizer decode",
                      .about = "ids to text, one JSON string per line",
                      .example = "hadal tokenizer decode --tokenizer DIR --ids 19923,2058"}))
    return 0;
  if (o.ids.has_value() != o.jsonl.empty()) throw UsageError("tokenizer decode: want either --ids or --jsonl");
  const Tokenizer tokenizer = Tokenizer::load(o.tokenizer);
  const auto print = [&](const std::vector<int>& ids) {
    std::string line;
    append_json_string(line, replace_ill_formed(tokenizer.decode(ids, o.skip_special)));
    fmt::print("{}\n", line);
  };
  if (o.ids) {
    std::vector<int> ids;
    if (!o.ids->empty()) set_from_text(&ids, *o.ids, "--ids");
    print(ids);
  } else {
    for_each_field(o.jsonl, o.field,
                   [&](const Json& value, const std::string& at) { print(json_as<std::vector<int>>(value, at)); });
  }
  return 0;
}

struct StatsVerbOptions {
  std::string tokenizer, compare, text_field = "text", separator;
  std::vector<std::string> input;
  int top = 20, threads = 0;
  bool json = false;

  template <class V>
  void visit(V&& v) {
    v("tokenizer", tokenizer, "folder, tokenizer.json or .gguf file", {.required = true, .placeholder = "PATH"});
    v("input", input, "text, .jsonl and .html files, and folders of them; each gets a row of its own",
      {.required = true, .placeholder = "PATH"});
    v("compare", compare, "another tokenizer on the same text", {.placeholder = "PATH"});
    v("text_field", text_field, "key of the text in JSON lines");
    v("separator", separator, "stands between the documents of a plain-text file");
    v("top", top, "entries of the lists of tokens");
    v("threads", threads, "0: all CPUs");
    v("json", json, "print one JSON object");
  }
};

int stats(Args args) {
  StatsVerbOptions o;
  if (!parse_options(o, args,
                     {.verb = "tokenizer stats",
                      .about = "bytes per token by input and by script, unused and longest tokens",
                      .example = "hadal tokenizer stats --tokenizer DIR --input en.jsonl --input zh.jsonl"}))
    return 0;
  const Tokenizer tokenizer = Tokenizer::load(o.tokenizer);
  std::optional<Tokenizer> other;
  if (!o.compare.empty()) other.emplace(Tokenizer::load(o.compare));
  ThreadPool pool(o.threads);
  const JsonObject report = tokenizer_stats(
      pool, tokenizer, other ? &*other : nullptr,
      {.inputs = o.input, .read = {.text_field = o.text_field, .separator = o.separator}, .top = o.top});
  fmt::print("{}", o.json ? json_line(report) + "\n" : tokenizer_stats_text(report));
  return 0;
}

constexpr std::array kCommands{
    Command{"train", "train a byte-level BPE tokenizer", train},
    Command{"encode", "text to ids", encode},
    Command{"decode", "ids to text", decode},
    Command{"stats", "bytes per token, unused and longest tokens, comparison", stats},
};

}  // namespace

int cmd_tokenizer(Args args) {
  return run_command("hadal tokenizer", kCommands, args);
}

}  // namespace hadal
