#pragma once
// Rewards that look at the text of a response alone.
#include <string_view>

#include "base/parallel.h"

namespace hadal {

/// 1 when the whole response is <think>reasoning</think> and an answer after it, each tag once, nothing empty; with
/// `answer_tags` the answer stands in <answer>...</answer> and nothing after it. Otherwise 0. A prompt that ends with
/// <think> has opened the tag already: the response then must not. (DeepSeek-R1, 2.2.2.)
double format_reward(std::string_view prompt, std::string_view response, bool answer_tags);

/// A softer form: the share of the wanted tags that occur exactly once.
double tag_reward(std::string_view prompt, std::string_view response, bool answer_tags);

/// The share of words of the language among the words of a text (DeepSeek-R1, 2.3.2): characters of Han, kana and
/// Hangul are words, of other scripts the runs of letters with at least two. Formulas, code, commands of LaTeX and
/// digits do not count. 0 without words: saying nothing is not saying it in the right language. Languages that share a
/// script are not told apart. Throws Error for a language that is not known (is_known_language).
double language_consistency(std::string_view text, std::string_view language);
bool is_known_language(std::string_view language);

/// Soft punishment of what comes near the limit (DAPO, 3.4): 0 up to max_tokens - buffer, then linearly to -1.
double overlong_reward(index_t num_tokens, index_t max_tokens, index_t buffer);

/// Shorter is better when right, longer when wrong, along half a cosine: right 1 to 0.5, wrong -1 to -0.5.
double cosine_length_reward(index_t num_tokens, index_t max_tokens, bool correct);

/// Minus the share of n-grams that were there before: 0 for text without repetition or of less than n words, towards -1
/// for one that runs in a circle. Words are those of language_consistency, digits and signs aside.
double repetition_reward(std::string_view text, int n);

}  // namespace hadal
