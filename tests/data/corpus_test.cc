#include <gtest/gtest.h>

#include "base/file.h"
#include "data/corpus/html_text.h"
#include "data/corpus/prepare.h"
#include "data/corpus/text_reader.h"
#include "support/temp_dir.h"

namespace hadal {
namespace {

std::vector<std::string> documents_of(const std::string& input, const TextReadOptions& options = {},
                                      TextReadCounts* counts = nullptr) {
  TextReadCounts own;
  std::vector<std::string> documents;
  read_documents(input, options, counts == nullptr ? own : *counts,
                 [&](std::string&& text) { documents.push_back(std::move(text)); });
  return documents;
}

TEST(HtmlText, KeepsWhatPeopleRead) {
  EXPECT_EQ(
      html_to_text(
          "<!DOCTYPE html><html><head><title>T</title><script>if (a < b) { x(\"</p>\"); }</script></head><body>"
          "<header><p>Site</p></header><nav>a<nav>b</nav>c</nav>"
          "<h1>Head <b>line</b></h1><p class=\"a>b\">One &amp; two&nbsp;&lt;3&gt; &#x4E2D;&#20013; &unknown; a&b</p>\n"
          "<p>  spread \n over   lines<br>next</p><!-- <p>no</p> --><h2>Sub</h2>"
          "<pre>  keep\n    this</pre><ul><li>x</li><li>y</li></ul><footer>end</footer></body></html>"),
      "Head line\nOne & two <3> \u4E2D\u4E2D &unknown; a&b\nspread over lines\nnext\n\nSub\n  keep\n    this\nx\ny\n");
}

TEST(HtmlText, NeverFails) {
  for (const char* html : {"", "<", "<>", "</", "<p", "<p a='", "<!--", "<script>", "<script></scrip", "<nav>x",
                           "</nav>x", "&#xFFFFFFFFF;", "&#0;", "a < b", "<?x", "\xFF<\xFE>"})
    EXPECT_NO_THROW(html_to_text(html)) << html;
  EXPECT_EQ(html_to_text("a < b"), "a < b\n");
  EXPECT_EQ(html_to_text("&#xD800;"), "\uFFFD\n");
}

TEST(RepeatedLines, GoWhenManyPagesHaveThem) {
  RepeatedLines lines;
  for (int page = 0; page < 100; ++page)
    lines.add("Menu\nPage " + std::to_string(page) + (page < 25 ? "\nRare\n" : "\n"));
  EXPECT_EQ(lines.remove_from("Menu\nPage 7\nRare\n"), "Page 7\nRare\n");
  EXPECT_EQ(lines.remove_from("Page 1\n\nMenu\n"), "Page 1\n");
  EXPECT_EQ(lines.remove_from("Menu\n"), "");
  RepeatedLines few;
  for (int page = 0; page < 5; ++page) few.add("Menu\n");
  EXPECT_EQ(few.remove_from("Menu\n"), "Menu\n");
}

TEST(TextReader, FormatsFoldersAndOrder) {
  const TempDir dir;
  std::filesystem::create_directories(dir / "b" / ".git");
  write_file_atomically(dir / "b" / "two.txt", "\xEF\xBB\xBFtwo");
  write_file_atomically(dir / "b" / ".git" / "x.txt", "hidden");
  write_file_atomically(dir / "a.jsonl", "{\"text\": \"one\"}\r\n\n{\"text\": 5}\nnot json\n{\"text\": \"1 \\u4e2d\"}");
  write_file_atomically(dir / "c.html", "<p>three</p>");
  write_file_atomically(dir / "d.bin", "no");
  write_file_atomically(dir / "e.txt", " \n ");
  TextReadCounts counts;
  EXPECT_EQ(documents_of(dir.path(), {}, &counts), (std::vector<std::string>{"one", "1 \u4E2D", "two", "three\n"}));
  EXPECT_EQ(counts.files, 4);
  EXPECT_EQ(counts.documents, 4);
  EXPECT_EQ(counts.bad_documents, 2);
  EXPECT_NE(counts.first_bad.find("a.jsonl:3"), std::string::npos) << counts.first_bad;
  EXPECT_EQ(documents_of((dir / "d.bin").string()), std::vector<std::string>{"no"});
}

TEST(TextReader, SeparatorAndField) {
  const TempDir dir;
  write_file_atomically(dir / "t.txt", "a\n---\nb\n---\n\n---\nc");
  EXPECT_EQ(documents_of((dir / "t.txt").string(), {.separator = "\n---\n"}),
            (std::vector<std::string>{"a", "b", "c"}));
  write_file_atomically(dir / "t.jsonl", "{\"content\": \"x\"}\n");
  EXPECT_EQ(documents_of((dir / "t.jsonl").string(), {.text_field = "content"}), std::vector<std::string>{"x"});
  EXPECT_NE(error_of([&] { documents_of((dir / "t.jsonl").string()); }).find("text"), std::string::npos);
  EXPECT_NE(error_of([&] { documents_of((dir / "none").string()); }).find("no such"), std::string::npos);
}

class PrepareCorpus : public testing::Test {
 protected:
  void SetUp() override {
    std::string lines;
    for (int i = 0; i < 60; ++i)
      lines += "{\"text\": \"Document " + std::to_string(i % 50) + " says hello to the world, 中文。\\n\"}\n";
    write_file_atomically(dir_ / "in.jsonl", lines);
    options_.inputs = {(dir_ / "in.jsonl").string()};
    options_.train.vocab_size = 320;
    options_.train.num_reserved = 5;
  }
  TempDir dir_;
  CorpusOptions options_;
  ThreadPool pool_{2};
};

TEST_F(PrepareCorpus, TokensAreTheTextWithoutDuplicates) {
  const PreparedCorpus corpus = prepare_corpus(pool_, options_, dir_ / "out");
  EXPECT_EQ(corpus.shard.num_documents(), 50);
  EXPECT_EQ(corpus.manifest.at("duplicates").as_int64(), 10);
  EXPECT_EQ(corpus.tokenizer.vocab_size(), 320);
  std::vector<int> ids(static_cast<std::size_t>(corpus.shard.document_length(7)));
  corpus.shard.read(7, 0, ids);
  EXPECT_EQ(corpus.tokenizer.decode(ids), "Document 7 says hello to the world, 中文。\n");
  for (const char* file :
       {"tokens.shard", "manifest.json", "tokenizer/tokenizer.json", "tokenizer/tokenizer_config.json"})
    EXPECT_TRUE(std::filesystem::exists(dir_ / "out" / file)) << file;
}

TEST_F(PrepareCorpus, IsReusedExactlyWhenNothingChanged) {
  const PreparedCorpus first = prepare_corpus(pool_, options_, dir_ / "out");
  EXPECT_FALSE(first.reused);
  const PreparedCorpus again = prepare_corpus(pool_, options_, dir_ / "out");
  EXPECT_TRUE(again.reused);
  EXPECT_EQ(again.manifest, first.manifest);
  // The same bytes elsewhere are the same corpus.
  std::filesystem::rename(dir_ / "in.jsonl", dir_ / "moved.jsonl");
  options_.inputs = {(dir_ / "moved.jsonl").string()};
  EXPECT_TRUE(prepare_corpus(pool_, options_, dir_ / "out").reused);
  write_file_atomically(dir_ / "moved.jsonl", read_file(dir_ / "moved.jsonl") + "{\"text\": \"more\"}\n");
  const PreparedCorpus more = prepare_corpus(pool_, options_, dir_ / "out");
  EXPECT_FALSE(more.reused);
  EXPECT_EQ(more.shard.num_documents(), 51);
  options_.train.vocab_size = 330;
  EXPECT_FALSE(prepare_corpus(pool_, options_, dir_ / "out").reused);
}

TEST_F(PrepareCorpus, DamageIsMadeGood) {
  const std::uint64_t checksum = prepare_corpus(pool_, options_, dir_ / "out").shard.checksum();
  std::string bytes = read_file(dir_ / "out" / "tokens.shard");
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  write_file_atomically(dir_ / "out" / "tokens.shard", bytes);
  const PreparedCorpus again = prepare_corpus(pool_, options_, dir_ / "out");
  EXPECT_FALSE(again.reused);
  EXPECT_EQ(again.shard.checksum(), checksum);
}

TEST_F(PrepareCorpus, ThreadsChangeNothingAndAGivenTokenizerIsUsed) {
  const PreparedCorpus two = prepare_corpus(pool_, options_, dir_ / "two");
  ThreadPool one_thread(1);
  const PreparedCorpus one = prepare_corpus(one_thread, options_, dir_ / "one");
  EXPECT_EQ(one.shard.checksum(), two.shard.checksum());
  EXPECT_EQ(read_file(dir_ / "one" / "tokenizer" / "tokenizer.json"),
            read_file(dir_ / "two" / "tokenizer" / "tokenizer.json"));
  options_.tokenizer = (dir_ / "one" / "tokenizer").string();
  options_.train.vocab_size = 5000;  // of no effect
  const PreparedCorpus given = prepare_corpus(pool_, options_, dir_ / "given");
  EXPECT_EQ(given.shard.checksum(), one.shard.checksum());
  EXPECT_EQ(given.tokenizer.vocab_size(), 320);
}

TEST_F(PrepareCorpus, SaysWhatIsMissing) {
  options_.inputs.clear();
  EXPECT_NE(error_of([&] { prepare_corpus(pool_, options_, dir_ / "out"); }).find("inputs"), std::string::npos);
}

}  // namespace
}  // namespace hadal
