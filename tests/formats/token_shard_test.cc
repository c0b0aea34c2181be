#include "formats/token_shard.h"

#include <gtest/gtest.h>

#include <cstring>
#include <fstream>

#include "base/error.h"
#include "base/file.h"
#include "base/random.h"
#include "support/temp_dir.h"

namespace hadal {
namespace {

std::vector<std::vector<int>> random_documents(int count, int vocab_size) {
  std::vector<std::vector<int>> documents;
  for (int d = 0; d < count; ++d) {
    documents.emplace_back();
    const std::uint64_t length = random_below(1, Stream::kTest, static_cast<std::uint64_t>(d), 40);
    for (std::uint64_t i = 0; i < length; ++i)
      documents.back().push_back(static_cast<int>(
          random_below(static_cast<std::uint64_t>(d) + 2, Stream::kTest, i, static_cast<std::uint64_t>(vocab_size))));
  }
  return documents;
}

/// Without syncing to disk: these tests write many files.
void write_plain(const std::filesystem::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

TEST(TokenShard, WhatIsWrittenReadsBack) {
  const TempDir dir;
  for (const int vocab_size : {1, 300, 65536, 65537, 129280}) {
    const auto documents = random_documents(50, vocab_size);
    write_token_shard(dir / "s", vocab_size, documents);
    const TokenShard shard(dir / "s");
    ASSERT_EQ(shard.num_documents(), 50);
    EXPECT_EQ(shard.vocab_size(), vocab_size);
    index_t total = 0;
    for (index_t d = 0; d < 50; ++d) {
      const std::vector<int>& wanted = documents[static_cast<std::size_t>(d)];
      ASSERT_EQ(shard.document_length(d), static_cast<index_t>(wanted.size()));
      std::vector<int> read(wanted.size());
      shard.read(d, 0, read);
      EXPECT_EQ(read, wanted);
      for (std::size_t i = 0; i < wanted.size(); ++i) EXPECT_EQ(shard.token(d, static_cast<index_t>(i)), wanted[i]);
      total += static_cast<index_t>(wanted.size());
    }
    EXPECT_EQ(shard.num_tokens(), total);
    // Small ids take half the room.
    const auto size = static_cast<index_t>(std::filesystem::file_size(dir / "s"));
    EXPECT_EQ(size, 48 + 8 * 51 + total * (vocab_size <= 65536 ? 2 : 4));
  }
}

TEST(TokenShard, RefusesWhatIsNotThere) {
  const TempDir dir;
  EXPECT_NE(error_of([&] { write_token_shard(dir / "s", 10, std::vector<std::vector<int>>{{10}}); }).find("10"),
            std::string::npos);
  EXPECT_FALSE(std::filesystem::exists(dir / "s"));
  write_token_shard(dir / "s", 10, std::vector<std::vector<int>>{{1, 2, 3}});
  const TokenShard shard(dir / "s");
  std::vector<int> two(2);
  EXPECT_THROW(shard.read(0, 2, two), Error);
  EXPECT_THROW(shard.read(0, -1, two), Error);
  EXPECT_THROW(shard.read(1, 0, two), Error);
  EXPECT_THROW(static_cast<void>(shard.document_length(-1)), Error);
}

TEST(TokenShard, EveryDamagedByteAndEveryCutIsNoticed) {
  const TempDir dir;
  write_token_shard(dir / "s", 1000, random_documents(6, 1000));
  const std::string good = read_file(dir / "s");
  for (std::size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 0x41);
    write_plain(dir / "bad", bad);
    // The vocabulary's size is not under the checksum: a larger one is harmless, a smaller one is caught when ids are
    // read.
    if (i >= 16 && i < 24) continue;
    EXPECT_THROW(TokenShard(dir / "bad"), Error) << "byte " << i;
  }
  for (std::size_t n = 0; n < good.size(); n += 3) {
    write_plain(dir / "bad", good.substr(0, n));
    EXPECT_THROW(TokenShard(dir / "bad"), Error) << n << " bytes";
    EXPECT_THROW(TokenShard(dir / "bad", /*verify=*/false), Error) << n << " bytes";
  }
  write_plain(dir / "bad", good + "x");
  EXPECT_THROW(TokenShard(dir / "bad", /*verify=*/false), Error);
}

TEST(TokenShard, HostileCountsAllocateNothing) {
  const TempDir dir;
  write_token_shard(dir / "s", 1000, random_documents(6, 1000));
  const std::string good = read_file(dir / "s");
  for (const std::size_t field : {24U, 32U})  // documents, tokens
    for (const std::uint64_t value :
         {~std::uint64_t{0}, std::uint64_t{1} << 63, std::uint64_t{1} << 61, std::uint64_t{1} << 40}) {
      std::string bad = good;
      std::memcpy(bad.data() + field, &value, 8);
      write_plain(dir / "bad", bad);
      EXPECT_THROW(TokenShard(dir / "bad", /*verify=*/false), Error) << field << " = " << value;
    }
  std::string small_vocabulary = good;
  const std::uint64_t one = 1;
  std::memcpy(small_vocabulary.data() + 16, &one, 8);
  write_plain(dir / "bad", small_vocabulary);
  const TokenShard shard(dir / "bad");
  std::vector<int> ids(static_cast<std::size_t>(shard.document_length(0)));
  ASSERT_FALSE(ids.empty());
  EXPECT_THROW(shard.read(0, 0, ids), Error);
}

}  // namespace
}  // namespace hadal
