#include "data/corpus/record_reader.h"

#include <gtest/gtest.h>
#include <zlib.h>
#include <zstd.h>

#include "base/file.h"
#include "base/random.h"
#include "support/temp_dir.h"

namespace hadal {
namespace {

std::string gzip(const std::string& text) {
  z_stream stream{};
  deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&stream, text.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

/// With a checksum, as zstd(1) writes it; without one, not all damage can be told from data.
std::string zstd(const std::string& text) {
  ZSTD_CCtx* context = ZSTD_createCCtx();
  ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
  std::string out(ZSTD_compressBound(text.size()), '\0');
  out.resize(ZSTD_compress2(context, out.data(), out.size(), text.data(), text.size()));
  ZSTD_freeCCtx(context);
  return out;
}

std::string lines_of(int count) {
  std::string lines;
  for (int i = 0; i < count; ++i)
    lines +=
        "{\"text\": \"line " + std::to_string(random_bits(1, Stream::kTest, static_cast<std::uint64_t>(i))) + "\"}\n";
  return lines;
}

struct Read {
  std::vector<std::string> records, problems;
  std::vector<RecordPosition> behind;
};
Read read_all(RecordReader& reader) {
  Read read;
  for (Record record; reader.next(record);) {
    (record.problem.empty() ? read.records : read.problems)
        .push_back(record.problem.empty() ? record.bytes : record.problem);
    read.behind.push_back(reader.position());
  }
  return read;
}
Read read_file_as(const TempDir& dir, const std::string& name, const std::string& bytes, RecordOptions options = {}) {
  write_file_atomically(dir / name, bytes);
  RecordReader reader(find_text_files((dir / name).string()), std::move(options));
  return read_all(reader);
}

TEST(RecordReader, CompressedFilesReadAsPlainOnes) {
  const TempDir dir;
  const std::string lines = lines_of(20000);  // several chunks
  const std::vector<std::string> wanted = read_file_as(dir, "a.jsonl", lines).records;
  ASSERT_EQ(wanted.size(), 20000U);
  const std::size_t half = lines.size() / 2;
  EXPECT_EQ(read_file_as(dir, "a.jsonl.gz", gzip(lines)).records, wanted);
  EXPECT_EQ(read_file_as(dir, "a.jsonl.zst", zstd(lines)).records, wanted);
  // Several members are one stream; zeros behind the last are padding.
  EXPECT_EQ(
      read_file_as(dir, "b.jsonl.gz", gzip(lines.substr(0, half)) + gzip(lines.substr(half)) + std::string(512, '\0'))
          .records,
      wanted);
  EXPECT_EQ(read_file_as(dir, "b.jsonl.zst", zstd(lines.substr(0, half)) + zstd(lines.substr(half))).records, wanted);
}

TEST(RecordReader, DamageGivesWhatIsBeforeItAndAProblem) {
  const TempDir dir;
  const std::string lines = lines_of(3000);
  const std::vector<std::string> all = read_file_as(dir, "a.jsonl", lines).records;
  for (const auto& [name, bytes] : {std::pair{std::string("c.jsonl.gz"), gzip(lines)}, {"c.jsonl.zst", zstd(lines)}}) {
    for (const std::size_t cut : {std::size_t{0}, std::size_t{1}, std::size_t{9}, std::size_t{40}, bytes.size() / 2,
                                  bytes.size() - 9, bytes.size() - 1}) {
      const Read read = read_file_as(dir, name, bytes.substr(0, cut));
      EXPECT_EQ(read.problems.size(), cut == 0 ? 0U : 1U) << name << " " << cut;
      ASSERT_LE(read.records.size(), all.size());
      EXPECT_TRUE(std::equal(read.records.begin(), read.records.end(), all.begin())) << name << " " << cut;
      if (cut > 0) {
        EXPECT_NE(read.problems[0].find("cut off"), std::string::npos) << read.problems[0];
      }
    }
    std::string bad = bytes;
    for (std::size_t i = bytes.size() / 3; i < bytes.size() / 3 + 50; ++i) bad[i] = static_cast<char>(bad[i] ^ 0x5A);
    const Read read = read_file_as(dir, name, bad);
    ASSERT_EQ(read.problems.size(), 1U) << name;
    EXPECT_NE(read.problems[0].find("damaged"), std::string::npos) << read.problems[0];
    EXPECT_EQ(read_file_as(dir, name, "no compressed data").problems.size(), 1U);
  }
}

TEST(RecordReader, GiganticLinesAreSkippedAndTextIsCut) {
  const TempDir dir;
  const RecordOptions options{.max_document_bytes = 1000};
  const Read lines = read_file_as(
      dir, "a.jsonl",
      "{\"text\":\"a\"}\n" + std::string(2000000, 'x') + "\n{\"text\":\"b\"}\n" + std::string(5000, 'y'), options);
  EXPECT_EQ(lines.records, (std::vector<std::string>{"{\"text\":\"a\"}", "{\"text\":\"b\"}"}));
  ASSERT_EQ(lines.problems.size(), 2U);
  EXPECT_NE(lines.problems[0].find("max_document_bytes"), std::string::npos);

  std::string text;
  for (int i = 0; i < 1000; ++i) text += "line " + std::to_string(i) + "\n";
  const Read pieces = read_file_as(dir, "a.txt", text, options);
  EXPECT_GT(pieces.records.size(), 8U);
  std::string joined;
  for (const std::string& piece : pieces.records) {
    EXPECT_LE(piece.size(), 1000U);
    EXPECT_TRUE(piece.ends_with('\n'));
    joined += piece;
  }
  EXPECT_EQ(joined, text);
  // Without line breaks: between characters.
  std::string ideographs;
  for (int i = 0; i < 2000; ++i) ideographs += "\u4E2D";
  for (const std::string& piece : read_file_as(dir, "b.txt", ideographs, options).records)
    EXPECT_EQ(piece.size() % 3, 0U);
  EXPECT_EQ(read_file_as(dir, "c.html", std::string(5000, 'x'), options).problems.size(), 1U);
}

TEST(RecordReader, GoesOnAnywhere) {
  const TempDir dir;
  write_file_atomically(dir / "a.jsonl", "{\"text\":1}\n\n{\"text\":2}\n" + std::string(300, 'z') + "\n{\"text\":3}");
  write_file_atomically(dir / "b.jsonl.gz", gzip(lines_of(500)));
  write_file_atomically(dir / "c.txt.zst", zstd("one\n--\ntwo\n--\nthree"));
  write_file_atomically(dir / "d.jsonl.gz", gzip(lines_of(500)).substr(0, 3000));
  write_file_atomically(dir / "e.html", "<p>x</p>");
  const RecordOptions options{.separator = "\n--\n", .max_document_bytes = 100};
  const auto files = find_text_files(dir.path().string());
  ASSERT_EQ(files.size(), 5U);
  RecordReader reader(files, options);
  std::vector<Record> all;
  std::vector<RecordPosition> behind;
  for (Record record; reader.next(record);) {
    all.push_back(record);
    behind.push_back(reader.position());
  }
  ASSERT_GT(all.size(), 500U);
  for (std::size_t i = 0; i < all.size(); i += i % 100 == 3 ? 97 : 1) {
    RecordReader again(files, options);
    again.seek(behind[i]);
    Record record;
    for (std::size_t j = i + 1; j < std::min(all.size(), i + 4); ++j) {
      ASSERT_TRUE(again.next(record)) << i;
      EXPECT_EQ(record.bytes, all[j].bytes) << i;
      EXPECT_EQ(record.file, all[j].file) << i;
      EXPECT_EQ(record.number, all[j].number) << i;
      EXPECT_EQ(record.problem, all[j].problem) << i;
    }
  }
}

TEST(RecordText, SaysWhatIsWrong) {
  EXPECT_EQ(record_text("{\"t\": \"x\\u0000y\"}", TextFormat::kJsonl, "t", "f").value(), std::string("x\0y", 3));
  EXPECT_EQ(record_text("\xEF\xBB\xBFx", TextFormat::kText, "", "f").value(), "x");
  for (const char* bad : {"", "{", "[1]", "{\"t\": 1}", "{\"t\": \"\xFF\"}", "null"})
    EXPECT_NE(record_text(bad, TextFormat::kJsonl, "t", "here").message().find("here"), std::string::npos) << bad;
}

}  // namespace
}  // namespace hadal
