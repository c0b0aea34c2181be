#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <functional>

#include "analysis/bench/cmd_bench.h"
#include "base/json.h"
#include "data/corpus/text_reader.h"
#include "data/tokenizer/tokenizer.h"

namespace hadal {
namespace {

struct TokenizerBenchOptions {
  std::string tokenizer;
  std::vector<std::string> input;
  std::string text_field = "text";
  double max_mb = 32;
  int samples = 12, threads = 0;
  bool json = false;

  template <class V>
  void visit(V&& v) {
    v("tokenizer", tokenizer, "folder, tokenizer.json or .gguf file", {.required = true, .placeholder = "PATH"});
    v("input", input, "text, .jsonl and .html files, and folders of them; each gets its own rows",
      {.required = true, .placeholder = "PATH"});
    v("text_field", text_field, "key of the text in JSON lines");
    v("max_mb", max_mb, "megabytes of each input that are used");
    v("samples", samples, "times that everything is done; the median is printed");
    v("threads", threads, "of the batch row; 0: all CPUs");
    v("json", json, "one JSON object per row");
  }
};

/// Seconds that this thread has computed: what else runs on the machine does not count, except through caches.
double cpu_seconds() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}
double wall_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// Median over `samples` calls, after one that warms up.
double median_seconds(int samples, double (*clock)(), const std::function<void()>& body) {
  body();
  std::vector<double> seconds;
  for (int i = 0; i < samples; ++i) {
    const double start = clock();
    body();
    seconds.push_back(clock() - start);
  }
  std::nth_element(seconds.begin(), seconds.begin() + samples / 2, seconds.end());
  return seconds[static_cast<std::size_t>(samples / 2)];
}

struct Texts {
  std::vector<std::string> documents;
  std::size_t bytes = 0;
};

Texts read_texts(const std::string& input, const TokenizerBenchOptions& o) {
  Texts texts;
  TextReadCounts counts;
  const auto limit = static_cast<std::size_t>(o.max_mb * 1e6);
  read_documents(input, {.text_field = o.text_field}, counts, [&](std::string&& text) {
    if (texts.bytes >= limit) return;
    texts.bytes += text.size();
    texts.documents.push_back(std::move(text));
  });
  HADAL_CHECK(texts.bytes > 0, input, ": no text");
  return texts;
}

void print_row(const TokenizerBenchOptions& o, const std::string& input, std::string_view what, double seconds,
               std::size_t bytes, std::size_t tokens) {
  const double rate = static_cast<double>(bytes) / seconds / 1e6;
  const double bytes_per_token = static_cast<double>(bytes) / static_cast<double>(tokens);
  if (o.json) {
    fmt::print("{}\n", json_line(JsonObject{{"name", str_cat("tokenizer/", what)},
                                            {"input", input},
                                            {"bytes", bytes},
                                            {"tokens", tokens},
                                            {"seconds", seconds},
                                            {"mb_per_second", rate},
                                            {"tokens_per_second", static_cast<double>(tokens) / seconds},
                                            {"bytes_per_token", bytes_per_token},
                                            {"samples", o.samples}}));
  } else {
    fmt::print("{:<16} {:>8.1f} MB/s {:>7.2f} M tokens/s {:>6.2f} bytes/token  {}\n", what, rate,
               static_cast<double>(tokens) / seconds / 1e6, bytes_per_token, input);
  }
}

}  // namespace

int bench_tokenizer(Args args) {
  TokenizerBenchOptions o;
  if (!parse_options(o, args,
                     {.verb = "bench tokenizer",
                      .about = "encode and decode: one thread by its CPU time, and all threads by the clock",
                      .example = "hadal bench tokenizer --tokenizer DIR --input corpus.jsonl"}))
    return 0;
  HADAL_CHECK(o.samples >= 1, "samples: got ", o.samples, ", want 1 or more");
  const Tokenizer tokenizer = Tokenizer::load(o.tokenizer);
  ThreadPool pool(o.threads);
  for (const std::string& input : o.input) {
    const Texts texts = read_texts(input, o);
    std::vector<std::vector<int>> ids(texts.documents.size());
    const double encode = median_seconds(o.samples, cpu_seconds, [&] {
      for (std::size_t i = 0; i < ids.size(); ++i) {
        ids[i].clear();
        tokenizer.encode_append(texts.documents[i], ids[i]);
      }
    });
    std::size_t tokens = 0;
    for (std::size_t i = 0; i < ids.size(); ++i) {
      tokens += ids[i].size();
      HADAL_CHECK(tokenizer.decode(ids[i]) == texts.documents[i], input, ": document ", i,
                  " is another text after encode and decode");
    }
    const double decode = median_seconds(o.samples, cpu_seconds, [&] {
      for (const std::vector<int>& document : ids) tokenizer.decode(document);
    });
    const std::vector<std::string_view> views(texts.documents.begin(), texts.documents.end());
    const double batch = median_seconds(o.samples, wall_seconds, [&] { tokenizer.encode_batch(pool, views); });
    print_row(o, input, "encode/t=1", encode, texts.bytes, tokens);
    print_row(o, input, "decode/t=1", decode, texts.bytes, tokens);
    print_row(o, input, str_cat("encode/t=", pool.num_threads(), "/batch"), batch, texts.bytes, tokens);
  }
  return 0;
}

}  // namespace hadal
