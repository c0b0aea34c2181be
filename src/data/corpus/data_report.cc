#include "data/corpus/data_report.h"

#include <string_view>

namespace hadal {

// The parts of the page, from src/data/corpus/report/ (cmake/embed.cmake).
extern const std::string_view data_report_page_text, data_report_style_text, data_report_report_text;

namespace {

void replace(std::string& page, std::string_view mark, std::string_view by) {
  page.replace(page.find(mark), mark.size(), by);
}

/// JSON that no text inside can end the script element with.
std::string json_for_script(const Json& value) {
  std::string escaped;
  for (const char c : json_line(value)) c == '<' ? escaped += "\\u003c" : escaped += c;
  return escaped;
}

}  // namespace

std::string data_report_page(const JsonObject& manifest) {
  std::string page(data_report_page_text);
  replace(page, "@STYLE@", data_report_style_text);
  replace(page, "@SCRIPT@", data_report_report_text);
  replace(page, "@DATA@", json_for_script(manifest));
  return page;
}

}  // namespace hadal
