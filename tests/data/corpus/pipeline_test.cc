#include "data/corpus/pipeline.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <map>
#include <thread>

#include "base/file.h"
#include "base/random.h"
#include "data/corpus/inspect_shards.h"
#include "data/corpus/prepare.h"
#include "data/packed_loader.h"
#include "data/tokenizer/presets.h"
#include "data/tokenizer/tokenizer.h"
#include "formats/token_shard.h"
#include "support/temp_dir.h"

namespace hadal {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kWords[] = {"the",   "river",  "of",     "stone", "and",   "a",     "house",  "that",
                                       "stood", "near",   "with",   "light", "to",    "music", "garden", "winter",
                                       "have",  "bridge", "people", "early", "bread", "be",    "summer", "north"};

/// A document of its own: sentences of words drawn at random.
std::string prose(std::uint64_t seed, int sentences) {
  std::string text;
  std::uint64_t k = 0;
  for (int s = 0; s < sentences; ++s) {
    text += "Number " + std::to_string(seed) + ", part " + std::to_string(s) + ":";
    for (int w = 0; w < 14; ++w) (text += ' ') += kWords[random_below(seed, Stream::kTest, k++, std::size(kWords))];
    text += s % 3 == 2 ? ".\n" : ". ";
  }
  return text;
}

std::string json_text(const std::string& text) {
  std::string line = "{\"text\": ";
  append_json_string(line, text);
  return line + "}\n";
}

class Pipeline : public testing::Test {
 protected:
  void SetUp() override {
    std::string lines;
    for (std::uint64_t i = 0; i < 120; ++i) lines += json_text(prose(i, 6 + static_cast<int>(i % 5)));
    for (std::uint64_t i = 0; i < 10; ++i) lines += json_text(prose(i, 6 + static_cast<int>(i % 5)));  // equal ones
    lines += "no json\n" + json_text("short") + "{\"text\": 1}\n" + json_text("\x01\x02");
    lines += json_text(prose(500, 8) + " Write to someone@example.com now.");
    write_file_atomically(dir_ / "a.jsonl", lines);
    write_file_atomically(dir_ / "b.txt", prose(900, 9) + "\n----\n" + prose(901, 9) + "\n----\n" + prose(0, 6));
    options_.out = (dir_ / "out").string();
    options_.sources = {{.name = "a", .inputs = {(dir_ / "a.jsonl").string()}},
                        {.name = "b", .separator = "\n----\n", .inputs = {(dir_ / "b.txt").string()}}};
    options_.train.vocab_size = 600;
    options_.train.num_reserved = 4;
    options_.fim = {.rate = 0.3, .spm_share = 0.5};
    options_.pack.sequence_length = 64;
    options_.pack.shard_tokens = 4000;
    // Small words in many numbers: what these texts are.
    options_.filters.repetition.enabled = false;
  }

  static std::map<std::string, std::string> shards_of(const fs::path& out) {
    std::map<std::string, std::string> files;
    for (const auto& entry : fs::directory_iterator(out / "shards"))
      files[entry.path().filename().string()] = read_file(entry.path());
    return files;
  }
  static std::int64_t dropped(const JsonObject& manifest, std::string_view filter) {
    for (const Json& f : manifest.at("filters").as_array())
      if (f.at("name").as_string() == filter) return f.at("documents").to_number<std::int64_t>();
    return 0;
  }
  DataPrepareResult prepare(int threads = 2) {
    ThreadPool pool(threads);
    return data_prepare(pool, options_);
  }

