#include "post/preference_data.h"

#include <algorithm>

#include "base/log.h"
#include "data/corpus/content_hash.h"
#include "data/sft/reader.h"

namespace hadal {
namespace {

constexpr std::size_t kBlock = 1024, kMaxProblems = 20;

/// The conversation of a record that ends with what stands under `key`.
Result<Conversation> conversation_of(const JsonObject& record, const char* key) {
  const Json* const answer = record.if_contains(key);
  if (answer == nullptr || answer->is_null()) return Failure{str_cat("has no \"", key, "\"")};
  const Json* const prompt = record.if_contains("prompt");
  JsonObject line;
  SftShape shape = SftShape::kMessages;
  if (prompt != nullptr && !prompt->is_null()) {
    line = {{"prompt", *prompt}, {"completion", *answer}};
    shape = SftShape::kPromptCompletion;
  } else {
    line = {{"messages", *answer}};
  }
  for (const char* extra : {"tools", "chat_template_kwargs"})
    if (const Json* const value = record.if_contains(extra)) line[extra] = *value;
  Result<Conversation> conversation = parse_conversation(line, shape);
  if (!conversation) return Failure{str_cat(key, ": ", conversation.message())};
  return conversation;
}

Result<Preference> encode(const SftEncoder& encoder, const Json& value, bool pairs) {
  if (!value.is_object()) return Failure{"is no object"};
  const JsonObject& record = value.as_object();
  Preference result;
  const auto number = [&](const char* key) {
    const Json* const v = record.if_contains(key);
    return v == nullptr || v->is_null() ? 0.0 : v->is_bool() ? (v->as_bool() ? 1.0 : 0.0) : json_as<double>(*v, key);
  };
  try {
    const std::vector<const char*> keys =
        pairs ? std::vector<const char*>{"chosen", "rejected"}
              : std::vector<const char*>{record.contains("prompt") ? "completion" : "messages"};
    for (const char* key : keys) {
      Result<Conversation> conversation = conversation_of(record, key);
      if (!conversation) return Failure{conversation.message()};
      MaskedSample sample = encoder.encode(std::move(conversation).value());
      if (sample.num_trained == 0) return Failure{str_cat(key, ": no token of it is an answer")};
      result.answers.push_back({std::move(sample.ids), std::move(sample.trained)});
    }
    if (pairs) {
      if (result.answers[0].ids == result.answers[1].ids) return Failure{"chosen and rejected are the same"};
      result.margin = number("margin");
    } else {
      if (!record.contains("label")) return Failure{"has no \"label\""};
      result.label = number("label");
      if (!(result.label >= 0 && result.label <= 1)) return Failure{"label is not in [0, 1]"};
    }
  } catch (const Error& e) {  // the template refuses this one
    return Failure{e.what()};
  }
  return result;
}

}  // namespace

std::int64_t PreferenceAnswer::num_trained() const {
  return trained.empty() ? 0 : std::count(trained.begin() + 1, trained.end(), 1);  // the first has no token before it
}

PreferenceEncoder::PreferenceEncoder(const Tokenizer& tokenizer, std::string_view where)
    : chat_(ChatTemplate::from_config(tokenizer.files().config, where)),
      encoder_(chat_, tokenizer, {.last_turn_only = true}) {}

Result<std::vector<int>> PreferenceEncoder::ids_of(const Json& record) const {
  const Result<SftShape> shape = detect_shape(record);
  if (!shape) return Failure{shape.message()};
  Result<Conversation> conversation = parse_conversation(record, shape.value());
  if (!conversation) return Failure{conversation.message()};
  try {
    return encoder_.encode(std::move(conversation).value()).ids;
  } catch (const Error& e) {  // the template refuses this one
    return Failure{e.what()};
  }
}

std::string template_text(const std::string& file) {
  return file.empty() ? std::string{} : read_file(file);
}

JsonObject PreferenceData::to_json() const {
  return {{"hash", hash},
          {"records", static_cast<std::int64_t>(records.size())},
          {"read", read},
          {"bad", bad},
          {"too_long", too_long}};
}

PreferenceData load_preferences(ThreadPool& pool, const SftEncoder& encoder, const std::vector<std::string>& files,
                                bool pairs, std::int64_t max_tokens) {
  PreferenceData data;
  struct Entry {
    Result<Json> value;
    std::string where;
  };
  std::vector<Entry> block;
  const auto flush = [&] {
    std::vector<Result<Preference>> results(block.size(), Failure{""});
    pool.parallel_for(static_cast<index_t>(block.size()), [&](index_t i, int) {
      const auto at = static_cast<std::size_t>(i);
      results[at] = block[at].value ? encode(encoder, block[at].value.value(), pairs)
                                    : Result<Preference>(Failure{block[at].value.message()});
    });
    for (std::size_t i = 0; i < block.size(); ++i) {
      ++data.read;
      if (!results[i]) {
        ++data.bad;
        if (data.problems.size() < kMaxProblems) data.problems.push_back(block[i].where + ": " + results[i].message());
        continue;
      }
      Preference record = std::move(results[i]).value();
      const bool fits = std::ranges::all_of(record.answers, [&](const PreferenceAnswer& a) {
        return static_cast<std::int64_t>(a.ids.size()) <= max_tokens;
      });
      if (fits)
        data.records.push_back(std::move(record));
      else
        ++data.too_long;
    }
    block.clear();
  };
  for (const std::string& path : files)
    read_records(path, [&](Result<Json>& value, index_t number) {
      block.push_back({std::move(value), str_cat(path, ":", number)});
      if (block.size() == kBlock) flush();
    });
  flush();
  if (data.bad > 0)
    log_warning(data.bad, " of ", data.read, " records could not be used; the first: ", data.problems.front());
  if (data.too_long > 0) log_warning(data.too_long, " records are longer than ", max_tokens, " tokens; left out");
  HADAL_CHECK(!data.records.empty(), "none of ", data.read, " records can be used",
              data.problems.empty() ? "" : "; the first problem: " + data.problems.front());
  ContentHash hash;  // of the ids themselves: tokenizer, template and limits count with that
  const auto add = [&](const auto& values) {
    hash.add({reinterpret_cast<const char*>(values.data()), values.size() * sizeof(values[0])});
  };
  for (const Preference& record : data.records) {
    for (const PreferenceAnswer& answer : record.answers) add(answer.ids), add(answer.trained);
    add(std::vector<double>{record.margin, record.label});
  }
  data.hash = "xxh3:" + hash.hex();
  return data;
}

void append_answer(Batch& batch, const PreferenceAnswer& answer) {
  if (batch.sequence_begins.empty()) batch.sequence_begins.push_back(0), batch.segment_begins.push_back(0);
  for (std::size_t t = 0; t < answer.ids.size(); ++t) {
    const bool has_target = t + 1 < answer.ids.size() && answer.trained[t + 1] != 0;
    batch.ids.push_back(answer.ids[t]);
    batch.targets.push_back(has_target ? answer.ids[t + 1] : -1);
    batch.positions.push_back(static_cast<int>(t));
  }
  batch.sequence_begins.push_back(static_cast<index_t>(batch.ids.size()));
  batch.segment_begins.push_back(static_cast<index_t>(batch.ids.size()));
}

}  // namespace hadal
