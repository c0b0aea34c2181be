#pragma once
// Records out of files, one after the other, with bounded memory: lines of JSON, HTML pages, plain text.
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "data/corpus/byte_source.h"

namespace hadal {

enum class TextFormat : std::uint8_t { kText, kJsonl, kHtml };

/// A file of a corpus.
struct TextFile {
  std::filesystem::path path;
  TextFormat format = TextFormat::kText;
};

/// The files that an input names. A file counts by its extension (.jsonl and .ndjson; .html, .htm, .xhtml; any other is
/// plain text), before a .gz or .zst. Of a folder all files with these extensions or .txt, .text, .md are taken, those
/// of its folders too, in the order of their paths; hidden ones are not. Throws Error when an input is missing or a
/// folder has no such file.
std::vector<TextFile> find_text_files(const std::string& input);

struct RecordOptions {
  std::string separator;  // between the documents of a plain-text file; empty: one document per file
  std::int64_t max_document_bytes = std::int64_t{1} << 30;
};

/// What could become a document, not yet decoded.
struct Record {
  std::string bytes;
  int file = 0;             // of those that the reader got
  std::int64_t number = 0;  // line of a JSONL file, else document of the file; from 1
  std::string problem;      // why there is no document here; bytes are empty then
};

/// Where the next record begins.
struct RecordPosition {
  std::int64_t file = 0, offset = 0, number = 0;  // offset in decompressed bytes; number of records before
};

/// Reads records of some files in order.
///
/// Lines of JSON that are longer than max_document_bytes are skipped with a problem; so are longer pages. Longer plain
/// text is cut behind the last line break that fits (behind the last whole character when there is none), so nothing of
/// it is lost. A damaged or unreadable file gives what stands before the damage and then a problem.
class RecordReader {
 public:
  RecordReader(std::vector<TextFile> files, RecordOptions options);
  ~RecordReader();

  /// False at the end. Blank lines and empty files give no record.
  bool next(Record& record);
  RecordPosition position() const { return at_; }
  /// Goes on at a place that position() gave. Compressed files are read up to there again.
  void seek(const RecordPosition& position);
  const std::vector<TextFile>& files() const { return files_; }

 private:
  bool open_file();
  void fill(std::size_t wanted);
  void consume(std::size_t bytes);
  void close_file();
  bool read_line(Record& record);
  bool read_text(Record& record);
  std::size_t find(std::string_view what, std::size_t limit);

  std::vector<TextFile> files_;
  RecordOptions options_;
  RecordPosition at_;
  std::unique_ptr<ByteSource> source_;
  std::string buffer_;     // decompressed, from at_.offset on, less the `begin_` bytes that are used
  std::size_t begin_ = 0;  // first unused byte of the buffer
  bool ended_ = false;     // the source has no more
  std::string damage_;     // why it ended early
};

/// The text of a record: the field of a line of JSON, the readable part of a page, plain text without its byte order
/// mark. `where` opens the message of a Failure.
Result<std::string> record_text(std::string_view bytes, TextFormat format, const std::string& text_field,
                                std::string_view where);

/// Nothing but white space.
bool is_blank(std::string_view text);

}  // namespace hadal