  TempDir dir_;
  DataPrepareOptions options_;
};

TEST_F(Pipeline, CountsAddUpAndTextComesBack) {
  options_.pack.kind = "best_fit";
  options_.pack.sequence_length = 1000;
  const JsonObject m = prepare().manifest;
  EXPECT_EQ(dropped(m, "read.bad_record"), 2);
  EXPECT_EQ(dropped(m, "gopher.min_words"), 1);
  EXPECT_EQ(dropped(m, "clean.empty"), 1);
  EXPECT_EQ(dropped(m, "dedup.equal"), 11);
  EXPECT_EQ(m.at("masked").at("emails"), 1);
  std::int64_t before = -1;
  for (const Json& stage : m.at("stages").as_array()) {
    if (before >= 0) {
      EXPECT_EQ(stage.at("documents_in"), before) << json_line(stage);
    }
    before = stage.at("documents_out").to_number<std::int64_t>();
  }
  EXPECT_EQ(m.at("stages").as_array()[0].at("documents_in"), 120 + 10 + 5 + 3);
  EXPECT_EQ(before, 123);
  EXPECT_EQ(m.at("train").at("documents"), 123);

  // Every document is in the shards once, whole, whatever packing and FIM did to it.
  const Tokenizer tokenizer = Tokenizer::load(dir_ / "out" / "tokenizer");
  const int hole = tokenizer.added_id(kFimHoleToken), end = tokenizer.added_id(kFimEndToken);
  std::map<std::string, int> texts;
  std::int64_t fim = 0;
  for (const auto& [name, bytes] : shards_of(options_.out)) {
    const TokenShard shard(dir_ / "out" / "shards" / name);
    EXPECT_EQ(shard.sequence_length(), 1000);
    for (index_t d = 0; d < shard.num_documents(); ++d) {
      ASSERT_FALSE(shard.document_info(d).continued) << "no document here is longer than a sequence";
      std::vector<int> ids(static_cast<std::size_t>(shard.document_length(d)));
      shard.read(d, 0, ids);
      ASSERT_EQ(ids.back(), tokenizer.eos_id());
      ids.pop_back();
      if (shard.document_info(d).fim != FimKind::kNone) {
        ++fim;
        const auto h = std::find(ids.begin(), ids.end(), hole), e = std::find(ids.begin(), ids.end(), end);
        std::vector<int> text(ids.begin() + 1, h);
        text.insert(text.end(), e + 1, ids.end());
        text.insert(text.end(), h + 1, e);
        ids = text;
      }
      ++texts[tokenizer.decode(ids)];
    }
  }
  EXPECT_EQ(texts.size(), 123U);
  for (const auto& [text, times] : texts) EXPECT_EQ(times, 1) << text;
  std::string wanted = prose(901, 9);
  wanted.pop_back();
  EXPECT_EQ(texts.count(wanted), 1U);
  EXPECT_GT(fim, 20);
  EXPECT_LT(fim, 60);
  EXPECT_FALSE(fs::exists(dir_ / "out" / "work"));
}

TEST_F(Pipeline, ThreadsAndMemoryChangeNothing) {
  const JsonObject two = prepare(2).manifest;
  const auto wanted = shards_of(options_.out);
  EXPECT_GT(wanted.size(), 3U);
  options_.out = (dir_ / "one").string();
  options_.memory_mb = 1;
  JsonObject one = prepare(1).manifest;
  EXPECT_EQ(shards_of(options_.out), wanted);
  for (const char* key : {"stages", "filters", "shards", "near_duplicates", "mix", "key"})
    EXPECT_EQ(one.at(key), two.at(key)) << key;
}

TEST_F(Pipeline, IsReusedExactlyWhenNothingChanged) {
  EXPECT_FALSE(prepare().reused);
  const auto first = shards_of(options_.out);
  EXPECT_TRUE(prepare().reused);
  options_.seed = 2;
  EXPECT_FALSE(prepare().reused);
  EXPECT_NE(shards_of(options_.out), first);
  options_.seed = 1;
  EXPECT_FALSE(prepare().reused);
  EXPECT_EQ(shards_of(options_.out), first);
  // Damage is made good.
  std::string bytes = first.begin()->second;
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  write_file_atomically(dir_ / "out" / "shards" / first.begin()->first, bytes);
  EXPECT_FALSE(prepare().reused);
  EXPECT_EQ(shards_of(options_.out), first);
}

/// How many files there are below a folder.
int count_files(const fs::path& folder) {
  int count = 0;
  std::error_code ignored;
  for (auto it = fs::recursive_directory_iterator(folder, ignored); it != fs::recursive_directory_iterator();
       it.increment(ignored))
    ++count;
  return count;
}

TEST_F(Pipeline, KilledAtAnyMomentItGoesOnWithTheSameBytes) {
  prepare();
  const auto wanted = shards_of(options_.out);
  const std::string tokenizer = read_file(dir_ / "out" / "tokenizer" / "tokenizer.json");
  for (int files = 1; files <= 22; files += 3) {
    const fs::path out = dir_ / ("killed-" + std::to_string(files));
    options_.out = out.string();
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      // A process of its own: nothing of the test's may run at its end.
      try {
        prepare();
      } catch (...) {
      }
      ::_exit(0);
    }
    // As soon as so many files are there, wherever the process is then.
    while (count_files(out) < files && ::waitpid(child, nullptr, WNOHANG) == 0)
      std::this_thread::sleep_for(std::chrono::microseconds(100));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    prepare();
    EXPECT_EQ(shards_of(out), wanted) << files;
    EXPECT_EQ(read_file(out / "tokenizer" / "tokenizer.json"), tokenizer) << files;
    for (const auto& entry : fs::recursive_directory_iterator(out)) EXPECT_NE(entry.path().extension(), ".tmp");
  }
}

