// The command-line side of OptionTable: flags, positional arguments and --help.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <set>

#include "base/json.h"
#include "base/options.h"

namespace hadal {
namespace {

std::string flag_of(std::string_view path) {
  std::string flag = "--";
  for (const char c : path) flag += c == '_' ? '-' : c;
  return flag;
}

std::string_view value_name(const Option& option) {
  return option.traits.placeholder.empty() ? placeholder(option.target) : option.traits.placeholder;
}

// A positional argument in messages and usage lines.
std::string word_name(const Option& option) {
  std::string name;
  for (const char c : option.path) name += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return name + (takes_many(option.target) ? "..." : "");
}

// The two columns of --help; a heading has no right one.
struct HelpRow {
  std::string left, right;
};
using HelpRows = std::vector<HelpRow>;

std::string describe(const Option& option) {
  std::string text = option.help;
  if (!option.traits.choices.empty()) text += fmt::format(": {}", fmt::join(option.traits.choices, "|"));
  if (option.traits.required && !option.traits.positional) text += " (required)";
  const bool shown = !option.default_text.empty() && !option.traits.required && !is_switch(option.target);
  if (shown) text += fmt::format(" [{}]", option.default_text);
  return text;
}

std::string columns(const HelpRows& rows) {
  constexpr std::size_t kMaxLeft = 34;
  std::size_t width = 0;
  for (const HelpRow& row : rows)
    if (!row.right.empty() && row.left.size() <= kMaxLeft) width = std::max(width, row.left.size());
  std::string text;
  for (const HelpRow& row : rows) {
    if (row.right.empty()) {
      text += row.left + "\n";
    } else if (row.left.size() <= width) {
      text += fmt::format("{:<{}}  {}\n", row.left, width, row.right);
    } else {
      text += fmt::format("{}\n{:{}}  {}\n", row.left, "", width, row.right);
    }
  }
  return text;
}

std::string_view take_value(std::string_view flag, Args& rest) {
  if (rest.empty()) throw UsageError(str_cat(flag, ": a value is missing"));
  const std::string_view value = rest.front();
  rest = rest.subspan(1);
  return value;
}

}  // namespace

OptionTable::Assignment OptionTable::by_flag(std::string_view argument, Args& rest, const VerbInfo& verb) {
  const std::size_t equals = argument.find('=');
  const std::string flag(argument.substr(0, equals));
  const bool has_value = equals != std::string_view::npos;
  std::vector<std::string> known = {"--help"};
  if (verb.config) known.insert(known.end(), {"--config", "--set"});
  for (Option& option : options_) {
    if (option.traits.positional) continue;
    known.push_back(flag_of(option.path));
    const bool negated = is_switch(option.target) && flag == "--no-" + known.back().substr(2);
    if (negated && !has_value) return {&option, "false", flag};
    if (flag != known.back()) continue;
    if (has_value) return {&option, argument.substr(equals + 1), flag};
    return {&option, is_switch(option.target) ? "true" : take_value(flag, rest), flag};
  }
  throw UsageError(str_cat("unknown flag ", flag, did_you_mean(flag, known)));
}

OptionTable::Assignment OptionTable::by_set(std::string_view text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos) throw UsageError(str_cat("--set: got \"", text, "\", want key=value"));
  const std::string path(text.substr(0, equals));
  if (Option* const option = find(path)) return {option, text.substr(equals + 1), "--set " + path};
  std::vector<std::string> known;
  for (const Option& option : options_) known.push_back(option.path);
  throw UsageError(str_cat("--set: unknown key \"", path, '"', did_you_mean(path, known)));
}

void OptionTable::assign_words(std::span<const std::string_view> words, std::vector<Assignment>& assignments) {
  for (Option& option : options_) {
    if (!option.traits.positional || words.empty()) continue;
    const std::size_t taken = takes_many(option.target) ? words.size() : 1;
    for (const std::string_view word : words.first(taken)) assignments.push_back({&option, word, word_name(option)});
    words = words.subspan(taken);
  }
  if (!words.empty()) throw UsageError(str_cat("unexpected argument \"", words.front(), '"'));
}

