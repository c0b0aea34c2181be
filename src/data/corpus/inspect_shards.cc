#include "data/corpus/inspect_shards.h"

#include <algorithm>
#include <map>
#include <optional>

#include "base/utf8.h"
#include "data/corpus/language.h"
#include "data/corpus/prepare_counts.h"
#include "data/corpus/text_class.h"
#include "data/tokenizer/presets.h"
#include "data/tokenizer/tokenizer.h"
#include "formats/token_shard.h"

namespace hadal {
namespace {

namespace fs = std::filesystem;

constexpr std::array<std::string_view, 3> kFimNames = {"none", "psm", "spm"};

std::string name_of(std::span<const std::string_view> names, std::size_t i) {
  return i < names.size() ? std::string(names[i]) : str_cat(i);
}

class ShardInspector {
 public:
  ShardInspector(const TokenShard& shard, const Tokenizer* tokenizer) : shard_(shard), tokenizer_(tokenizer) {
    if (tokenizer_ == nullptr) return;
    HADAL_CHECK(tokenizer_->vocab_size() >= shard.vocab_size(), "the tokenizer has ", tokenizer_->vocab_size(),
                " ids, the shard ", shard.vocab_size());
    for (const char* name : {kFimBeginToken, kFimHoleToken, kFimEndToken})
      fim_ids_.push_back(tokenizer->added_id(name));
  }

  JsonObject summary() const {
    std::map<std::string, std::int64_t> classes, languages;
    std::int64_t psm = 0, spm = 0, continued = 0;
    for (index_t d = 0; d < shard_.num_documents(); ++d) {
      const DocumentInfo info = shard_.document_info(d);
      continued += info.continued ? 1 : 0;
      if (info.continued) continue;
      ++classes[name_of(kTextClassNames, info.text_class)];
      ++languages[name_of(kLanguageCodes, info.language)];
      psm += info.fim == FimKind::kPsm ? 1 : 0;
      spm += info.fim == FimKind::kSpm ? 1 : 0;
    }
    const double room = static_cast<double>(shard_.num_sequences()) * static_cast<double>(shard_.sequence_length());
    return {{"vocab_size", shard_.vocab_size()},
            {"documents", shard_.num_documents() - continued},
            {"continued", continued},
            {"tokens", shard_.num_tokens()},
            {"sequences", shard_.num_sequences()},
            {"sequence_length", shard_.sequence_length()},
            {"sequence_fill", room > 0 ? static_cast<double>(shard_.num_tokens()) / room : 0.0},
            {"classes", JsonObject(classes.begin(), classes.end())},
            {"languages", JsonObject(languages.begin(), languages.end())},
            {"fim", JsonObject{{"psm", psm}, {"spm", spm}}},
            {"checksum", fmt::format("{:016x}", shard_.checksum())}};
  }

  JsonObject document(index_t d) const {
    const DocumentInfo info = shard_.document_info(d);
    const index_t begin = shard_.document_begin(d), length = shard_.document_length(d);
    JsonObject shown{{"document", d},
                     {"begin", begin},
                     {"tokens", length},
                     {"class", name_of(kTextClassNames, info.text_class)},
                     {"language", name_of(kLanguageCodes, info.language)},
                     {"source", static_cast<int>(info.source)},
                     {"fim", std::string(kFimNames[static_cast<std::size_t>(info.fim)])},
                     {"continued", info.continued}};
    if (shard_.num_sequences() > 0) shown["sequences"] = sequences_of(begin, length);
    std::vector<int> ids(static_cast<std::size_t>(std::min<index_t>(length, kMaxShown)));
    shard_.read(d, 0, ids);
    if (tokenizer_ == nullptr)
      shown["ids"] = JsonArray(ids.begin(), ids.begin() + std::min<std::ptrdiff_t>(std::ssize(ids), 24));
    else
      shown["parts"] = parts_of(ids);
    return shown;
  }

 private:
  static constexpr index_t kMaxShown = 1 << 16;

  /// The sequences that a stretch of tokens lies in: {"sequence", "from", "to"}, places in the sequence. With masks,
  /// attention begins at "from".
  JsonArray sequences_of(index_t begin, index_t length) const {
    index_t low = 0, high = shard_.num_sequences();
    while (high - low > 1) {
      const index_t middle = (low + high) / 2;
      (shard_.sequence_begin(middle) <= begin ? low : high) = middle;
    }
    JsonArray list;
    for (index_t s = low; s < shard_.num_sequences() && shard_.sequence_begin(s) < begin + length; ++s) {
      const index_t first = shard_.sequence_begin(s), behind = shard_.sequence_begin(s + 1);
      list.push_back(JsonObject{
          {"sequence", s}, {"from", std::max(begin, first) - first}, {"to", std::min(begin + length, behind) - first}});
    }
    return list;
  }

  /// Files need not call the tokens of FIM special.
  bool is_control(int id) const {
    return tokenizer_->is_special(id) || std::find(fim_ids_.begin(), fim_ids_.end(), id) != fim_ids_.end();
  }

