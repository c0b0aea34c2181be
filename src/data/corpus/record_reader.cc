#include "data/corpus/record_reader.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/json.h"
#include "data/corpus/html_text.h"

namespace hadal {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kChunk = std::size_t{1} << 18;

/// The format that an extension stands for; nothing for one that is not known.
std::optional<TextFormat> format_of(const fs::path& path) {
  const fs::path plain = compression_of(path) == Compression::kNone ? path : path.stem();
  const std::string extension = plain.extension().string();
  if (extension == ".jsonl" || extension == ".ndjson") return TextFormat::kJsonl;
  if (extension == ".html" || extension == ".htm" || extension == ".xhtml") return TextFormat::kHtml;
  if (extension == ".txt" || extension == ".text" || extension == ".md") return TextFormat::kText;
  return std::nullopt;
}

/// At most `limit` bytes of text, ending behind a line break where there is one, else behind a whole character.
std::size_t cut_length(std::string_view text, std::size_t limit) {
  if (text.size() <= limit) return text.size();
  const std::size_t line_break = text.rfind('\n', limit - 1);
  if (line_break != std::string_view::npos) return line_break + 1;
  std::size_t end = limit;
  // A character has at most three bytes behind its first.
  for (int back = 0; back < 3 && end > 1 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80; ++back) --end;
  return end;
}

}  // namespace

bool is_blank(std::string_view text) {
  return text.find_first_not_of(" \t\r\n\f\v") == std::string_view::npos;
}

std::vector<TextFile> find_text_files(const std::string& input) {
  const fs::path root = input;
  if (fs::is_regular_file(root)) return {{root, format_of(root).value_or(TextFormat::kText)}};
  HADAL_CHECK(fs::is_directory(root), input, ": no such file or folder");
  std::vector<TextFile> files;
  for (auto entry = fs::recursive_directory_iterator(root); entry != fs::recursive_directory_iterator(); ++entry) {
    if (entry->path().filename().string().starts_with(".")) {
      if (entry->is_directory()) entry.disable_recursion_pending();
      continue;
    }
    if (!entry->is_regular_file()) continue;
    if (const auto format = format_of(entry->path())) files.push_back({entry->path(), *format});
  }
  HADAL_CHECK(!files.empty(), input, ": no .txt, .md, .jsonl or .html file (perhaps .gz or .zst) in this folder");
  std::sort(files.begin(), files.end(), [](const TextFile& a, const TextFile& b) { return a.path < b.path; });
  return files;
}

RecordReader::RecordReader(std::vector<TextFile> files, RecordOptions options)
    : files_(std::move(files)), options_(std::move(options)) {
  HADAL_CHECK(options_.max_document_bytes >= 4, "max_document_bytes is ", options_.max_document_bytes,
              ", want at least 4");
}
RecordReader::~RecordReader() = default;

/// False when there is no file left. An unreadable file is open with nothing in it but its damage.
bool RecordReader::open_file() {
  if (at_.file >= static_cast<std::int64_t>(files_.size())) return false;
  try {
    source_ = open_byte_source(files_[static_cast<std::size_t>(at_.file)].path);
    ended_ = false;
  } catch (const Error& e) {
    damage_ = e.what();
    ended_ = true;
    source_ = make_byte_source({}, Compression::kNone, "");
  }
  return true;
}

void RecordReader::close_file() {
  source_.reset();
  buffer_.clear();
  begin_ = 0;
  ended_ = false;
  damage_.clear();
  at_ = {at_.file + 1, 0, 0};
}

/// Reads until the buffer holds `wanted` unused bytes or the source has no more.
void RecordReader::fill(std::size_t wanted) {
  if (ended_ || buffer_.size() - begin_ >= wanted) return;
  buffer_.erase(0, begin_);
  begin_ = 0;
  while (!ended_ && buffer_.size() < wanted) {
    const std::size_t used = buffer_.size();
    buffer_.resize(used + kChunk);
    std::size_t good = 0;
    const Result<std::size_t> got = source_->read({buffer_.data() + used, kChunk}, &good);
    buffer_.resize(used + good);
    if (!got.ok()) damage_ = got.message();
    ended_ = !got.ok() || good < kChunk;
  }
}

void RecordReader::consume(std::size_t bytes) {
  begin_ += bytes;
  at_.offset += static_cast<std::int64_t>(bytes);
}

