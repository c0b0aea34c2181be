// Packing, shards, batches, and the whole way.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <numeric>

#include "base/file.h"
#include "base/random.h"
#include "data/sft/pack.h"
#include "data/sft/prepare.h"
#include "data/sft/sft_loader.h"
#include "support/temp_dir.h"
#include "support/tiny_tokenizer.h"

namespace hadal {
namespace {

std::vector<std::int64_t> random_lengths(std::uint64_t seed, std::size_t n, std::int64_t capacity) {
  std::vector<std::int64_t> lengths;
  for (std::size_t i = 0; i < n; ++i)
    lengths.push_back(
        1 + static_cast<std::int64_t>(random_below(seed, Stream::kTest, i, static_cast<std::uint64_t>(capacity))));
  return lengths;
}

TEST(SftPack, NeverLosesOrRepeatsASample) {
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    const auto capacity = static_cast<std::int64_t>(1 + random_below(seed, Stream::kTest, 1'000'000, 500));
    const auto n = static_cast<std::size_t>(random_below(seed, Stream::kTest, 1'000'001, 400));
    const std::vector<std::int64_t> lengths = random_lengths(seed, n, capacity);
    std::vector<std::uint32_t> order(n);
    std::iota(order.begin(), order.end(), 0U);
    const Packing packing = pack_best_fit(lengths, order, capacity, static_cast<int>(1 + seed % 7));
    std::vector<int> seen(n, 0);
    for (const auto& sequence : packing) {
      EXPECT_FALSE(sequence.empty());
      std::int64_t total = 0;
      for (const std::uint32_t sample : sequence) {
        ++seen[sample];
        total += lengths[sample];
      }
      EXPECT_LE(total, capacity);
    }
    EXPECT_EQ(std::count(seen.begin(), seen.end(), 1), static_cast<std::ptrdiff_t>(n));
    EXPECT_EQ(packing, pack_best_fit(lengths, order, capacity, static_cast<int>(1 + seed % 7)));
  }
}

TEST(SftPack, FillsSequencesWell) {
  const std::vector<std::int64_t> lengths = random_lengths(7, 5000, 1000);
  std::vector<std::uint32_t> order(lengths.size());
  std::iota(order.begin(), order.end(), 0U);
  const auto sequences = static_cast<double>(pack_best_fit(lengths, order, 2000).size());
  const auto total = static_cast<double>(std::accumulate(lengths.begin(), lengths.end(), std::int64_t{0}));
  EXPECT_LT(sequences * 2000, 1.03 * total);
  EXPECT_THROW(pack_best_fit(lengths, order, 10), Error);
}

struct Samples {
  std::vector<std::vector<int>> ids;
  std::vector<std::vector<char>> trained;
  std::vector<SftShardSample> views() const {
    std::vector<SftShardSample> result;
    for (std::size_t i = 0; i < ids.size(); ++i) result.push_back({ids[i], trained[i], static_cast<index_t>(i)});
    return result;
  }
};

Samples some_samples(int vocab_size) {
  Samples s;
  for (std::uint64_t i = 0; i < 23; ++i) {
    s.ids.emplace_back();
    s.trained.emplace_back();
    for (std::uint64_t t = 0; t < 1 + random_below(3, Stream::kTest, i, 9); ++t) {
      s.ids.back().push_back(
          static_cast<int>(random_below(4, Stream::kTest, 100 * i + t, static_cast<std::uint64_t>(vocab_size))));
      s.trained.back().push_back(static_cast<char>(random_below(5, Stream::kTest, 100 * i + t, 2)));
    }
  }
  return s;
}

Packing packing_of(const Samples& s, std::int64_t capacity) {
  std::vector<std::int64_t> lengths;
  std::vector<std::uint32_t> order;
  for (const auto& ids : s.ids) {
    order.push_back(static_cast<std::uint32_t>(lengths.size()));
    lengths.push_back(static_cast<std::int64_t>(ids.size()));
  }
  return pack_best_fit(lengths, order, capacity);
}

TEST(SftShard, ReadsWhatWasWritten) {
  for (const int vocab_size : {300, 100'000}) {
    const TempDir dir;
    const Samples s = some_samples(vocab_size);
    write_sft_shard(dir / "s", vocab_size, 16, s.views(), packing_of(s, 16));
    const SftShard shard(dir / "s");
    EXPECT_EQ(shard.num_samples(), 23);
    EXPECT_EQ(shard.capacity(), 16);
    for (index_t i = 0; i < shard.num_samples(); ++i) {
      std::vector<int> ids;
      std::vector<char> trained;
      shard.read(i, ids, trained);
      const auto source = static_cast<std::size_t>(shard.source(i));
      EXPECT_EQ(ids, s.ids[source]);
      EXPECT_EQ(trained, s.trained[source]);
    }
  }
}

/// Without the sync of write_file_atomically(), which would be most of the time of a test with hundreds of files.
void write_quickly(const std::filesystem::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

TEST(SftShard, RefusesWhatIsDamaged) {
  const TempDir dir;
  const Samples s = some_samples(300);
  write_sft_shard(dir / "s", 300, 16, s.views(), packing_of(s, 16));
  const std::string good = read_file(dir / "s");
  for (std::size_t size = 0; size < good.size(); size += 13) {
    write_quickly(dir / "cut", good.substr(0, size));
    EXPECT_THROW(SftShard(dir / "cut"), Error) << size;
  }
  for (std::size_t at = 0; at < good.size(); at += at < 64 ? 1 : 7) {
    if (at >= 16 && at < 32) continue;  // capacity and vocabulary may grow without anything else being wrong
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 0x40);
    write_quickly(dir / "bad", bad);
    EXPECT_THROW(SftShard(dir / "bad"), Error) << at;
  }
  EXPECT_THROW(write_sft_shard(dir / "x", 2, 16, s.views(), packing_of(s, 16)), Error);
  EXPECT_THROW(write_sft_shard(dir / "x", 300, 4, s.views(), packing_of(s, 16)), Error);
  EXPECT_THROW(write_sft_shard(dir / "x", 300, 16, s.views(), Packing{{0}}), Error);
}

TEST(SftLoader, EverySampleOnceAnEpochAndIsolated) {
  const TempDir dir;
  const Samples s = some_samples(300);
  write_sft_shard(dir / "s", 300, 16, s.views(), packing_of(s, 16));
  const SftShard shard(dir / "s");
  const SftLoader loader(shard, 11, 299);
  const index_t n = loader.sequences_per_epoch();
  std::map<std::pair<std::vector<int>, std::vector<int>>, int> want, got;  // ids and targets
  for (std::size_t i = 0; i < s.ids.size(); ++i) {
    std::vector<int> targets;
    for (std::size_t t = 0; t < s.ids[i].size(); ++t)
      targets.push_back(t + 1 < s.ids[i].size() && s.trained[i][t + 1] ? s.ids[i][t + 1] : -1);
    ++want[{s.ids[i], targets}];
  }
  for (std::int64_t epoch = 0; epoch < 2; ++epoch) {
    got.clear();
    const Batch batch = loader.batch(epoch * n, n);
    ASSERT_EQ(batch.ids.size(), static_cast<std::size_t>(16 * n));
    ASSERT_EQ(batch.targets.size(), batch.ids.size());
    ASSERT_EQ(batch.positions.size(), batch.ids.size());
    EXPECT_EQ(batch.sequence_begins.size(), static_cast<std::size_t>(n) + 1);
    for (const index_t begin : batch.sequence_begins)
      EXPECT_TRUE(std::binary_search(batch.segment_begins.begin(), batch.segment_begins.end(), begin));
    for (std::size_t g = 0; g + 1 < batch.segment_begins.size(); ++g) {
      const auto begin = batch.ids.begin() + batch.segment_begins[g],
                 end = batch.ids.begin() + batch.segment_begins[g + 1];
      const std::vector<int> ids(begin, end);
      const std::vector<int> targets(batch.targets.begin() + batch.segment_begins[g],
                                     batch.targets.begin() + batch.segment_begins[g + 1]);
      for (std::size_t t = 0; t < ids.size(); ++t)
        EXPECT_EQ(batch.positions[static_cast<std::size_t>(batch.segment_begins[g]) + t], static_cast<int>(t));
      if (want.contains({ids, targets})) {
        ++got[{ids, targets}];
      } else {  // padding
        EXPECT_TRUE(std::all_of(ids.begin(), ids.end(), [](int id) { return id == 299; }));
        EXPECT_TRUE(std::all_of(targets.begin(), targets.end(), [](int t) { return t == -1; }));
      }
    }
    EXPECT_EQ(got, want) << epoch;
  }
  EXPECT_NE(loader.batch(0, n).ids, loader.batch(n, n).ids);
  // A function of the place: batches of one sequence are those of a batch of many.
  const Batch two = loader.batch(3, 2), second = loader.batch(4, 1);
  EXPECT_TRUE(std::equal(second.ids.begin(), second.ids.end(), two.ids.begin() + 16));
  EXPECT_TRUE(std::equal(second.targets.begin(), second.targets.end(), two.targets.begin() + 16));
}

std::string many_chats(int count) {
  std::string text;
  for (int i = 0; i < count; ++i)
    text += json_line(JsonObject{
                {"messages", JsonArray{JsonObject{{"role", "user"}, {"content", str_cat("question ", i)}},
                                       JsonObject{{"role", "assistant"},
                                                  {"content", std::string(static_cast<std::size_t>(i % 40), 'x')}}}}}) +
            "\n";
  return text + "{\"messages\": 1}\nnot json\n";
}

TEST(SftPrepare, TheWholeWayDoesNotDependOnThreads) {
  const TempDir dir;
  write_tokenizer_files(dir / "tokenizer", tiny_tokenizer().files());
  write_file_atomically(dir / "chats.jsonl", many_chats(3000));
  SftDataOptions o{.input = {(dir / "chats.jsonl").string()}, .tokenizer = (dir / "tokenizer").string(), .seq_len = 64};
  std::string first;
  for (const int threads : {1, 2, 3}) {
    ThreadPool pool(threads);
    o.out = (dir / str_cat("out", threads)).string();
    const JsonObject manifest = prepare_sft_data(pool, o);
    const std::string bytes = read_file(dir / str_cat("out", threads) / "sft.shard");
    if (first.empty()) first = bytes;
    EXPECT_TRUE(bytes == first) << threads << " threads";
    const JsonObject& counts = manifest.at("counts").get_object();
    EXPECT_EQ(counts.at("records"), 3002);
    EXPECT_EQ(counts.at("bad"), 2);
    EXPECT_EQ(counts.at("samples"), 3000);
    EXPECT_EQ(counts.at("turns_without_end"), 0);
    EXPECT_EQ(counts.at("borders_differ"), 0);
    EXPECT_LT(counts.at("padding_share").get_double(), 0.25);
    EXPECT_EQ(manifest.at("problems").get_array().size(), 2U);
  }
  const SftShard shard(dir / "out1" / "sft.shard");
  std::vector<int> sources;
  for (index_t i = 0; i < shard.num_samples(); ++i) sources.push_back(static_cast<int>(shard.source(i)));
  EXPECT_FALSE(std::is_sorted(sources.begin(), sources.end()));
  std::sort(sources.begin(), sources.end());
  for (int i = 0; i < 3000; ++i) ASSERT_EQ(sources[static_cast<std::size_t>(i)], i);
}

TEST(SftPrepare, LongOnesAreDroppedOrCut) {
  const TempDir dir;
  write_tokenizer_files(dir / "tokenizer", tiny_tokenizer().files());
  write_file_atomically(dir / "chats.jsonl", many_chats(40));
  ThreadPool pool(1);
  SftDataOptions o{.input = {(dir / "chats.jsonl").string()},
                   .tokenizer = (dir / "tokenizer").string(),
                   .out = (dir / "out").string(),
                   .seq_len = 32,
                   .pack = false};
  const JsonObject dropped = prepare_sft_data(pool, o).at("counts").get_object();
  EXPECT_GT(dropped.at("too_long").get_int64(), 0);
  EXPECT_EQ(dropped.at("samples").to_number<int>() + dropped.at("too_long").to_number<int>(), 40);
  o.too_long = "cut";
  const JsonObject cut = prepare_sft_data(pool, o).at("counts").get_object();
  EXPECT_EQ(cut.at("samples"), 40);
  EXPECT_EQ(cut.at("cut"), dropped.at("too_long"));
  EXPECT_EQ(cut.at("sequences"), 40);
  o.seq_len = 8;  // nothing that is trained is left
  EXPECT_THROW(prepare_sft_data(pool, o), Error);
}

}  // namespace
}  // namespace hadal
