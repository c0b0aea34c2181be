#include "data/corpus/language.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "base/error.h"
#include "base/utf8.h"
#include "data/corpus/word_table.h"

namespace hadal {
namespace {

struct FunctionWords {
  Language language;
  std::string_view words;  // separated by spaces
};

// The most frequent words of running text, without those of one letter.
constexpr FunctionWords kFunctionWords[] = {
    {Language::kEnglish,
     "the of and to in is that it for was on are with as be this by at or from you not have an which but can if they "
     "will has one all your when were their there we been more use his her what would who how she he its do my did "
     "than them so each other into about many then these some out up only no two may after any"},
    {Language::kGerman,
     "der die und in das von zu den mit sich des auf ist im dem nicht ein eine als auch es an werden aus er hat dass "
     "sie nach wird bei einer um am sind noch wie einem \u00FCber einen so zum war haben nur oder aber vor zur bis "
     "mehr "
     "durch man sein wurde wenn k\u00F6nnen kann ihre f\u00FCr diese dieser keine"},
    {Language::kFrench,
     "le la les de des du et en un une est que qui dans pour pas sur au par ce plus se ne avec son il sont aux elle "
     "cette ces vous nous mais ou ont \u00EAtre comme fait si leur \u00E9t\u00E9 tout sa ses peut votre lorsque dont "
     "o\u00F9 "
     "m\u00EAme aussi bien sans deux"},
    {Language::kSpanish,
     "el la los las de del que en un una es por con no para se su al lo como m\u00E1s pero sus le ya o este s\u00ED "
     "porque "
     "esta entre cuando muy sin sobre tambi\u00E9n me hasta hay donde quien desde todo nos durante uno ni contra son "
     "puede est\u00E1 ser fue tiene usted"},
    {Language::kItalian,
     "il la lo gli le di del della dei che e in un una \u00E8 per con non si da al sono nel come pi\u00F9 ma ha alla "
     "anche "
     "dal delle questo questa ed se essere o su nella stato loro cui degli quando dopo tutti suo sua viene pu\u00F2"},
    {Language::kPortuguese,
     "o os as de do da dos das que em um uma para com n\u00E3o por mais se na no ao como mas foi ele ela seu sua ou "
     "ser "
     "quando muito nos j\u00E1 est\u00E1 eu tamb\u00E9m pelo pela at\u00E9 isso entre era depois sem mesmo aos ter "
     "seus s\u00E3o "
     "voc\u00EA pode"},
    {Language::kDutch,
     "de het een en van in is dat op te zijn met voor niet aan er om ook als dan maar bij uit door naar heeft hij ze "
     "wordt kan nog wel worden deze werd over hun je zich meer geen was tot of al mijn waar dit die onder kunnen"},
};

/// Hash of a word -> bit set of languages.
const WordTable& function_words() {
  static const WordTable table = [] {
    WordTable words(2048);
    for (const FunctionWords& list : kFunctionWords)
      for_each_word(list.words, [&](std::uint64_t hash) { words[hash] |= 1U << static_cast<unsigned>(list.language); });
    return words;
  }();
  return table;
}

bool has_letter_of(std::string_view text, std::u32string_view letters) {
  const char *p = text.data(), *const end = p + std::min<std::size_t>(text.size(), 1 << 16);
  while (p < end) {
    const CodePoint c = decode_utf8(p, end);
    if (c.length > 1 && letters.find(c.value) != std::u32string_view::npos) return true;
    p += std::max(c.length, 1);
  }
  return false;
}

LanguageGuess latin_language(const TextScan& scan, double share) {
  // Enough for a firm answer; the rest of a long text is not looked at.
  constexpr std::size_t kMaxWords = 4000;
  std::array<int, kNumLanguages> hits{};
  int words = 0;
  for (std::size_t i = 0; i < std::min(scan.words.size(), kMaxWords); ++i) {
    if (scan.words[i].has_letter == 0) continue;
    ++words;
    for (std::uint32_t set = function_words().find(scan.words[i].hash); set != 0; set &= set - 1)
      ++hits[static_cast<std::size_t>(__builtin_ctz(set))];
  }
  const auto best = std::max_element(hits.begin(), hits.end());
  if (*best == 0 || 100 * *best < 3 * words) return {};
  int second = 0;
  for (auto it = hits.begin(); it != hits.end(); ++it)
    if (it != best) second = std::max(second, *it);
  return {static_cast<Language>(best - hits.begin()), share * (*best - second) / *best};
}

}  // namespace

Language parse_language(std::string_view code) {
  const auto found = std::find(kLanguageCodes.begin(), kLanguageCodes.end(), code);
  HADAL_CHECK(found != kLanguageCodes.end(), "language: got \"", code, "\", want one of ",
              fmt::format("{}", fmt::join(kLanguageCodes, " ")));
  return static_cast<Language>(found - kLanguageCodes.begin());
}

bool has_function_words(Language language) {
  return std::any_of(std::begin(kFunctionWords), std::end(kFunctionWords),
                     [&](const FunctionWords& list) { return list.language == language; });
}

int distinct_function_words(const TextScan& scan, Language language, int enough) {
  std::vector<std::uint64_t> seen;
  for (const Word& word : scan.words) {
    if (static_cast<int>(seen.size()) >= enough) break;
    if ((function_words().find(word.hash) >> static_cast<unsigned>(language) & 1) == 0) continue;
    if (std::find(seen.begin(), seen.end(), word.hash) == seen.end()) seen.push_back(word.hash);
  }
  return static_cast<int>(seen.size());
}

LanguageGuess identify_language(const TextScan& scan) {
  std::array<double, kNumScripts> weights{};
  double total = 0;
  for (std::size_t s = 0; s < kNumScripts; ++s) {
    weights[s] = static_cast<double>(scan.letters[s]);
    if (s == static_cast<std::size_t>(Script::kHan) || s == static_cast<std::size_t>(Script::kKana)) weights[s] *= 2;
    total += weights[s];
  }
  if (total <= 0) return {};
  const double kana = weights[static_cast<std::size_t>(Script::kKana)],
               cjk = kana + weights[static_cast<std::size_t>(Script::kHan)];
  weights[static_cast<std::size_t>(Script::kHan)] = 20 * kana < cjk ? cjk : 0;
  weights[static_cast<std::size_t>(Script::kKana)] = 20 * kana < cjk ? 0 : cjk;
  const auto best = std::max_element(weights.begin(), weights.end());
  const double share = *best / total;
  switch (static_cast<Script>(best - weights.begin())) {
    case Script::kLatin:
      return latin_language(scan, share);
    case Script::kCyrillic:
      return {has_letter_of(scan.text, U"\u0456\u0457\u0454\u0491") ? Language::kUkrainian : Language::kRussian, share};
    case Script::kArabic:
      return {has_letter_of(scan.text, U"\u067E\u0686\u06AF\u06CC") ? Language::kPersian : Language::kArabic, share};
    case Script::kHan:
      return {Language::kChinese, share};
    case Script::kKana:
      return {Language::kJapanese, share};
    case Script::kHangul:
      return {Language::kKorean, share};
    case Script::kGreek:
      return {Language::kGreek, share};
    case Script::kHebrew:
      return {Language::kHebrew, share};
    case Script::kDevanagari:
      return {Language::kHindi, share};
    case Script::kThai:
      return {Language::kThai, share};
    case Script::kOther:
      break;
  }
  return {};
}

}  // namespace hadal
