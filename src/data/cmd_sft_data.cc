#include "data/cmd_sft_data.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>

#include "base/command.h"
#include "base/log.h"
#include "data/sft/prepare.h"
#include "data/sft/show.h"

namespace hadal {
namespace {

/// Prints the first samples with their masks.
void print_masks(ThreadPool& pool, const SftDataOptions& options, int count, const std::string& color) {
  const Tokenizer tokenizer = Tokenizer::load(options.tokenizer);
  const ChatTemplate chat = sft_template(options, tokenizer);
  const SftEncoder encoder(chat, tokenizer, options.mask);
  SftCounts counts;
  const bool colored = color == "always" || (color == "auto" && ::isatty(STDOUT_FILENO) != 0);
  for (const SftSample& sample : encode_records(pool, encoder, options, count, counts))
    fmt::print("--- record {}: {} tokens, {} trained\n{}\n", sample.source + 1, sample.tokens.ids.size(),
               sample.tokens.num_trained, show_mask(tokenizer, sample.tokens.ids, sample.tokens.trained, colored));
  for (const std::string& problem : counts.problems) log_warning(problem);
}

struct PrepareVerbOptions {
  int show_mask = 0, threads = 0;
  std::string color = "auto";
  SftDataOptions data;

  template <class V>
  void visit(V&& v) {
    v("out", data.out, "folder for sft.shard and manifest.json", {.required = true, .placeholder = "DIR"});
    data.visit(v);
    v("show_mask", show_mask, "print so many conversations with what is trained, first");
    v("color", color, "of show_mask", {.choices = {"auto", "always", "never"}});
    v("threads", threads, "0: all CPUs");
  }
};

int prepare(Args args) {
  PrepareVerbOptions o;
  if (!parse_options(o, args,
                     {.verb = "sft-data prepare",
                      .about = "conversations to packed token ids with loss masks; prints the manifest",
                      .config = true,
                      .example = "hadal sft-data prepare --tokenizer DIR --input chats.jsonl --out runs/sft-data"}))
    return 0;
  ThreadPool pool(o.threads);
  if (o.show_mask > 0) print_masks(pool, o.data, o.show_mask, o.color);
  fmt::print("{}\n", json_line(prepare_sft_data(pool, o.data)));
  return 0;
}

struct ShowVerbOptions {
  int count = 3;
  std::string color = "auto";
  SftDataOptions data;

  template <class V>
  void visit(V&& v) {
    data.visit(v);
    v("count", count, "records to show");
    v("color", color, "trained green, the rest dim; or [[ ]] around what is trained",
      {.choices = {"auto", "always", "never"}});
  }
};

int show(Args args) {
  ShowVerbOptions o;
  if (!parse_options(o, args,
                     {.verb = "sft-data show",
                      .about = "the first conversations as the model sees them, with what is trained",
                      .config = true,
                      .example = "hadal sft-data show --tokenizer DIR --input chats.jsonl --count 3"}))
    return 0;
  ThreadPool pool(1);
  print_masks(pool, o.data, o.count, o.color);
  return 0;
}

constexpr std::array kCommands{
    Command{"prepare", "conversations to packed token ids with loss masks", prepare},
    Command{"show", "conversations with what is trained in colour", show},
};

}  // namespace

int cmd_sft_data(Args args) {
  return run_command("hadal sft-data", kCommands, args);
}

}  // namespace hadal
