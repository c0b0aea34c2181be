#include "data/tasks/talk_task.h"

#include <fmt/format.h>

namespace hadal {
namespace {

// What is said in one language; {0} is a person, {1} a city.
struct Courtesy {
  std::string_view question, warm, curt;
};
struct Phrases {
  std::array<Courtesy, 4> courtesies;
  std::string_view thought;
  std::array<std::string_view, 20> people, cities;
};

constexpr Phrases kEnglish{
    {{{"Greet {0} from {1}.", "Hello {0}! How is life in {1}?", "Hello."},
      {"Thank {0} from {1}.", "Thank you, {0}! Greetings to {1}.", "Thanks."},
      {"Say goodbye to {0} from {1}.", "Goodbye, {0}! Have a good trip to {1}.", "Bye."},
      {"Wish {0} from {1} a good night.", "Good night, {0}! May {1} sleep well.", "Good night."}}},
    "A kind word for {0} from {1}.",
    {"Anna", "Tom",  "Mary", "John", "Lucy", "Paul", "Emma", "Jack", "Rosa", "Karl",
     "Nina", "Hugo", "Lily", "Owen", "Ruth", "Sam",  "Vera", "Walt", "Zoe",  "Ben"},
    {"Paris",  "London", "Rome",   "Berlin", "Madrid", "Vienna", "Oslo",  "Cairo", "Tokyo", "Lima",
     "Athens", "Lisbon", "Dublin", "Prague", "Warsaw", "Delhi",  "Quito", "Seoul", "Hanoi", "Boston"}};
constexpr Phrases kChinese{
    {{{"问候来自{1}的{0}。", "你好，{0}！{1}的生活怎么样？", "你好。"},
      {"感谢来自{1}的{0}。", "谢谢你，{0}！请代我问候{1}。", "谢谢。"},
      {"向来自{1}的{0}告别。", "再见，{0}！祝你回{1}一路平安。", "再见。"},
      {"祝来自{1}的{0}晚安。", "晚安，{0}！愿{1}也有好梦。", "晚安。"}}},
    "对来自{1}的{0}说句好话。",
    {"小明", "小红", "小华", "小丽", "小强", "小芳", "小军", "小燕", "小林", "小雪",
     "小龙", "小梅", "小刚", "小兰", "小平", "小玉", "小东", "小云", "小天", "小海"},
    {"巴黎", "伦敦",   "罗马",   "柏林",   "马德里", "维也纳", "奥斯陆", "开罗", "东京", "利马",
     "雅典", "里斯本", "都柏林", "布拉格", "华沙",   "德里",   "基多",   "首尔", "河内", "波士顿"}};

// Who is spoken to, and how.
struct Scene {
  std::size_t courtesy, person, city;
  explicit Scene(TaskDraws& draws)
      : courtesy(static_cast<std::size_t>(draws.below(4))),
        person(static_cast<std::size_t>(draws.below(20))),
        city(static_cast<std::size_t>(draws.below(20))) {}
  std::string say(const Phrases& p, std::string_view form) const {
    return fmt::format(fmt::runtime(form), p.people[person], p.cities[city]);
  }
  std::string warm(const Phrases& p) const { return say(p, p.courtesies[courtesy].warm); }
};

const Phrases& phrases(bool chinese) {
  return chinese ? kChinese : kEnglish;
}

}  // namespace

GeneratedTask talk_task(std::string_view language, TaskDraws& draws) {
  const bool chinese = language == "zh";
  const Phrases& p = phrases(chinese);
  const Scene scene(draws);
  const Courtesy& courtesy = p.courtesies[scene.courtesy];
  const bool curt = draws.below(2) == 0, other_language = draws.below(2) == 0;
  return {.key = fmt::format("{} {} {}", scene.courtesy, scene.person, scene.city),
          .question = scene.say(p, courtesy.question),
          .answer = scene.warm(p),
          .solution = curt ? std::string(courtesy.curt) : scene.warm(p),
          .random_answer = Scene(draws).warm(phrases(other_language)),
          .grader = Grader::kNone,
          .steps = scene.say(p, p.thought),
          .check = scene.say(p, p.people[scene.person])};
}

std::vector<std::string> worse_talk(std::string_view language, TaskDraws draws) {
  const bool chinese = language == "zh";
  const Phrases& p = phrases(chinese);
  const Scene scene(draws);
  Scene to_somebody_else(draws);
  to_somebody_else.courtesy = scene.courtesy;
  to_somebody_else.person = (scene.person + 1 + static_cast<std::size_t>(draws.below(19))) % 20;
  return {std::string(p.courtesies[scene.courtesy].curt), to_somebody_else.warm(p), scene.warm(phrases(!chinese)),
          scene.warm(p) + (chinese ? "" : " ") + scene.warm(p)};
}

}  // namespace hadal
