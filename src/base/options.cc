#include "base/options.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/json.h"

namespace hadal {
namespace {

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t change = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, change});
    }
  }
  return row.back();
}

}  // namespace

std::string did_you_mean(std::string_view name, const std::vector<std::string>& candidates) {
  std::string_view best;
  std::size_t best_distance = std::max<std::size_t>(2, name.size() / 3) + 1;
  for (const std::string& candidate : candidates) {
    const std::size_t distance = edit_distance(name, candidate);
    if (distance < best_distance) best_distance = distance, best = candidate;
  }
  return best.empty() ? "" : fmt::format("; did you mean {}?", best);
}

void OptionTable::add(std::string_view name, OptionTarget target, std::string_view help, OptionTraits traits) {
  std::string path = prefix_ + std::string(name);
  HADAL_CHECK(find(path) == nullptr, "option ", path, " is declared twice");
  std::string default_text = to_text(target);
  options_.push_back({.path = std::move(path),
                      .help = std::string(help),
                      .target = std::move(target),
                      .traits = std::move(traits),
                      .default_text = std::move(default_text)});
}

std::string OptionTable::open_group(std::string_view name, std::string_view help) {
  std::string outer = prefix_;
  prefix_ += std::string(name);
  groups_.push_back({.path = prefix_, .help = std::string(help)});
  prefix_ += '.';
  return outer;
}

Option* OptionTable::find(std::string_view path) {
  const auto it = std::ranges::find(options_, path, &Option::path);
  return it == options_.end() ? nullptr : &*it;
}

void OptionTable::read_json(const Json& config, const std::string& where) {
  HADAL_CHECK(config.is_object(), where, ": got ", json_excerpt(config), ", want an object");
  read_object(config.get_object(), "", where);
}

void OptionTable::read_object(const JsonObject& object, const std::string& prefix, const std::string& where) {
  for (const auto& [key, value] : object) {
    const std::string path = prefix + std::string(key);
    const std::string place = str_cat(where, ": ", path);
    if (Option* const option = find(path)) {
      set_from_json(option->target, value, place);
      check_choice(*option, place);
      option->given = true;
    } else if (std::ranges::find(groups_, path, &Group::path) != groups_.end()) {
      HADAL_CHECK(value.is_object(), place, ": got ", json_excerpt(value), ", want an object");
      read_object(value.get_object(), path + ".", where);
    } else {
      std::vector<std::string> known;
      for (const Option& other : options_) known.push_back(other.path);
      for (const Group& group : groups_) known.push_back(group.path);
      fail(where, ": unknown key \"", path, '"', did_you_mean(path, known));
    }
  }
}

void OptionTable::check_choice(const Option& option, std::string_view where) {
  if (option.traits.choices.empty()) return;
  auto* const* list = std::get_if<std::vector<std::string>*>(&option.target);
  for (const std::string& text : list ? **list : std::vector{to_text(option.target)})
    HADAL_CHECK(std::ranges::find(option.traits.choices, text) != option.traits.choices.end(), where, ": got \"", text,
                "\", want ", fmt::format("{}", fmt::join(option.traits.choices, "|")));
}

JsonObject OptionTable::to_json() const {
  JsonObject root;
  for (const Option& option : options_) {
    JsonObject* at = &root;
    std::string_view path = option.path;
    for (std::size_t dot = path.find('.'); dot != std::string_view::npos; dot = path.find('.')) {
      Json& inner = (*at)[path.substr(0, dot)];
      if (!inner.is_object()) inner = JsonObject();
      at = &inner.get_object();
      path.remove_prefix(dot + 1);
    }
    (*at)[path] = hadal::to_json(option.target);
  }
  return root;
}

}  // namespace hadal
