#include "data/tasks/text_rewards.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <string>
#include <unordered_set>
#include <vector>

#include "base/error.h"
#include "base/utf8.h"
#include "data/tasks/response.h"
#include "data/tokenizer/scripts.h"

namespace hadal {
namespace {

constexpr std::size_t npos = std::string_view::npos;

int count(std::string_view text, std::string_view what) {
  int n = 0;
  for (std::size_t at = 0; (at = text.find(what, at)) != npos; at += what.size()) ++n;
  return n;
}

bool is_blank_text(std::string_view text) {
  return text.find_first_not_of(" \t\r\n") == npos;
}

// A word: its text, and the script of its letters.
struct Word {
  std::string_view text;
  Script script;
};

bool is_word_script(Script script) {
  return script == Script::kHan || script == Script::kKana || script == Script::kHangul;
}

// Where a formula, a block of code or a command of LaTeX that begins at `at` ends; `at` when none does.
std::size_t skip_marked(std::string_view text, std::size_t at) {
  for (const auto& [open, close] : std::to_array<std::pair<std::string_view, std::string_view>>(
           {{"```", "```"}, {"`", "`"}, {"$$", "$$"}, {"$", "$"}, {"\\(", "\\)"}, {"\\[", "\\]"}})) {
    if (!text.substr(at).starts_with(open)) continue;
    // A mark without a partner nearby is a character like any other: hostile text must not cost a search to its end
    // each time.
    constexpr std::size_t kLongest = 4096;
    const std::size_t end = text.substr(at + open.size(), kLongest).find(close);
    return end == npos ? at + 1 : at + open.size() + end + close.size();
  }
  if (text[at] != '\\') return at;
  std::size_t end = at + 1;
  while (end < text.size() && ((text[end] | 0x20) >= 'a' && (text[end] | 0x20) <= 'z')) ++end;
  return end;
}

std::vector<Word> words(std::string_view text) {
  const ScriptTable& scripts = ScriptTable::get();
  std::vector<Word> found;
  std::size_t begin = 0;
  int letters = 0;
  Script run = Script::kOther;
  const auto end_run = [&](std::size_t end) {
    if (letters >= 2) found.push_back({text.substr(begin, end - begin), run});
    letters = 0;
  };
  for (std::size_t at = 0; at < text.size();) {
    if (const std::size_t after = skip_marked(text, at); after != at) {
      end_run(at);
      at = after;
      continue;
    }
    const CodePoint c = decode_utf8(text.data() + at, text.data() + text.size());
    const std::size_t length = static_cast<std::size_t>(std::max(c.length, 1));
    const Script script = c.length == 0 ? Script::kPunctuation : scripts.of(c.value);
    if (is_word_script(script)) {
      end_run(at);
      found.push_back({text.substr(at, length), script});
    } else if (script == Script::kSpace || script == Script::kPunctuation || script == Script::kDigit) {
      end_run(at);
    } else {
      if (letters != 0 && script != run && script != Script::kOther) end_run(at);
      if (letters++ == 0) begin = at, run = script;
    }
    at += length;
  }
  end_run(text.size());
  return found;
}

struct Language {
  std::string_view code;
  Script script;
};
constexpr std::array kLanguages = std::to_array<Language>({{"en", Script::kLatin},
                                                           {"de", Script::kLatin},
                                                           {"fr", Script::kLatin},
                                                           {"es", Script::kLatin},
                                                           {"it", Script::kLatin},
                                                           {"pt", Script::kLatin},
                                                           {"zh", Script::kHan},
                                                           {"ja", Script::kKana},
                                                           {"ko", Script::kHangul},
                                                           {"ru", Script::kCyrillic},
                                                           {"el", Script::kGreek},
                                                           {"ar", Script::kArabic},
                                                           {"he", Script::kHebrew},
                                                           {"hi", Script::kDevanagari},
                                                           {"th", Script::kThai}});

const Language* find_language(std::string_view code) {
  const auto* found =
      std::find_if(kLanguages.begin(), kLanguages.end(), [&](const Language& l) { return l.code == code; });
  return found == kLanguages.end() ? nullptr : found;
}

}  // namespace

double format_reward(std::string_view prompt, std::string_view response, bool answer_tags) {
  if (tag_reward(prompt, response, answer_tags) != 1) return 0;
  const bool opened = opens_think(prompt);
  std::size_t first = response.find_first_not_of(" \t\r\n");
  if (!opened && !response.substr(std::min(first, response.size())).starts_with("<think>")) return 0;
  const Response parts = split_response(response, opened);
  if (is_blank_text(parts.reasoning) || is_blank_text(parts.answer)) return 0;
  if (!answer_tags) return 1;
  const std::size_t begin = parts.answer.find("<answer>"), end = parts.answer.find("</answer>");
  if (begin == npos || end == npos || end < begin || !parts.tagged_answer || is_blank_text(*parts.tagged_answer))
    return 0;
  return is_blank_text(parts.answer.substr(0, begin)) && is_blank_text(parts.answer.substr(end + 9)) ? 1 : 0;
}

double tag_reward(std::string_view prompt, std::string_view response, bool answer_tags) {
  int right = (count(response, "<think>") == (opens_think(prompt) ? 0 : 1)) + (count(response, "</think>") == 1);
  if (!answer_tags) return right / 2.0;
  right += (count(response, "<answer>") == 1) + (count(response, "</answer>") == 1);
  return right / 4.0;
}

bool is_known_language(std::string_view language) {
  return find_language(language) != nullptr;
}

double language_consistency(std::string_view text, std::string_view language) {
  const Language* const wanted = find_language(language);
  HADAL_CHECK(wanted != nullptr, "language \"", language, "\" is not known");
  std::int64_t right = 0, all = 0;
  for (const Word& word : words(text)) {
    ++all;
    right += word.script == wanted->script || (language == "ja" && word.script == Script::kHan);
  }
  return all == 0 ? 0 : static_cast<double>(right) / static_cast<double>(all);
}

double overlong_reward(index_t num_tokens, index_t max_tokens, index_t buffer) {
  const index_t over = num_tokens - (max_tokens - buffer);
  if (over <= 0) return 0;
  return buffer <= 0 ? -1 : -std::min(1.0, static_cast<double>(over) / static_cast<double>(buffer));
}

double cosine_length_reward(index_t num_tokens, index_t max_tokens, bool correct) {
  if (max_tokens <= 0) return 0;
  const double share = std::clamp(static_cast<double>(num_tokens) / static_cast<double>(max_tokens), 0.0, 1.0);
  const double falling = 0.75 + 0.25 * std::cos(std::numbers::pi * share);  // 1 to 0.5
  return correct ? falling : -falling;
}

double repetition_reward(std::string_view text, int n) {
  const std::vector<Word> all = words(text);
  if (n <= 0 || all.size() < static_cast<std::size_t>(n)) return 0;
  std::unordered_set<std::string> seen;
  const std::size_t total = all.size() - static_cast<std::size_t>(n) + 1;
  for (std::size_t i = 0; i < total; ++i) {
    std::string gram;
    for (std::size_t k = i; k < i + static_cast<std::size_t>(n); ++k) gram.append(all[k].text).push_back('\n');
    seen.insert(std::move(gram));
  }
  return static_cast<double>(seen.size()) / static_cast<double>(total) - 1;
}

}  // namespace hadal
