#include "post/traces.h"

#include <algorithm>
#include <array>
#include <set>

#include "base/file.h"
#include "base/log.h"
#include "base/utf8.h"
#include "data/corpus/content_hash.h"
#include "data/sft/conversation.h"
#include "data/sft/reader.h"

namespace hadal {
namespace {

/// Reasoning of the last answer: its own key, or what stands between <think> and </think> in the content.
struct Reasoning {
  std::string text;
  bool open = false;  // <think> without </think>
};
Reasoning reasoning_of(const JsonObject& message) {
  if (const Json* const own = message.if_contains("reasoning_content"); own != nullptr && own->is_string())
    return {std::string(own->as_string())};
  const Json* const content = message.if_contains("content");
  if (content == nullptr || !content->is_string()) return {};
  constexpr std::string_view kOpen = "<think>", kClose = "</think>";
  const std::string_view text(content->as_string());
  const std::size_t begin = text.find(kOpen), end = text.find(kClose);
  if (end == std::string_view::npos) return {.text = {}, .open = begin != std::string_view::npos};
  const std::size_t from = begin < end ? begin + kOpen.size() : 0;
  return {std::string(text.substr(from, end - from))};
}

std::int64_t longest_paragraph(std::string_view text) {
  std::size_t longest = 0;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find("\n\n"), text.size());
    longest = std::max(longest, end);
    text.remove_prefix(std::min(end + 2, text.size()));
  }
  return static_cast<std::int64_t>(longest);
}

Result<Conversation> conversation_of(const Json& record) {
  const Result<SftShape> shape = detect_shape(record);
  if (!shape) return Failure{shape.message()};
  return parse_conversation(record, shape.value());
}

}  // namespace

double other_script_share(std::string_view text) {
  std::array<std::int64_t, 3> letters = {};  // Latin, Han and kana, other
  for (std::size_t i = 0; i < text.size();) {
    const auto [c, length] = decode_utf8(text.data() + i, text.data() + text.size());
    i += static_cast<std::size_t>(std::max(length, 1));
    const bool ascii_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (ascii_letter || (c >= 0xC0 && c < 0x250))
      ++letters[0];
    else if ((c >= 0x3040 && c < 0x3100) || (c >= 0x3400 && c < 0xA000) || (c >= 0x20000 && c < 0x32000))
      ++letters[1];
    else if ((c >= 0x370 && c < 0x2000) || (c >= 0xAC00 && c < 0xD7B0))
      ++letters[2];
  }
  const std::int64_t all = letters[0] + letters[1] + letters[2], most = *std::ranges::max_element(letters);
  return all == 0 ? 0 : 1 - static_cast<double>(most) / static_cast<double>(all);
}

std::string trace_fault(const Json& record, const TraceFilterOptions& o) {
  const Result<Conversation> conversation = conversation_of(record);
  if (!conversation) return "malformed";
  const JsonObject& object = record.as_object();
  if (const Json* const correct = object.if_contains("correct");
      o.only_correct && correct != nullptr && correct->is_bool() && !correct->as_bool())
    return "incorrect";
  if (const Json* const reward = object.if_contains("reward");
      reward != nullptr && reward->is_number() && reward->to_number<double>() < o.min_reward)
    return "low reward";
  const Reasoning reasoning = reasoning_of(conversation.value().messages.back().as_object());
  if (reasoning.open) return "reasoning without an end";
  if (o.need_reasoning && reasoning.text.empty()) return "no reasoning";
  if (!o.code_in_reasoning && reasoning.text.find("```") != std::string::npos) return "code in the reasoning";
  if (other_script_share(reasoning.text) > o.max_other_script) return "mixed languages";
  if (o.max_paragraph > 0 && longest_paragraph(reasoning.text) > o.max_paragraph) return "long paragraph";
  return {};
}

JsonObject TraceCounts::to_json() const {
  JsonObject reasons;
  for (const auto& [reason, count] : dropped) reasons[reason] = count;
  return {{"read", read}, {"kept", kept}, {"dropped", reasons}};
}

void TraceCounts::check() const {
  HADAL_CHECK(kept > 0, "none of ", read, " traces is kept: ", json_line(to_json()));
}

TraceCounts filter_traces(const std::vector<std::string>& inputs, const TraceFilterOptions& options,
                          const std::filesystem::path& out) {
  TraceCounts counts;
  std::set<std::string> seen;
  std::map<std::string, std::int64_t> of_prompt;
  std::string lines;
  const auto hash = [](const Json& value) {
    ContentHash h;
    h.add(json_line(value));
    return h.hex();
  };
  for (const std::string& path : inputs)
    read_records(path, [&](Result<Json>& value, index_t) {
      ++counts.read;
      std::string fault = value ? trace_fault(value.value(), options) : "malformed";
      if (fault.empty()) {
        JsonArray messages = conversation_of(value.value()).value().messages;
        if (!seen.insert(hash(messages)).second) {
          fault = "duplicate";
        } else {
          messages.pop_back();
          if (++of_prompt[hash(messages)] > options.max_per_prompt && options.max_per_prompt > 0)
            fault = "enough of this prompt";
        }
      }
      if (!fault.empty()) {
        ++counts.dropped[fault];
        return;
      }
      ++counts.kept;
      lines += json_line(value.value()) + "\n";
    });
  std::filesystem::create_directories(out.parent_path());
  if (counts.kept > 0)
    write_file_atomically(out, lines);
  else
    std::filesystem::remove(out);
  log_info("traces: ", json_line(counts.to_json()));
  return counts;
}

}  // namespace hadal