  /// The text between control tokens, and these by their names: {"control"} or {"from", "tokens", "text"}.
  JsonArray parts_of(const std::vector<int>& ids) const {
    JsonArray parts;
    for (std::size_t i = 0; i < ids.size();) {
      if (is_control(ids[i])) {
        parts.push_back(JsonObject{{"control", std::string(tokenizer_->token_bytes(ids[i]))}});
        ++i;
        continue;
      }
      std::size_t end = i;
      while (end < ids.size() && !is_control(ids[end])) ++end;
      const std::string text = tokenizer_->decode(std::span(ids).subspan(i, end - i));
      parts.push_back(JsonObject{{"from", static_cast<std::int64_t>(i)},
                                 {"tokens", static_cast<std::int64_t>(end - i)},
                                 {"text", excerpt(text, 240)}});
      i = end;
    }
    return parts;
  }

  const TokenShard& shard_;
  const Tokenizer* tokenizer_;
  std::vector<int> fim_ids_;
};

std::vector<fs::path> shards_of(const fs::path& path) {
  if (!fs::is_directory(path)) return {path};
  const Json manifest = read_json_file(path / "manifest.json");
  ObjectReader reader(manifest, (path / "manifest.json").string());
  std::vector<fs::path> shards;
  const Json& list = reader.value("shards");
  HADAL_CHECK(list.is_array(), reader.at("shards"), ": want a list");
  for (const Json& entry : list.get_array()) {
    const auto file = ObjectReader(entry, (path / "manifest.json").string(), "shards").get<std::string>("file");
    HADAL_CHECK(file.find("..") == std::string::npos, path.string(), ": the shard \"", file, "\" is outside");
    shards.push_back(path / file);
  }
  return shards;
}

}  // namespace

JsonObject inspect_shards(const ShardInspectOptions& options) {
  std::optional<Tokenizer> tokenizer;
  if (!options.tokenizer.empty())
    tokenizer = Tokenizer::load(options.tokenizer);
  else if (fs::exists(options.path / "tokenizer" / "tokenizer.json"))
    tokenizer = Tokenizer::load(options.path / "tokenizer");
  JsonArray shards;
  std::int64_t tokens = 0;
  for (const fs::path& path : shards_of(options.path)) {
    const TokenShard shard(path);
    const ShardInspector inspector(shard, tokenizer ? &*tokenizer : nullptr);
    JsonObject found{{"file", path.string()}};
    for (auto& entry : inspector.summary()) found.insert(entry);
    JsonArray shown;
    for (index_t d = 0; d < std::min<index_t>(options.documents, shard.num_documents()); ++d)
      shown.push_back(inspector.document(d));
    found["show"] = std::move(shown);
    tokens += shard.num_tokens();
    shards.push_back(std::move(found));
  }
  return {{"shards", std::move(shards)}, {"tokens", tokens}};
}

std::string shards_text(const JsonObject& found) {
  std::string text;
  for (const Json& shard : found.at("shards").as_array()) {
    const auto number = [&](const Json& of, const char* key) { return of.at(key).to_number<std::int64_t>(); };
    text += fmt::format("{}: {} documents ({} more pieces), {} tokens of {} ids",
                        std::string_view(shard.at("file").as_string()), number(shard, "documents"),
                        number(shard, "continued"), number(shard, "tokens"), number(shard, "vocab_size"));
    if (number(shard, "sequences") > 0)
      text += fmt::format(", {} sequences of {} ({:.1f}% full)", number(shard, "sequences"),
                          number(shard, "sequence_length"), 100 * shard.at("sequence_fill").to_number<double>());
    text += fmt::format("\n  classes {}  languages {}  fim {}\n", json_line(shard.at("classes")),
                        json_line(shard.at("languages")), json_line(shard.at("fim")));
    for (const Json& d : shard.at("show").as_array()) {
      text += fmt::format("  document {}: tokens [{}, {}), {}, {}, fim {}{}\n", number(d, "document"),
                          number(d, "begin"), number(d, "begin") + number(d, "tokens"),
                          std::string_view(d.at("class").as_string()), std::string_view(d.at("language").as_string()),
                          std::string_view(d.at("fim").as_string()), d.at("continued").as_bool() ? ", continued" : "");
      if (const Json* sequences = d.as_object().if_contains("sequences"))
        for (const Json& s : sequences->as_array())
          text += fmt::format("    sequence {}: places [{}, {})\n", number(s, "sequence"), number(s, "from"),
                              number(s, "to"));
      if (const Json* ids = d.as_object().if_contains("ids")) text += fmt::format("    ids {}\n", json_line(*ids));
      if (const Json* parts = d.as_object().if_contains("parts"))
        for (const Json& part : parts->as_array())
          text += part.as_object().contains("control")
                      ? fmt::format("    {}\n", std::string_view(part.at("control").as_string()))
                      : fmt::format("    {} tokens: {}\n", number(part, "tokens"), json_line(part.at("text")));
    }
  }
  return text;
}

}  // namespace hadal
