#include <fmt/format.h>

#include "data/tokenizer/stats.h"

namespace hadal {
namespace {

std::string number(const JsonObject& row, std::string_view key) {
  const Json* value = row.if_contains(boost::json::string_view(key.data(), key.size()));
  if (value == nullptr || value->is_null()) return "";
  if (value->is_double()) return fmt::format("{:.3f}", value->get_double());
  return fmt::format("{}", value->to_number<std::int64_t>());
}

/// One line of numbers; columns of the other tokenizer stay empty when there is none.
std::string line(std::string_view name, const JsonObject& row) {
  return fmt::format("{:>12} {:>12} {:>8} {:>12} {:>8} {:>7}  {}\n", number(row, "bytes"), number(row, "tokens"),
                     number(row, "bytes_per_token"), number(row, "other_tokens"), number(row, "other_bytes_per_token"),
                     number(row, "tokens_ratio"), name);
}

std::string head(bool with_other) {
  return fmt::format("{:>12} {:>12} {:>8} {:>12} {:>8} {:>7}\n", "bytes", "tokens", "bytes/t",
                     with_other ? "other" : "", with_other ? "bytes/t" : "", with_other ? "ratio" : "");
}

std::string token_list(std::string_view title, const JsonArray& tokens, const char* what) {
  std::string text = fmt::format("{}:", title);
  for (const Json& token : tokens) {
    const JsonObject& t = token.get_object();
    text += fmt::format(" {} ({})", json_line(t.at("text")), t.at(what).to_number<std::int64_t>());
  }
  return text + "\n";
}

}  // namespace

std::string tokenizer_stats_text(const JsonObject& stats) {
  const JsonObject &vocabulary = stats.at("vocabulary").as_object(), &total = stats.at("total").as_object();
  const bool with_other = vocabulary.contains("shared");
  std::string text =
      fmt::format("vocabulary: {} ids, {} tokens of text, {} added, {} merges", number(vocabulary, "size"),
                  number(vocabulary, "tokens"), number(vocabulary, "added"), number(vocabulary, "merges"));
  if (with_other) text += fmt::format("; {} tokens of text are in the other one too", number(vocabulary, "shared"));
  text += "\n\n" + head(with_other);
  for (const Json& input : stats.at("inputs").as_array())
    text += line(std::string_view(input.at("input").as_string()), input.get_object());
  text += line("total", total) + "\n";
  for (const auto& [script, row] : stats.at("scripts").as_object())
    text += line({script.data(), script.size()}, row.as_object());
  text += fmt::format("\n{} tokens of text were not used\n", number(total.at("unused").as_object(), "count"));
  text += token_list("most used", total.at("most_used").as_array(), "count");
  return text + token_list("longest", vocabulary.at("longest").as_array(), "bytes");
}

}  // namespace hadal