TEST_F(Pipeline, MixAndValidation) {
  options_.sources[1].weight = 3;
  options_.pack.validation_share = 0.2;
  options_.pack.kind = "none";
  options_.fim.rate = 0;
  const JsonObject m = prepare().manifest;
  std::int64_t train = 0, validation = 0;
  for (const Json& shard : m.at("shards").as_array())
    (shard.at("split").as_string() == "train" ? train : validation) += shard.at("documents").to_number<std::int64_t>();
  EXPECT_GT(validation, 10);
  EXPECT_LT(validation, 45);
  std::int64_t of_b = 0;
  for (const Json& group : m.at("mix").as_array()) {
    const auto tokens = group.at("tokens").to_number<std::int64_t>();
    const bool is_b = group.at("source").as_string() == "b";
    EXPECT_EQ(group.at("tokens_taken"), (is_b ? 3 : 1) * tokens);
    of_b += is_b ? 1 : 0;
  }
  EXPECT_EQ(of_b, 1);
  EXPECT_EQ(TokenShard(dir_ / "out" / "shards" / "train-00000.shard").num_sequences(), 0);
}

TEST_F(Pipeline, SplitsJointTokensAndKeepsTheText) {
  options_.pack.kind = "none", options_.pack.shuffle = false;
  options_.pack.shard_tokens = 1 << 20;
  options_.fim.rate = 0;
  const auto documents = [&](double rate) {
    options_.split_joint_tokens = rate;
    prepare();
    const TokenShard shard(dir_ / "out" / "shards" / "train-00000.shard");
    const Tokenizer tokenizer = Tokenizer::load(dir_ / "out" / "tokenizer");
    std::pair<std::string, index_t> result{"", shard.num_tokens()};
    for (index_t d = 0; d < shard.num_documents(); ++d) {
      std::vector<int> ids(static_cast<std::size_t>(shard.document_length(d)));
      shard.read(d, 0, ids);
      result.first += tokenizer.decode(ids) + "|";
    }
    return result;
  };
  const auto whole = documents(0), some = documents(0.5), all = documents(1);
  EXPECT_EQ(whole.first, all.first);
  EXPECT_EQ(whole.first, some.first);
  EXPECT_LT(whole.second, some.second);
  EXPECT_LT(some.second, all.second);
}

TEST_F(Pipeline, PlainDocumentsAreReadyForTheLoader) {
  options_.pack.kind = "none";
  options_.pack.shard_tokens = 1 << 20;
  options_.fim.rate = 0;
  const JsonObject m = prepare().manifest;
  ThreadPool pool(1);
  CorpusOptions corpus{.prepared = options_.out};
  const PreparedCorpus prepared = prepare_corpus(pool, corpus, dir_ / "unused");
  EXPECT_EQ(prepared.shard.num_documents(), 123);
  EXPECT_EQ(prepared.manifest.at("hash"), m.at("key"));
  EXPECT_FALSE(fs::exists(dir_ / "unused"));
  corpus.inputs = {"x"};
  EXPECT_NE(error_of([&] { prepare_corpus(pool, corpus, dir_ / "unused"); }).find("inputs"), std::string::npos);
  corpus.inputs.clear();
  options_.pack.shard_tokens = 4000;
  prepare();
  EXPECT_NE(error_of([&] { prepare_corpus(pool, corpus, dir_ / "unused"); }).find("shard_tokens"), std::string::npos);
}