void OptionTable::assign(const std::vector<Assignment>& assignments) {
  std::set<const Option*> replaced;  // a vector of strings that a config filled starts anew, then grows
  for (const Assignment& a : assignments) {
    const bool first = replaced.insert(a.option).second;
    try {
      if (auto* const* strings = std::get_if<std::vector<std::string>*>(&a.option->target); strings && first)
        (*strings)->clear();
      set_from_text(a.option->target, a.text, a.flag);
      check_choice(*a.option, a.flag);
    } catch (const UsageError&) {
      throw;
    } catch (const Error& e) {
      throw UsageError(e.what());
    }
    a.option->given = true;
  }
}

bool OptionTable::read_args(Args args, const VerbInfo& verb) {
  std::vector<Assignment> assignments;
  std::vector<std::string_view> words;
  std::string config;
  for (bool only_words = false; !args.empty();) {
    const std::string_view argument = take_value("", args);
    if (only_words || argument.size() < 2 || argument[0] != '-') {
      words.push_back(argument);
    } else if (argument == "--") {
      only_words = true;
    } else if (argument == "--help" || argument == "-h") {
      fmt::print("{}", help(verb));
      return false;
    } else if (verb.config && argument == "--config") {
      config = take_value(argument, args);
    } else if (verb.config && argument.starts_with("--config=")) {
      config = argument.substr(argument.find('=') + 1);
    } else if (verb.config && argument == "--set") {
      assignments.push_back(by_set(take_value(argument, args)));
    } else {
      assignments.push_back(by_flag(argument, args, verb));
      const Assignment flag = assignments.back();
      while (takes_many(flag.option->target) && !args.empty() && !args.front().starts_with("--"))
        assignments.push_back({flag.option, take_value(flag.flag, args), flag.flag});
    }
  }
  assign_words(words, assignments);
  if (!config.empty()) read_json(read_json_file(config), config);
  assign(assignments);
  for (const Option& option : options_) {
    if (!option.traits.required || option.given) continue;
    throw UsageError(
        str_cat(option.traits.positional ? word_name(option) : flag_of(option.path), " is missing: ", option.help));
  }
  return true;
}

std::string OptionTable::help(const VerbInfo& verb) const {
  std::string usage = fmt::format("usage: hadal {}", verb.verb);
  HelpRows rows;
  for (const Option& option : options_) {
    if (!option.traits.positional) continue;
    usage += fmt::format(fmt::runtime(option.traits.required ? " {}" : " [{}]"), word_name(option));
    rows.push_back({"  " + word_name(option), describe(option)});
  }
  if (verb.config) {
    rows.push_back({"  --config FILE", "JSON file with the keys of the flags below (a_b for --a-b); flags win"});
    rows.push_back({"  --set KEY=VALUE", "sets one key of the config; nested keys with dots"});
  }
  std::string_view open_group;
  for (const Option& option : options_) {
    if (option.traits.positional) continue;
    const std::size_t dot = option.path.rfind('.');
    const std::string_view group = std::string_view(option.path).substr(0, dot == std::string::npos ? 0 : dot);
    if (group != open_group) {
      const auto it = std::ranges::find(groups_, group, &Group::path);
      rows.push_back({it == groups_.end() ? "\nmore options:" : fmt::format("\n{}: {}", group, it->help), ""});
      open_group = group;
    }
    const bool on = is_switch(option.target) && option.default_text == "true";
    const std::string_view value = value_name(option);
    rows.push_back({fmt::format("  {}{}{}{}", on ? "--[no-]" : "--", flag_of(option.path).substr(2),
                                value.empty() ? "" : " ", value),
                    describe(option)});
  }
  rows.push_back({"  --help", "this text"});
  return fmt::format("{} [options]\n  {}\n\n{}{}", usage, verb.about, columns(rows),
                     verb.example.empty() ? "" : fmt::format("\nexample: {}\n", verb.example));
}

}  // namespace hadal
