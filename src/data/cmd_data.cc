#include "data/cmd_data.h"

#include <fmt/format.h>

#include <array>

#include "base/command.h"
#include "base/json.h"
#include "data/corpus/inspect_shards.h"
#include "data/corpus/pipeline.h"

namespace hadal {
namespace {

struct PrepareVerbOptions {
  bool json = false;
  DataPrepareOptions data;
  template <class V>
  void visit(V&& v) {
    v("json", json, "print the manifest as JSON");
    data.visit(v);
  }
};

int prepare(Args args) {
  PrepareVerbOptions o;
  if (!parse_options(o, args,
                     {.verb = "data prepare",
                      .about = "text to shards of training sequences; a killed run goes on where it was",
                      .config = true,
                      .example = "hadal data prepare --config configs/recipes/data-demo.json --out runs/corpus"}))
    return 0;
  ThreadPool pool(o.data.threads);
  const DataPrepareResult result = data_prepare(pool, o.data);
  if (o.json) {
    fmt::print("{}\n", json_line(result.manifest));
    return 0;
  }
  const JsonObject& train = result.manifest.at("train").as_object();
  fmt::print("{}: {} documents, {} tokens, {} sequences{}\nreport: {}/report.html\n", o.data.out,
             train.at("documents").to_number<std::int64_t>(), train.at("tokens").to_number<std::int64_t>(),
             train.at("sequences").to_number<std::int64_t>(), result.reused ? " (was there already)" : "", o.data.out);
  return 0;
}

struct InspectVerbOptions {
  std::string path, tokenizer;
  int documents = 3;
  bool json = false;
  template <class V>
  void visit(V&& v) {
    v("path", path, "folder of a prepared corpus, or a shard",
      {.required = true, .positional = true, .placeholder = "DIR|SHARD"});
    v("documents", documents, "documents to show of each shard");
    v("tokenizer", tokenizer, "folder or tokenizer.json; empty: the one of the folder", {.placeholder = "PATH"});
    v("json", json, "print as JSON");
  }
};

int inspect(Args args) {
  InspectVerbOptions o;
  if (!parse_options(o, args,
                     {.verb = "data inspect",
                      .about = "documents, sequence borders and FIM cuts of token shards",
                      .example = "hadal data inspect runs/corpus --documents 5"}))
    return 0;
  const JsonObject found = inspect_shards({.path = o.path, .documents = o.documents, .tokenizer = o.tokenizer});
  if (o.json)
    fmt::print("{}\n", json_line(found));
  else
    fmt::print("{}", shards_text(found));
  return 0;
}

constexpr std::array kCommands{
    Command{"prepare", "clean, filter, deduplicate, mix and pack text into token shards", prepare},
    Command{"inspect", "what token shards hold", inspect},
};

}  // namespace

int cmd_data(Args args) {
  return run_command("hadal data", kCommands, args);
}

}  // namespace hadal