/// Place of `what` among the unused bytes, at most `limit` of them; npos when it is not there.
std::size_t RecordReader::find(std::string_view what, std::size_t limit) {
  for (std::size_t from = 0;;) {
    const std::string_view unused = std::string_view(buffer_).substr(begin_);
    const std::size_t found = unused.find(what, from);
    if (found != std::string_view::npos) return found <= limit ? found : std::string_view::npos;
    if (ended_ || unused.size() > limit + what.size()) return std::string_view::npos;
    from = unused.size() >= what.size() ? unused.size() - what.size() + 1 : 0;
    fill(unused.size() + kChunk);
  }
}

bool RecordReader::next(Record& record) {
  for (;;) {
    if (source_ == nullptr && !open_file()) return false;
    fill(1);
    record = {.file = static_cast<int>(at_.file), .number = at_.number + 1};
    if (buffer_.size() == begin_) {  // the end of this file
      std::string damage = std::move(damage_);
      close_file();
      if (damage.empty()) continue;
      record.problem = std::move(damage);
      return true;
    }
    const bool is_jsonl = files_[static_cast<std::size_t>(at_.file)].format == TextFormat::kJsonl;
    if (is_jsonl ? read_line(record) : read_text(record)) return true;
  }
}

/// One line; false for a blank one, and for the rest of a file that is cut off in the middle of a line.
bool RecordReader::read_line(Record& record) {
  const auto limit = static_cast<std::size_t>(options_.max_document_bytes);
  ++at_.number;
  const std::size_t end = find("\n", limit);
  if (end != std::string_view::npos) {
    record.bytes.assign(buffer_, begin_, end);
    consume(end + 1);
    return !is_blank(record.bytes);
  }
  if (buffer_.size() - begin_ <= limit) {  // the last line has no line break
    record.bytes.assign(buffer_, begin_);
    consume(record.bytes.size());
    return damage_.empty() && !is_blank(record.bytes);
  }
  record.problem = str_cat("the line is longer than max_document_bytes, ", limit);
  for (;;) {  // skip it
    const std::string_view unused = std::string_view(buffer_).substr(begin_);
    const std::size_t line_break = unused.find('\n');
    consume(line_break == std::string_view::npos ? unused.size() : line_break + 1);
    if (line_break != std::string_view::npos) break;
    fill(1);
    if (buffer_.size() == begin_) break;
  }
  return true;
}

bool RecordReader::read_text(Record& record) {
  const auto limit = static_cast<std::size_t>(options_.max_document_bytes);
  const bool is_html = files_[static_cast<std::size_t>(at_.file)].format == TextFormat::kHtml;
  ++at_.number;
  if (!options_.separator.empty() && !is_html) {
    if (const std::size_t end = find(options_.separator, limit); end != std::string_view::npos) {
      record.bytes.assign(buffer_, begin_, end);
      consume(end + options_.separator.size());
      return !is_blank(record.bytes);
    }
  }
  fill(limit + 1);
  const std::string_view unused = std::string_view(buffer_).substr(begin_);
  if (is_html && unused.size() > limit) {
    record.problem = str_cat("the page is longer than max_document_bytes, ", limit);
    close_file();
    return true;
  }
  // Half a page is no page, and the text before damage is.
  if (!is_html || damage_.empty()) record.bytes.assign(unused.substr(0, cut_length(unused, limit)));
  consume(is_html ? unused.size() : record.bytes.size());
  return !is_blank(record.bytes);
}

void RecordReader::seek(const RecordPosition& position) {
  source_.reset();
  buffer_.clear();
  begin_ = 0;
  ended_ = false;
  damage_.clear();
  at_ = {position.file, 0, position.number};
  if (position.offset == 0 || !open_file()) return;
  while (at_.offset < position.offset) {
    fill(1);
    const std::size_t unused = buffer_.size() - begin_;
    HADAL_CHECK(unused > 0, files_[static_cast<std::size_t>(position.file)].path.string(), ": shorter than the ",
                position.offset, " bytes that were read from it before");
    consume(std::min(unused, static_cast<std::size_t>(position.offset - at_.offset)));
  }
}

Result<std::string> record_text(std::string_view bytes, TextFormat format, const std::string& text_field,
                                std::string_view where) {
  if (format == TextFormat::kHtml) return html_to_text(bytes);
  if (format == TextFormat::kText) {
    if (bytes.starts_with("\xEF\xBB\xBF")) bytes.remove_prefix(3);
    return std::string(bytes);
  }
  const Result<Json> json = try_parse_json(bytes, where);
  if (!json.ok()) return Failure{json.message()};
  const JsonObject* object = json.value().if_object();
  const Json* text = object == nullptr ? nullptr : object->if_contains(text_field);
  if (text == nullptr || !text->is_string()) return Failure{str_cat(where, ": no text under \"", text_field, "\"")};
  return std::string(text->get_string());
}

}  // namespace hadal
