#include "train/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <iterator>
#include <limits>

#include "base/error.h"
#include "base/file.h"
#include "train/manifest.h"
#include "train/metrics.h"

namespace hadal {

// The parts of the page, from src/train/report/ (cmake/embed.cmake).
extern const std::string_view report_page_text, report_style_text, report_report_text, report_sections_text;

namespace {

constexpr std::size_t kMaxPoints = 1500;
constexpr std::size_t kMaxFrames = 200;
constexpr std::size_t kMaxSamplesPerPrompt = 8;
constexpr std::size_t kMaxSampleBytes = 4000;
constexpr std::size_t kMaxSkipped = 100;

// Six digits are more than a screen shows.
double rounded(double v) {
  const std::string text = fmt::format("{:.6g}", v);
  double result = v;
  std::from_chars(text.data(), text.data() + text.size(), result);
  return result;
}

// The lines of a file of the run; of a run in phases, those of all phases, with steps and tokens counted on.
std::vector<JsonObject> lines_of(const std::filesystem::path& folder, const char* file) {
  if (std::filesystem::exists(folder / file)) return read_json_log(folder / file);
  std::vector<JsonObject> all;
  std::int64_t step = 0, tokens = 0;
  for (int phase = 1; std::filesystem::is_directory(folder / str_cat("phase-", phase)); ++phase) {
    const std::filesystem::path inside = folder / str_cat("phase-", phase);
    for (JsonObject& line : read_json_log(inside / file)) {
      line["step"] = line.at("step").get_int64() + step;
      if (Json* const count = line.if_contains("tokens"); count != nullptr && count->is_int64())
        *count = count->get_int64() + tokens;
      all.push_back(std::move(line));
    }
    const std::vector<JsonObject> metrics = read_json_log(inside / "metrics.jsonl");
    if (metrics.empty()) continue;
    step += metrics.back().at("step").get_int64();
    if (const Json* const count = metrics.back().if_contains("tokens"); count != nullptr && count->is_int64())
      tokens += count->get_int64();
  }
  return all;
}

std::optional<double> number_at(const JsonObject& line, std::string_view key) {
  const Json* const value = line.if_contains(key);
  if (value == nullptr || !value->is_number()) return std::nullopt;
  return value->to_number<double>();
}

// [first, last) of the lines that become point i of n.
std::pair<std::size_t, std::size_t> bucket(std::size_t i, std::size_t n, std::size_t lines) {
  return {i * lines / n, (i + 1) * lines / n};
}

// Lines as {"key": [values]}, means over equal runs of lines where there are too many. Counters keep their last value.
JsonObject columns_of(const std::vector<JsonObject>& lines) {
  std::vector<std::string> keys;
  for (const JsonObject& line : lines)
    for (const auto& [key, value] : line)
      if (value.is_number() && std::ranges::find(keys, key) == keys.end()) keys.emplace_back(key);
  const std::size_t points = std::min(lines.size(), kMaxPoints);
  JsonObject columns;
  for (const std::string& key : keys) {
    const bool counter = key == "step" || key == "tokens";
    JsonArray values;
    for (std::size_t i = 0; i < points; ++i) {
      const auto [first, last] = bucket(i, points, lines.size());
      double sum = 0.0, latest = 0.0;
      int count = 0;
      for (std::size_t at = first; at < last; ++at)
        if (const auto v = number_at(lines[at], key)) sum += *v, latest = *v, ++count;
      if (count == 0)
        values.emplace_back(nullptr);
      else if (counter)
        values.emplace_back(static_cast<std::int64_t>(latest));
      else
        values.emplace_back(rounded(sum / count));
    }
    columns[key] = std::move(values);
  }
  return columns;
}

// Seconds that the steps took, from their tokens and rates.
double seconds_of(const std::vector<JsonObject>& lines) {
  double seconds = 0.0, before = 0.0;
  for (const JsonObject& line : lines) {
    const auto tokens = number_at(line, "tokens"), rate = number_at(line, "tokens_per_second");
    if (tokens && rate && *rate > 0) seconds += (*tokens - before) / *rate;
    if (tokens) before = *tokens;
  }
  return seconds;
}

// Shares of the mean, to three decimals; a layer without tokens is all ones.
JsonArray shares_of(const Json& counts, std::string_view where) {
  const auto values = json_as<std::vector<double>>(counts, where);
  double sum = 0.0;
  for (const double v : values) sum += v;
  JsonArray shares;
  for (const double v : values)
    shares.emplace_back(sum > 0 ? std::round(1000 * v * static_cast<double>(values.size()) / sum) / 1000 : 1.0);
  return shares;
}

// `first_layer`: number of the first MoE layer.
Json experts_of(const std::vector<JsonObject>& lines, const std::string& file, std::int64_t first_layer) {
  JsonArray steps, load;
  const std::size_t frames = std::min(lines.size(), kMaxFrames);
  for (std::size_t i = 0; i < frames; ++i) {
    const Json line(lines[bucket(i, frames, lines.size()).second - 1]);
    ObjectReader reader(line, file);
    steps.emplace_back(reader.get<std::int64_t>("step"));
    const Json& rows = reader.value("load");
    if (!rows.is_array() || rows.get_array().empty()) reader.reject("load", "a list of counts for each MoE layer");
    JsonArray frame;
    for (const Json& row : rows.get_array()) frame.emplace_back(shares_of(row, reader.at("load")));
    if (!load.empty() &&
        (load[0].get_array().size() != frame.size() || load[0].at(0).get_array().size() != frame[0].get_array().size()))
      reader.reject("load", "as many layers and experts as in the lines before");
    load.emplace_back(std::move(frame));
  }
  if (frames == 0) return nullptr;
  JsonArray layers;
  for (std::size_t i = 0; i < load[0].get_array().size(); ++i)
    layers.emplace_back(first_layer + static_cast<std::int64_t>(i));
  return JsonObject{{"steps", std::move(steps)}, {"layers", std::move(layers)}, {"load", std::move(load)}};
}

// `text` cut to `max_bytes`, between code points.
std::string cut(std::string_view text, std::size_t max_bytes) {
  if (text.size() <= max_bytes) return std::string(text);
  std::size_t end = max_bytes;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return std::string(text.substr(0, end)) + " ...";
}

JsonArray samples_of(const std::vector<JsonObject>& lines, const std::string& file) {
  std::vector<std::pair<std::string, std::vector<JsonObject>>> by_prompt;
  for (const JsonObject& line : lines) {
    const Json value(line);
    ObjectReader reader(value, file);
    const std::string prompt = reader.get_or<std::string>("prompt", "");
    auto it = std::ranges::find(by_prompt, prompt, [](const auto& entry) { return entry.first; });
    if (it == by_prompt.end()) it = by_prompt.insert(by_prompt.end(), {prompt, {}});
    it->second.push_back({{"step", reader.get<std::int64_t>("step")},
                          {"prompt", prompt},
                          {"text", cut(reader.get<std::string>("text"), kMaxSampleBytes)}});
  }
  JsonArray samples;
  for (const auto& [prompt, of_prompt] : by_prompt) {
    // The first, the last, and others evenly between them.
    const std::size_t shown = std::min(of_prompt.size(), kMaxSamplesPerPrompt);
    for (std::size_t i = 0; i < shown; ++i)
      samples.emplace_back(of_prompt[shown == 1 ? 0 : i * (of_prompt.size() - 1) / (shown - 1)]);
  }
  return samples;
}

// One grid of extension.json as the page wants it: [depth][length] of 0..1.
JsonObject needle_of(const Json& grid, const std::string& at, std::string_view label) {
  ObjectReader reader(grid, at);
  const auto lengths = reader.get<std::vector<int>>("lengths");
  const auto depths = reader.get<std::vector<double>>("depths");
  const Json& scores = reader.value("scores");
  HADAL_CHECK(scores.is_array() && scores.get_array().size() == lengths.size(), reader.at("scores"),
              ": want one row per length");
  JsonArray rows(depths.size(), JsonArray());
  for (const Json& row : scores.get_array()) {
    const auto of_length = json_as<std::vector<double>>(row, reader.at("scores"));
    HADAL_CHECK(of_length.size() == depths.size(), reader.at("scores"), ": want one score per depth");
    for (std::size_t d = 0; d < depths.size(); ++d) rows[d].get_array().emplace_back(rounded(of_length[d] / 10));
  }
  return {{"label", label},
          {"lengths", JsonArray(lengths.begin(), lengths.end())},
          {"depths", JsonArray(depths.begin(), depths.end())},
          {"scores", std::move(rows)}};
}

// Bits per byte by position: of every list in extension.json, or of the last validation.
Json positions_of(const JsonObject& extension, const std::vector<JsonObject>& validation) {
  JsonArray series;
  for (const auto& [key, value] : extension)
    if (value.is_array()) series.push_back(JsonObject{{"name", key}, {"values", value}});
  if (!series.empty()) return JsonObject{{"seq_length", extension.at("seq_length")}, {"series", std::move(series)}};
  const char* const key = "bits_per_byte_by_position";
  if (validation.empty() || !validation.back().contains(key)) return nullptr;
  for (const JsonObject* line : {&validation.front(), &validation.back()})
    if (const Json* const values = line->if_contains(key); values != nullptr && series.size() < validation.size())
      series.push_back(JsonObject{{"name", str_cat("step ", line->at("step").get_int64())}, {"values", *values}});
  return JsonObject{{"series", std::move(series)}};
}

// first_k_dense_replace of the model in the manifest.
std::int64_t dense_layers(const Json& manifest) {
  if (!manifest.is_object() || !manifest.get_object().contains("model")) return 0;
  const Json& model = manifest.at("model");
  if (!model.is_object()) return 0;
  return ObjectReader(model, "manifest.json", "model").get_or<std::int64_t>("first_k_dense_replace", 0);
}

void replace(std::string& text, std::string_view what, std::string_view with) {
  const std::size_t at = text.find(what);
  HADAL_CHECK(at != std::string::npos, "report page: ", what, " is missing");
  text.replace(at, what.size(), with);
}

}  // namespace

JsonObject report_data(const std::filesystem::path& folder) {
  HADAL_CHECK(std::filesystem::is_directory(folder), folder.string(), ": no run folder");
  const auto json_file = [](const std::filesystem::path& path) {
    return std::filesystem::exists(path) ? read_json_file(path) : Json();
  };
  Json manifest = json_file(folder / "manifest.json");
  if (manifest.is_null()) manifest = json_file(folder / "phase-1" / "manifest.json");
  const Json extension_value = json_file(folder / "extension.json");
  const JsonObject extension = extension_value.is_object() ? extension_value.get_object() : JsonObject();

  const std::vector<JsonObject> metrics = lines_of(folder, "metrics.jsonl");
  const std::vector<JsonObject> validation = lines_of(folder, "validation.jsonl");
  JsonArray skipped, needle;
  for (const JsonObject& line : metrics)
    if (line.contains("skipped") && skipped.size() < kMaxSkipped)
      skipped.push_back(JsonObject{{"step", line.at("step")}, {"reason", line.at("skipped")}});
  for (const auto& [key, label] : {std::pair("needle_before", "before"), std::pair("needle_after", "after")})
    if (const Json* const grid = extension.if_contains(key))
      needle.push_back(needle_of(*grid, str_cat((folder / "extension.json").string(), ": ", key), label));
  const auto name = [&](const char* file) { return (folder / file).string(); };
  return {{"name", std::filesystem::weakly_canonical(folder).filename().string()},
          {"made", now_utc()},
          {"seconds", rounded(seconds_of(metrics))},
          {"metrics", columns_of(metrics)},
          {"validation", columns_of(validation)},
          {"positions", positions_of(extension, validation)},
          {"experts", experts_of(lines_of(folder, "experts.jsonl"), name("experts.jsonl"), dense_layers(manifest))},
          {"samples", samples_of(lines_of(folder, "samples.jsonl"), name("samples.jsonl"))},
          {"needle", std::move(needle)},
          {"skipped", std::move(skipped)},
          {"manifest", std::move(manifest)}};
}

JsonObject metric_columns(const std::filesystem::path& folder) {
  return columns_of(lines_of(folder, "metrics.jsonl"));
}

std::string report_page(const JsonObject& data, std::string_view script) {
  // "<" could end the script element that holds the data.
  std::string json = json_line(data);
  for (std::size_t at = 0; (at = json.find('<', at)) != std::string::npos;) json.replace(at, 1, "\\u003c");
  std::string title;
  for (const char c : std::string(data.at("name").get_string()))
    title += c == '<' ? "&lt;" : c == '&' ? "&amp;" : std::string(1, c);
  std::string page(report_page_text);
  replace(page, "@TITLE@", title);
  replace(page, "@STYLE@", report_style_text);
  replace(page, "@SCRIPT@", str_cat(report_report_text, "\n", script));
  replace(page, "@DATA@", json);
  return page;
}

std::filesystem::path write_report(const std::filesystem::path& folder) {
  std::filesystem::path path = folder / "report.html";
  write_file_atomically(path, report_page(report_data(folder), report_sections_text));
  return path;
}

int cmd_report(Args args) {
  struct Options {
    std::string run;
    void visit(OptionTable& v) { v("run", run, "run folder", {.required = true, .positional = true}); }
  } options;
  if (!parse_options(options, args,
                     {.verb = "report", .about = "HTML report of a run folder, from what it has so far"}))
    return 0;
  fmt::print("{}\n", write_report(options.run).string());
  return 0;
}

}  // namespace hadal
