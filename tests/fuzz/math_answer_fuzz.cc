// A known answer and a given one, divided by a newline: every comparison ends soon, an answer equals itself, and
// looking for the answer in any text finds at most what is there.
#include "data/tasks/math_answer.h"

#include "data/tasks/text_rewards.h"
#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace hadal;
  return fuzz::refuse_or_accept([&] {
    const std::string_view text = fuzz::text_of(data, size);
    const std::string_view gold_text = text.substr(0, text.find('\n'));
    const std::string_view answer = gold_text.size() == text.size() ? text : text.substr(gold_text.size() + 1);
    const Result<MathGold> gold = MathGold::parse(gold_text);
    if (gold.ok()) {
      fuzz::require(gold.value().equals(gold_text));
      fuzz::require(gold.value().equals(answer) == gold.value().equals(answer));
    }
    fuzz::require(extract_math_answer(text).size() <= text.size());
    fuzz::require(language_consistency(text, "en") <= 1);
    fuzz::require(repetition_reward(text, 3) <= 0);
    fuzz::require(format_reward(gold_text, answer, true) <= tag_reward(gold_text, answer, true));
  });
}
