#pragma once
// Documents from files: plain text, JSON lines, HTML pages, and folders of them.
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/error.h"

namespace hadal {

enum class TextFormat : std::uint8_t { kText, kJsonl, kHtml };

/// A file of a corpus.
struct TextFile {
  std::filesystem::path path;
  TextFormat format = TextFormat::kText;
};

/// The files that the inputs name. A file counts by its extension (.jsonl and .ndjson; .html, .htm, .xhtml; any other
/// is plain text). Of a folder all files with these extensions or .txt, .text, .md are taken, those of its folders too,
/// in the order of their paths; hidden ones are not. Throws Error when an input is missing or a folder has no such
/// file.
std::vector<TextFile> find_text_files(const std::string& input);

struct TextReadOptions {
  std::string text_field = "text";  // of JSON lines
  std::string separator;            // between the documents of a plain-text file; empty: one document per file
};

struct TextReadCounts {
  std::int64_t files = 0, documents = 0, bytes = 0;
  std::int64_t bad_documents = 0;  // lines that are no JSON objects with the text field
  std::string first_bad;           // the reason of the first
};

/// Calls take(text) for each document of an input, in order. Documents of nothing but white space are left out. HTML
/// pages lose the lines that many pages of the input share. A bad JSON line is counted, not fatal; an input in which
/// all are bad is.
void read_documents(const std::string& input, const TextReadOptions& options, TextReadCounts& counts,
                    const std::function<void(std::string&& text)>& take);

}  // namespace hadal
