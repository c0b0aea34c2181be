#include "data/corpus/text_reader.h"

#include <algorithm>
#include <optional>
#include <string_view>

#include "base/file.h"
#include "base/json.h"
#include "data/corpus/html_text.h"

namespace hadal {
namespace {

namespace fs = std::filesystem;

/// The format that an extension stands for; nothing for one that is not known.
std::optional<TextFormat> format_of(const fs::path& path) {
  const std::string extension = path.extension().string();
  if (extension == ".jsonl" || extension == ".ndjson") return TextFormat::kJsonl;
  if (extension == ".html" || extension == ".htm" || extension == ".xhtml") return TextFormat::kHtml;
  if (extension == ".txt" || extension == ".text" || extension == ".md") return TextFormat::kText;
  return std::nullopt;
}

bool is_blank(std::string_view text) {
  return text.find_first_not_of(" \t\r\n\f\v") == std::string_view::npos;
}

class DocumentReader {
 public:
  DocumentReader(const TextReadOptions& options, TextReadCounts& counts, const std::function<void(std::string&&)>& take)
      : options_(options), counts_(counts), take_(take) {}

  void give(std::string_view text) {
    if (is_blank(text)) return;
    ++counts_.documents;
    counts_.bytes += static_cast<std::int64_t>(text.size());
    take_(std::string(text));
  }

  void read_text(std::string_view text) {
    if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);  // byte order mark
    if (options_.separator.empty()) return give(text);
    for (;;) {
      const std::size_t end = text.find(options_.separator);
      give(text.substr(0, end));
      if (end == std::string_view::npos) break;
      text.remove_prefix(end + options_.separator.size());
    }
  }

  void read_jsonl(std::string_view lines, const std::string& path) {
    for (std::int64_t number = 1; !lines.empty(); ++number) {
      const std::string_view line = lines.substr(0, lines.find('\n'));
      lines.remove_prefix(std::min(lines.size(), line.size() + 1));
      if (!is_blank(line)) read_json_line(line, str_cat(path, ":", number));
    }
  }

 private:
  void read_json_line(std::string_view line, const std::string& where) {
    const Result<Json> json = try_parse_json(line, where);
    if (!json.ok()) return bad(json.message());
    const JsonObject* object = json.value().if_object();
    const Json* text = object == nullptr ? nullptr : object->if_contains(options_.text_field);
    if (text == nullptr || !text->is_string())
      return bad(str_cat(where, ": no text under \"", options_.text_field, "\""));
    give({text->get_string().data(), text->get_string().size()});
  }

  void bad(const std::string& reason) {
    if (counts_.bad_documents++ == 0) counts_.first_bad = reason;
  }

  const TextReadOptions& options_;
  TextReadCounts& counts_;
  const std::function<void(std::string&&)>& take_;
};

std::string_view text_of(const MappedFile& file) {
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

}  // namespace

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
  HADAL_CHECK(!files.empty(), input, ": no .txt, .md, .jsonl or .html file in this folder");
  std::sort(files.begin(), files.end(), [](const TextFile& a, const TextFile& b) { return a.path < b.path; });
  return files;
}

void read_documents(const std::string& input, const TextReadOptions& options, TextReadCounts& counts,
                    const std::function<void(std::string&& text)>& take) {
  HADAL_CHECK(!options.text_field.empty(), "text_field is empty, want the key of the text in JSON lines");
  const std::vector<TextFile> files = find_text_files(input);
  RepeatedLines repeated;
  for (const TextFile& file : files)
    if (file.format == TextFormat::kHtml) repeated.add(html_to_text(text_of(MappedFile(file.path))));
  const TextReadCounts before = counts;
  DocumentReader reader(options, counts, take);
  for (const TextFile& file : files) {
    const MappedFile mapped(file.path);
    ++counts.files;
    if (file.format == TextFormat::kText) reader.read_text(text_of(mapped));
    if (file.format == TextFormat::kJsonl) reader.read_jsonl(text_of(mapped), file.path.string());
    if (file.format == TextFormat::kHtml) reader.give(repeated.remove_from(html_to_text(text_of(mapped))));
  }
  HADAL_CHECK(counts.documents > before.documents || counts.bad_documents == before.bad_documents, input, ": none of ",
              counts.bad_documents - before.bad_documents, " lines could be used; the first: ", counts.first_bad);
}

}  // namespace hadal
