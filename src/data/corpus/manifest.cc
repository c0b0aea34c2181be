#include "data/corpus/manifest.h"

#include <algorithm>

#include "base/options.h"
#include "data/corpus/content_hash.h"

namespace hadal {
namespace {

double ratio(double part, double whole) {
  return whole <= 0 ? 0.0 : part / whole;
}

// Four digits behind the point are more than anybody reads.
double rounded(double v) {
  return static_cast<double>(static_cast<std::int64_t>(v * 1e4 + 0.5)) / 1e4;
}

JsonArray sources_json(const ManifestInputs& in) {
  // The hash of each file only where that is a short list.
  constexpr std::size_t kMaxFiles = 1000;
  JsonArray sources;
  for (std::size_t s = 0; s < in.sources.size(); ++s) {
    ContentHash hash;
    std::int64_t bytes = 0;
    JsonArray files;
    for (std::size_t f = 0; f < in.hashes[s].size(); ++f) {
      hash.add(in.hashes[s][f]);
      bytes += in.sources[s].bytes[f];
      if (in.hashes[s].size() <= kMaxFiles)
        files.push_back(JsonObject{{"path", in.sources[s].files[f].path.string()}, {"hash", in.hashes[s][f]}});
    }
    const std::string prefix = "source." + in.options.sources[s].name + ".";
    sources.push_back(JsonObject{{"name", in.options.sources[s].name},
                                 {"num_files", static_cast<std::int64_t>(in.hashes[s].size())},
                                 {"bytes", bytes},
                                 {"hash", hash.hex()},
                                 {"records", in.counts.number(prefix + "records")},
                                 {"clean_documents", in.counts.number(prefix + "clean_documents")},
                                 {"files", std::move(files)}});
  }
  return sources;
}

JsonArray stages_json(const PrepareCounts& counts) {
  JsonArray stages;
  for (const auto& [name, s] : counts.stages())
    if (s.documents_in > 0)
      stages.push_back(JsonObject{{"name", name},
                                  {"documents_in", s.documents_in},
                                  {"documents_out", s.documents_out},
                                  {"bytes_in", s.bytes_in},
                                  {"bytes_out", s.bytes_out}});
  return stages;
}

JsonArray filters_json(const PrepareCounts& counts) {
  std::vector<std::pair<std::string, const FilterCount*>> sorted;
  for (const auto& [name, f] : counts.filters()) sorted.emplace_back(name, &f);
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const auto& a, const auto& b) { return a.second->documents > b.second->documents; });
  JsonArray filters;
  for (const auto& [name, f] : sorted)
    filters.push_back(
        JsonObject{{"name", name}, {"documents", f->documents}, {"bytes", f->bytes}, {"samples", f->samples}});
  return filters;
}

/// Numbers whose names begin with `prefix`, without it.
JsonObject numbers_json(const PrepareCounts& counts, std::string_view prefix) {
  JsonObject numbers;
  for (const auto& [name, n] : counts.numbers())
    if (name.starts_with(prefix)) numbers[name.substr(prefix.size())] = n;
  return numbers;
}

JsonObject near_json(const ManifestInputs& in) {
  const NearDuplicateOptions& o = in.options.dedup.near;
  JsonObject near{{"ngram", o.ngram}, {"bands", o.bands}, {"rows", o.rows}};
  const auto documents = static_cast<double>(in.counts.number("near.documents"));
  for (auto& [name, n] : numbers_json(in.counts, "near.")) near[name] = n;
  near["rate"] = rounded(ratio(
      static_cast<double>(in.counts.number("near.by_bands") + in.counts.number("near.by_similarity")), documents));
  near["rate_by_bands"] = rounded(ratio(static_cast<double>(in.counts.number("near.by_bands")), documents));
  return near;
}

JsonArray mix_json(const ShardPlan& plan) {
  JsonArray groups;
  for (std::size_t g = 0; g < plan.groups.size(); ++g)
    if (plan.groups[g].tokens > 0)
      groups.push_back(JsonObject{{"source", plan.groups[g].source},
                                  {"class", plan.groups[g].text_class},
                                  {"tokens", plan.groups[g].tokens},
                                  {"weight", plan.groups[g].weight},
                                  {"epochs", rounded(plan.groups[g].epochs)},
                                  {"tokens_taken", plan.tokens_taken[g]}});
  return groups;
}

