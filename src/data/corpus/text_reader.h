#pragma once
// Documents of an input as they are, one after the other: what tokenizer training and a simple pre-training run need.
#include <cstdint>
#include <functional>
#include <string>

#include "data/corpus/record_reader.h"

namespace hadal {

struct TextReadOptions {
  std::string text_field = "text";  // of JSON lines
  std::string separator;            // between the documents of a plain-text file; empty: one document per file
};

struct TextReadCounts {
  std::int64_t files = 0, documents = 0, bytes = 0;
  std::int64_t bad_documents = 0;  // lines that are no JSON objects with the text field, damaged files
  std::string first_bad;           // the reason of the first
};

/// Calls take(text) for each document of an input, in order. Documents of nothing but white space are left out. HTML
/// pages lose the lines that many pages of the input share. A bad document is counted, not fatal; an input in which
/// all are bad is.
void read_documents(const std::string& input, const TextReadOptions& options, TextReadCounts& counts,
                    const std::function<void(std::string&& text)>& take);

}  // namespace hadal
