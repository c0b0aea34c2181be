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
constexpr std::size_t kMaxGuardLines = 100;

// Six digits are more than a screen shows.
double rounded(double v) {
  const std::string text = fmt::format("{:.6g}", v);
  double result = v;
  std::from_chars(text.data(), text.data() + text.size(), result);
  return result;
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

Json experts_of(const std::vector<JsonObject>& lines, const std::string& file) {
  JsonArray steps, load;
  const std::size_t frames = std::min(lines.size(), kMaxFrames);
  const Json* layers = nullptr;
  for (std::size_t i = 0; i < frames; ++i) {
    const Json line(lines[bucket(i, frames, lines.size()).second - 1]);
    ObjectReader reader(line, file);
    steps.emplace_back(reader.get<std::int64_t>("step"));
    layers = lines.front().if_contains("layers");
    const Json& rows = reader.value("load");
    HADAL_CHECK(rows.is_array() && !rows.get_array().empty() && layers != nullptr && layers->is_array() &&
                    layers->get_array().size() == rows.get_array().size(),
                reader.at("load"), ": want one list of counts per layer of \"layers\"");
    JsonArray frame;
    for (const Json& row : rows.get_array()) frame.emplace_back(shares_of(row, reader.at("load")));
    load.emplace_back(std::move(frame));
  }
  if (frames == 0) return nullptr;
  return JsonObject{{"steps", std::move(steps)}, {"layers", *layers}, {"load", std::move(load)}};
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

JsonArray needle_of(const std::vector<JsonObject>& lines, const std::string& file) {
  JsonArray runs;
  for (const JsonObject& line : lines) {
    const Json value(line);
    ObjectReader reader(value, file);
    const auto lengths = reader.get<std::vector<int>>("lengths");
    const auto depths = reader.get<std::vector<double>>("depths");
    const Json& scores = reader.value("scores");
    bool fits = scores.is_array() && scores.get_array().size() == depths.size();
    for (std::size_t i = 0; fits && i < depths.size(); ++i)
      fits = json_as<std::vector<double>>(scores.at(i), reader.at("scores")).size() == lengths.size();
    HADAL_CHECK(fits, reader.at("scores"), ": want [", depths.size(), " depths][", lengths.size(), " lengths]");
    runs.emplace_back(line);
  }
  return runs;
}

void replace(std::string& text, std::string_view what, std::string_view with) {
  const std::size_t at = text.find(what);
  HADAL_CHECK(at != std::string::npos, "report page: ", what, " is missing");
  text.replace(at, what.size(), with);
}

}  // namespace

JsonObject report_data(const std::filesystem::path& folder) {
  HADAL_CHECK(std::filesystem::is_directory(folder), folder.string(), ": no run folder");
  const auto lines = [&](const char* file) { return read_json_log(folder / file); };
  const auto name = [&](const char* file) { return (folder / file).string(); };
  const std::vector<JsonObject> metrics = lines("metrics.jsonl");
  JsonObject data = {{"name", std::filesystem::weakly_canonical(folder).filename().string()},
                     {"made", now_utc()},
                     {"seconds", rounded(seconds_of(metrics))},
                     {"metrics", columns_of(metrics)},
                     {"eval", columns_of(lines("eval.jsonl"))},
                     {"experts", experts_of(lines("experts.jsonl"), name("experts.jsonl"))},
                     {"samples", samples_of(lines("samples.jsonl"), name("samples.jsonl"))},
                     {"needle", needle_of(lines("needle.jsonl"), name("needle.jsonl"))}};
  const std::vector<JsonObject> guard = lines("guard.jsonl");
  JsonArray events;
  for (const JsonObject& line : guard)
    if (events.size() < kMaxGuardLines) events.emplace_back(line);
  data["guard"] = std::move(events);
  if (std::filesystem::exists(folder / "manifest.json")) data["manifest"] = read_json_file(folder / "manifest.json");
  return data;
}

std::string report_page(const JsonObject& data) {
  // "<" could end the script element that holds the data.
  std::string json = json_line(data);
  for (std::size_t at = 0; (at = json.find('<', at)) != std::string::npos;) json.replace(at, 1, "\\u003c");
  std::string title;
  for (const char c : std::string(data.at("name").get_string()))
    title += c == '<' ? "&lt;" : c == '&' ? "&amp;" : std::string(1, c);
  std::string page(report_page_text);
  replace(page, "@TITLE@", title);
  replace(page, "@STYLE@", report_style_text);
  replace(page, "@SCRIPT@", str_cat(report_report_text, "\n", report_sections_text));
  replace(page, "@DATA@", json);
  return page;
}

std::filesystem::path write_report(const std::filesystem::path& folder) {
  std::filesystem::path path = folder / "report.html";
  write_file_atomically(path, report_page(report_data(folder)));
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