JsonArray shards_json(const ManifestInputs& in) {
  JsonArray shards;
  for (const auto* list : {&in.train, &in.validation})
    for (const ShardSummary& s : *list)
      shards.push_back(JsonObject{{"file", "shards/" + s.path.filename().string()},
                                  {"split", list == &in.train ? "train" : "validation"},
                                  {"documents", s.documents},
                                  {"pieces", s.pieces},
                                  {"tokens", s.tokens},
                                  {"sequences", s.sequences},
                                  {"fim_psm", s.psm},
                                  {"fim_spm", s.spm},
                                  {"checksum", fmt::format("{:016x}", s.checksum)}});
  return shards;
}

JsonObject totals_json(const ManifestInputs& in) {
  std::int64_t documents = 0, pieces = 0, tokens = 0, sequences = 0, psm = 0, spm = 0;
  for (const ShardSummary& s : in.train) {
    documents += s.documents;
    pieces += s.pieces;
    tokens += s.tokens;
    sequences += s.sequences;
    psm += s.psm;
    spm += s.spm;
  }
  const double room = static_cast<double>(sequences) * in.options.pack.sequence_length;
  return {{"documents", documents},
          {"tokens", tokens},
          {"sequences", sequences},
          {"sequence_fill", rounded(ratio(static_cast<double>(tokens), room))},
          {"documents_cut", pieces - documents},
          {"fim_psm", psm},
          {"fim_spm", spm},
          {"fim_rate", rounded(ratio(static_cast<double>(psm + spm), static_cast<double>(documents)))}};
}

/// Seconds are processor time of all threads together, over all processes that worked on the corpus; MB are those that
/// went in.
JsonObject speed_json(const ManifestInputs& in) {
  JsonObject stages;
  double seconds = 0;
  for (const auto& [name, s] : in.counts.stages()) {
    const double mb = 1e-6 * static_cast<double>(s.bytes_in);
    stages[name] = JsonObject{{"seconds", rounded(s.seconds)}, {"mb_per_second", rounded(ratio(mb, s.seconds))}};
    seconds += s.seconds;
  }
  const auto& first = in.counts.stages().front().second;
  const double mb = 1e-6 * static_cast<double>(first.bytes_in);
  return {{"threads", in.threads},
          {"wall_seconds_of_last_process", rounded(in.wall_seconds)},
          {"seconds", rounded(seconds)},
          {"input_mb", rounded(mb)},
          {"mb_per_second_per_core", rounded(ratio(mb, seconds))},
          {"stages", std::move(stages)}};
}

}  // namespace

JsonObject data_manifest(const ManifestInputs& in) {
  DataPrepareOptions options = in.options;
  return {{"key", in.key},
          {"sources", sources_json(in)},
          {"stages", stages_json(in.counts)},
          {"filters", filters_json(in.counts)},
          {"languages", numbers_json(in.counts, "language.")},
          {"classes", numbers_json(in.counts, "class.")},
          {"masked", numbers_json(in.counts, "masked.")},
          {"removed_lines", JsonObject{{"by_rule", in.counts.number("boilerplate.lines_by_rule")},
                                       {"by_share", in.counts.number("boilerplate.lines_by_share")},
                                       {"duplicates", in.counts.number("dedup.lines")}}},
          {"near_duplicates", near_json(in)},
          {"decontamination", JsonObject{{"ngram", in.options.decontaminate.ngram},
                                         {"texts", in.evaluation.num_texts()},
                                         {"texts_too_short", in.evaluation.num_short_texts()},
                                         {"ngrams", in.evaluation.num_ngrams()}}},
          {"tokens", JsonObject{{"languages", numbers_json(in.counts, "tokens.language.")},
                                {"classes", numbers_json(in.counts, "tokens.class.")}}},
          {"mix", mix_json(in.plan)},
          {"train", totals_json(in)},
          {"tokenizer", JsonObject{{"path", "tokenizer"}, {"hash", in.tokenizer_hash}, {"vocab_size", in.vocab_size}}},
          {"shards", shards_json(in)},
          {"options", OptionTable(options).to_json()},
          {"speed", speed_json(in)}};
}

std::string summary_line(const PrepareCounts& counts) {
  std::vector<std::pair<std::int64_t, std::string>> sorted;
  for (const auto& [name, f] : counts.filters()) sorted.emplace_back(-f.documents, name);
  std::sort(sorted.begin(), sorted.end());
  std::string text = "dropped by filter:";
  for (std::size_t i = 0; i < std::min<std::size_t>(sorted.size(), 5); ++i)
    text += fmt::format(" {} {}", sorted[i].second, -sorted[i].first);
  return sorted.empty() ? "nothing was read" : text;
}

}  // namespace hadal
