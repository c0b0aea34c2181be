#include "data/corpus/text_reader.h"

#include "base/error.h"
#include "data/corpus/html_text.h"

namespace hadal {
namespace {

/// Calls take(record, its text or why there is none) for each record of the files.
void for_each_text(const std::vector<TextFile>& files, const TextReadOptions& options,
                   const std::function<void(const Record&, Result<std::string>&&)>& take) {
  RecordReader reader(files, {.separator = options.separator});
  for (Record record; reader.next(record);) {
    const TextFile& file = files[static_cast<std::size_t>(record.file)];
    const std::string where = str_cat(file.path.string(), ":", record.number);
    take(record, record.problem.empty() ? record_text(record.bytes, file.format, options.text_field, where)
                                        : Result<std::string>(Failure{str_cat(where, ": ", record.problem)}));
  }
}

}  // namespace

void read_documents(const std::string& input, const TextReadOptions& options, TextReadCounts& counts,
                    const std::function<void(std::string&& text)>& take) {
  HADAL_CHECK(!options.text_field.empty(), "text_field is empty, want the key of the text in JSON lines");
  const std::vector<TextFile> files = find_text_files(input);
  std::vector<TextFile> pages;
  for (const TextFile& file : files)
    if (file.format == TextFormat::kHtml) pages.push_back(file);
  RepeatedLines repeated;
  for_each_text(pages, options, [&](const Record&, Result<std::string>&& text) {
    if (text.ok()) repeated.add(text.value());
  });
  const TextReadCounts before = counts;
  counts.files += static_cast<std::int64_t>(files.size());
  for_each_text(files, options, [&](const Record& record, Result<std::string>&& text) {
    if (!text.ok()) {
      if (counts.bad_documents++ == 0) counts.first_bad = text.message();
      return;
    }
    if (files[static_cast<std::size_t>(record.file)].format == TextFormat::kHtml)
      text = repeated.remove_from(text.value());
    if (is_blank(text.value())) return;
    ++counts.documents;
    counts.bytes += static_cast<std::int64_t>(text.value().size());
    take(std::move(text).value());
  });
  HADAL_CHECK(counts.documents > before.documents || counts.bad_documents == before.bad_documents, input, ": none of ",
              counts.bad_documents - before.bad_documents, " documents could be used; the first: ", counts.first_bad);
}

}  // namespace hadal
