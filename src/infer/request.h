#pragma once
// What is asked of the engine, and what it answers, token by token.
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace hadal {

/// How the next token is drawn. The steps run in the order of the fields below; defaults are OpenAI's: the model's own
/// distribution. Steps that remove tokens never remove all of them.
struct SamplingParams {
  std::map<int, float> logit_bias;  // added first; -infinity bans an id
  double repetition_penalty = 1;    // logit > 0 ? / : *, for ids of the prompt and of the answer (Hugging Face)
  double frequency_penalty = 0;     // times how often the answer holds the id (OpenAI)
  double presence_penalty = 0;      // once when the answer holds the id (OpenAI)
  double temperature = 1;           // 0: the likeliest token, the lowest id among equals; nothing below matters then
  int top_k = 0;                    // the k likeliest; 0: all
  double typical_p = 1;             // locally typical sampling; 1: all
  double top_p = 1;                 // the fewest that together have this probability, the last one included; 1: all
  double min_p = 0;                 // at least this times the probability of the likeliest
  double top_n_sigma = 0;           // logit >= max - n * standard deviation; 0: all
  std::uint64_t seed = 0;           // a seed gives the same answer whatever else runs
};

struct StopParams {
  int max_tokens = 128;            // of the answer, thinking included
  int min_tokens = 0;              // before that many nothing ends the answer but max_tokens
  std::vector<std::string> texts;  // end the answer before this text, also where it spans tokens
  std::vector<int> ids;            // end the answer, besides the model's own end-of-sequence ids
  bool ignore_eos = false;
  /// An answer whose last tokens are one passage over and over, so many tokens of it at least and four times at least,
  /// ends with kRepetition; while it thinks only the thinking ends, as at its budget. 0: never.
  int repetition_guard = 0;
};

/// How long the model may think. Needs a tokenizer.
struct ThinkingParams {
  bool inside = false;  // the prompt ends inside of <think>
  int budget = -1;      // most tokens between <think> and </think>; -1: as many as it wants
  /// Put in the model's mouth when its thinking has to end (ChatPrompt::think_end).
  std::string end = "\n</think>\n\n";
};

enum class FinishReason : std::uint8_t { kNone, kStop, kLength, kRepetition, kCancelled, kError };

struct Usage {
  std::int64_t prompt_tokens = 0, cached_tokens = 0, completion_tokens = 0;
  std::int64_t thinking_tokens = 0;  // of the completion, where thinking was watched (ThinkingParams)
  bool thinking_cut = false;         // it was ended for the model
  std::int64_t drafted_tokens = 0, accepted_tokens = 0;  // of speculation
  double queue_seconds = 0, prefill_seconds = 0, decode_seconds = 0;
};

struct TokenLogprob {
  int id = -1;
  float logprob = 0;  // natural log, of the model's own distribution, before bias, penalties and temperature
};

/// One token of one answer, or the end of it.
struct TokenEvent {
  std::uint64_t request = 0;
  int choice = 0;                 // of Request::n
  int token = -1;                 // -1: no token, only text that was held back, or the end
  std::string text;               // what can be shown now: whole characters, nothing of a stop text. May be empty
  TokenLogprob logprob;           // of `token`, with Request::logprobs >= 0
  std::vector<TokenLogprob> top;  // the likeliest, best first, when asked for
  FinishReason finish = FinishReason::kNone;  // set: the last event of this choice
  std::string error;                          // with kError
  Usage usage;                                // of this choice, with `finish`
};

/// Called on the engine's thread; must not block and must not call the engine.
using TokenSink = std::function<void(const TokenEvent&)>;

struct Request {
  std::vector<int> prompt;
  int n = 1;  // answers; they share the prompt's cache. Choice c samples with seed + c
  SamplingParams sampling;
  StopParams stop;
  std::optional<ThinkingParams> thinking;  // nothing: <think> means nothing here
  int logprobs = -1;                       // >= 0: logprob of each token, and so many of the likeliest
  bool prompt_logprobs = false;  // reported first: one event for each prompt token but the first, with choice -1
  bool speculate = true;         // allow the engine's speculation; the answer is the same either way
  int priority = 0;              // higher goes first; among equals first come, first served
  TokenSink sink;
};

}  // namespace hadal
