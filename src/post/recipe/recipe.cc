#include "post/recipe/recipe.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <set>

namespace hadal {
namespace {

struct Verb {
  std::string_view name;
  bool resumes, takes_threads;
};
constexpr std::array<Verb, 8> kVerbs{{{"tasks make", false, false},
                                      {"pretrain", true, true},
                                      {"sft", true, true},
                                      {"dpo", true, true},
                                      {"reward", true, true},
                                      {"grpo", true, true},
                                      {"sample", false, true},
                                      {"distill", true, true}}};

/// Throws Error for a verb that recipes do not know.
const Verb& verb_of(std::string_view name, std::string_view where) {
  const auto* const found = std::ranges::find(kVerbs, name, &Verb::name);
  std::vector<std::string_view> known;
  for (const Verb& verb : kVerbs) known.push_back(verb.name);
  HADAL_CHECK(found != kVerbs.end(), where, ": verb: got \"", name, "\", want one of ",
              fmt::format("{}", fmt::join(known, ", ")));
  return *found;
}

constexpr std::string_view kBesideRecipe = "recipe";

JsonObject object_or_empty(ObjectReader& reader, const std::string& key) {
  if (!reader.has(key)) return {};
  const Json& value = reader.value(key);
  HADAL_CHECK(value.is_object(), reader.at(key), ": got ", json_excerpt(value), ", want an object");
  return value.get_object();
}

/// The stage that a text refers to, and what follows the closing brace; an empty name when it refers to none.
std::pair<std::string, std::string> reference(std::string_view text) {
  const std::size_t end = text.find('}');
  if (!text.starts_with('{') || end == text.npos) return {};
  return {std::string(text.substr(1, end - 1)), std::string(text.substr(end + 1))};
}

/// Calls `visit` for every text inside, which may change it.
template <class Visit>
void each_text(Json& value, const Visit& visit) {
  if (value.is_string()) visit(value);
  if (value.is_array())
    for (Json& item : value.get_array()) each_text(item, visit);
  if (value.is_object())
    for (auto& [key, item] : value.get_object()) each_text(item, visit);
}

/// "{recipe}/file" is a file beside the recipe.
void fill_folder(JsonObject& options, const std::filesystem::path& recipe) {
  const std::string folder = recipe.has_parent_path() ? recipe.parent_path().string() : ".";
  Json all = std::move(options);
  each_text(all, [&](Json& text) {
    const auto [name, rest] = reference(std::string_view(text.get_string()));
    if (name == kBesideRecipe) text = folder + rest;
  });
  options = std::move(all.get_object());
}

void scale_steps(JsonObject& options, double scale) {
  if (Json* const steps = options.if_contains("steps"))
    *steps = std::max<std::int64_t>(1, std::llround(json_as<double>(*steps, "steps") * scale));
}

/// The stage that measures the model of `of`.
Stage evaluation_stage(const std::string& of, const std::string& title, const JsonObject& evaluation,
                       const JsonObject& options) {
  Stage stage{.name = "eval-" + of,
              .verb = "sample",
              .title = "",
              .about = "held-out questions to " + (title.empty() ? of : title),
              .options = merged(evaluation, options),
              .evaluates = of};
  if (!stage.options.contains("model")) stage.options["model"] = "{" + of + "}";
  return stage;
}

Stage read_stage(const Json& value, const std::string& where, const JsonObject& defaults) {
  ObjectReader reader(value, where);
  Stage stage{.name = reader.get<std::string>("name"),
              .verb = reader.get<std::string>("verb"),
              .title = reader.get_or<std::string>("title", ""),
              .about = reader.get_or<std::string>("about", ""),
              .options = {},
              .evaluates = {}};
  HADAL_CHECK(
      !stage.name.empty() && stage.name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string::npos,
      where, ": name: got \"", stage.name, "\", want small letters, digits and -");
  verb_of(stage.verb, where);
  const Json* const own = defaults.if_contains(stage.verb);
  stage.options = merged(own != nullptr ? own->as_object() : JsonObject{}, object_or_empty(reader, "options"));
  if (reader.has("evaluate")) reader.value("evaluate");
  reader.finish();
  return stage;
}

/// "stage.a.b=value" -> the stage, and {"a": {"b": value}}.
std::pair<std::string, JsonObject> parse_change(const std::string& text) {
  const std::size_t equals = text.find('='), dot = text.find('.');
  HADAL_CHECK(equals != text.npos && dot < equals, "change: got \"", text, "\", want stage.option=value");
  const std::string stage = text.substr(0, dot), value = text.substr(equals + 1);
  std::string path = text.substr(dot + 1, equals - dot - 1);
  const Result<Json> json = try_parse_json(value, "change");
  Json inner = json ? json.value() : Json(value);
  for (std::size_t at; (at = path.rfind('.')) != path.npos; path.resize(at))
    inner = JsonObject{{path.substr(at + 1), std::move(inner)}};
  return {stage, JsonObject{{path, std::move(inner)}}};
}

void check_references(const Stage& stage, const std::set<std::string>& earlier, const std::string& where) {
  Json options = stage.options;
  each_text(options, [&](const Json& text) {
    const std::string name = reference(std::string_view(text.get_string())).first;
    HADAL_CHECK(name.empty() || name == "question" || earlier.contains(name), where, ": stage ", stage.name, ": {",
                name, "} is no earlier stage");
  });
}

}  // namespace

JsonObject merged(JsonObject base, const JsonObject& over) {
  for (const auto& [key, value] : over) {
    Json& to = base[key];
    if (to.is_object() && value.is_object())
      to = merged(to.get_object(), value.get_object());
    else
      to = value;
  }
  return base;
}

bool Stage::resumes() const {
  return verb_of(verb, name).resumes;
}

JsonObject Stage::resolved(const std::filesystem::path& out, std::int64_t seed, int threads,
                           const std::function<std::string(const std::string&)>& model_of) const {
  Json all = options;
  each_text(all, [&](Json& text) {
    const auto [stage, rest] = reference(std::string_view(text.get_string()));
    if (stage.empty() || stage == "question") return;
    text = rest.empty() ? model_of(stage) : (out / stage).string() + rest;
  });
  JsonObject resolved = all.get_object();
  resolved["out"] = (out / name).string();
  if (!resolved.contains("seed")) resolved["seed"] = seed;
  resolved["json"] = true;
  if (threads > 0 && verb_of(verb, name).takes_threads) resolved["threads"] = threads;
  return resolved;
}

const Stage& Recipe::stage(const std::string& name) const {
  const auto found = std::ranges::find(stages, name, &Stage::name);
  HADAL_CHECK(found != stages.end(), "the recipe has no stage ", name);
  return *found;
}

Recipe load_recipe(const std::filesystem::path& file, const RecipeChanges& changes) {
  const std::string where = file.string();
  const Json json = read_json_file(file);
  ObjectReader reader(json, where);
  Recipe recipe{.about = reader.get_or<std::string>("about", ""), .stages = {}};
  const JsonObject defaults = object_or_empty(reader, "defaults"), evaluation = object_or_empty(reader, "evaluation");
  for (const auto& [verb, options] : defaults)
    HADAL_CHECK(options.is_object(), where, ": defaults.", verb, ": want an object");
  const Json& stages = reader.value("stages");
  HADAL_CHECK(stages.is_array() && !stages.get_array().empty(), where, ": stages: want a list of stages");
  reader.finish();
  std::map<std::string, JsonObject> changed;
  for (const std::string& text : changes.options) {
    const auto [stage, options] = parse_change(text);
    changed[stage] = merged(std::move(changed[stage]), options);
  }
  std::set<std::string> names;
  const auto add = [&](Stage stage) {
    scale_steps(stage.options, changes.scale);
    stage.options = merged(std::move(stage.options), changed[stage.name]);
    fill_folder(stage.options, file);
    check_references(stage, names, where);
    HADAL_CHECK(stage.name != kBesideRecipe, where, ": a stage cannot be called ", kBesideRecipe);
    HADAL_CHECK(names.insert(stage.name).second, where, ": two stages are called ", stage.name);
    recipe.stages.push_back(std::move(stage));
  };
  for (std::size_t i = 0; i < stages.get_array().size(); ++i) {
    const Json& value = stages.get_array()[i];
    const std::string place = str_cat(where, ": stages[", i, "]");
    if (value.is_object() && value.get_object().contains("evaluates")) {
      ObjectReader later(value, place);
      const std::string of = later.get<std::string>("evaluates");
      const JsonObject options = object_or_empty(later, "options");
      later.finish();
      HADAL_CHECK(names.contains(of), place, ": evaluates: ", of, " is no earlier stage");
      add(evaluation_stage(of, recipe.stage(of).title, evaluation, options));
      continue;
    }
    const Stage stage = read_stage(value, place, defaults);
    add(stage);
    if (const Json* const evaluate = value.get_object().if_contains("evaluate")) {
      HADAL_CHECK(evaluate->is_object(), place, ": evaluate: want an object");
      add(evaluation_stage(stage.name, stage.title, evaluation, evaluate->get_object()));
    }
  }
  for (const auto& [stage, options] : changed) HADAL_CHECK(names.contains(stage), where, ": change: no stage ", stage);
  return recipe;
}

}  // namespace hadal