TEST_F(Pipeline, PackedSequencesAreReadyForTheLoader) {
  for (const char* kind : {"concatenate", "best_fit"}) {
    options_.pack.kind = kind;
    options_.pack.validation_share = 0.2;
    const JsonObject m = prepare().manifest;
    ThreadPool pool(1);
    const PreparedCorpus prepared = prepare_corpus(pool, {.prepared = options_.out}, dir_ / "unused");
    EXPECT_GT(prepared.packed.size(), 1U);
    EXPECT_GE(prepared.packed_validation.size(), 1U);
    for (const bool mask : {false, true}) {
      const PackedLoader loader(prepared.packed, 3, mask, /*pad_id=*/0);
      // One epoch holds every token once; its order is not that of the shards.
      std::vector<int> in_shards, in_batches;
      std::int64_t borders = 0;
      for (const TokenShard& shard : prepared.packed) {
        std::vector<int> tokens(static_cast<std::size_t>(shard.num_tokens()));
        shard.read_tokens(0, tokens);
        in_shards.insert(in_shards.end(), tokens.begin(), tokens.end());
      }
      bool moved = false;
      for (std::int64_t s = 0; s < loader.num_sequences(); ++s) {
        const Batch b = loader.batch(s, 1);
        ASSERT_EQ(b.ids.size(), 64U);
        ASSERT_EQ(b.targets.size(), 64U);
        EXPECT_EQ(b.targets.back(), -1);
        std::size_t length = 64;  // without padding: an unfilled sequence has no targets behind its last token
        while (length > 1 && b.targets[length - 1] < 0 && b.targets[length - 2] < 0 && b.ids[length - 1] == 0) --length;
        for (std::size_t t = 0; t < length; ++t) in_batches.push_back(b.ids[t]);
        for (std::size_t t = 0; t + 1 < length; ++t)
          if (b.targets[t] >= 0)
            EXPECT_EQ(b.targets[t], b.ids[t + 1]);
          else
            EXPECT_TRUE(mask);
        borders += std::ssize(b.segment_begins) - 2;
        EXPECT_EQ(b.positions[0], 0);
        moved |= s < 60 && in_batches[static_cast<std::size_t>(s)] != in_shards[static_cast<std::size_t>(s)];
      }
      EXPECT_TRUE(moved);
      EXPECT_EQ(borders > 0, mask);
      std::sort(in_shards.begin(), in_shards.end());
      std::sort(in_batches.begin(), in_batches.end());
      EXPECT_EQ(in_batches, in_shards) << kind;
      const Batch two = loader.batch(5, 2), second = loader.batch(6, 1);
      EXPECT_TRUE(std::equal(second.ids.begin(), second.ids.end(), two.ids.begin() + 64));
      EXPECT_NE(loader.batch(0, 1).ids, loader.batch(loader.num_sequences(), 1).ids) << "epochs have one order";
    }
  }
}

TEST_F(Pipeline, DamagedInputsAreCountedOrFatal) {
  write_file_atomically(dir_ / "c.jsonl.gz", "this is no gzip");
  write_file_atomically(dir_ / "d.txt", std::string("\0\xFF\xFE\x80", 4) + std::string(300, '\xC3'));
  options_.sources[1].inputs.push_back((dir_ / "c.jsonl.gz").string());
  options_.sources[1].inputs.push_back((dir_ / "d.txt").string());
  const JsonObject m = prepare().manifest;
  EXPECT_EQ(dropped(m, "read.unreadable"), 1);
  EXPECT_EQ(dropped(m, "clean.ill_formed"), 1);
  options_.sources = {{.name = "c", .inputs = {(dir_ / "c.jsonl.gz").string()}}};
  EXPECT_NE(error_of([&] { prepare(); }).find("read.unreadable 1"), std::string::npos);
  options_.sources[0].inputs = {(dir_ / "nothing").string()};
  EXPECT_NE(error_of([&] { prepare(); }).find("no such file"), std::string::npos);
  options_.sources.clear();
  EXPECT_NE(error_of([&] { prepare(); }).find("sources"), std::string::npos);
}

TEST_F(Pipeline, InspectShowsBordersAndCuts) {
  prepare();
  const JsonObject found = inspect_shards({.path = options_.out, .documents = 50, .tokenizer = {}});
  const Json& shard = found.at("shards").as_array()[0];
  index_t place = 0;
  bool fim = false;
  for (const Json& d : shard.at("show").as_array()) {
    EXPECT_EQ(d.at("begin"), place);
    const auto length = d.at("tokens").to_number<index_t>();
    index_t in_sequences = 0;
    for (const Json& s : d.at("sequences").as_array()) {
      EXPECT_EQ(s.at("sequence").to_number<index_t>() * 64 + s.at("from").to_number<index_t>(), place + in_sequences);
      in_sequences += s.at("to").to_number<index_t>() - s.at("from").to_number<index_t>();
    }
    EXPECT_EQ(in_sequences, length);
    place += length;
    const std::string parts = json_line(d.at("parts"));
    EXPECT_EQ(d.at("fim").as_string() != "none", parts.find(kFimHoleToken) != std::string::npos);
    fim = fim || d.at("fim").as_string() == "spm";
  }
  EXPECT_TRUE(fim);
  const std::string text = shards_text(found);
  EXPECT_NE(text.find("sequences of 64"), std::string::npos);
  EXPECT_NE(text.find("fim psm"), std::string::npos);
  // The report holds the manifest, and nothing in it can end its script.
  const std::string report = read_file(dir_ / "out" / "report.html");
  EXPECT_NE(report.find("gopher.min_words"), std::string::npos);
  EXPECT_EQ(report.find("<fim"), std::string::npos);
}

}  // namespace
}  // namespace hadal
