#pragma once
// Which language a text is in: by script, and among languages in Latin letters by their most frequent words. Small and
// without a model file; meant for whole documents, not for single words.
#include <array>
#include <cstdint>
#include <string_view>

#include "data/corpus/text_scan.h"

namespace hadal {

enum class Language : std::uint8_t {
  kUnknown,
  kEnglish,
  kGerman,
  kFrench,
  kSpanish,
  kItalian,
  kPortuguese,
  kDutch,
  kChinese,
  kJapanese,
  kKorean,
  kRussian,
  kUkrainian,
  kArabic,
  kPersian,
  kGreek,
  kHebrew,
  kHindi,
  kThai
};
inline constexpr std::size_t kNumLanguages = 19;
/// ISO 639-1 codes by Language; "und" for unknown.
inline constexpr std::array<std::string_view, kNumLanguages> kLanguageCodes = {
    "und", "en", "de", "fr", "es", "it", "pt", "nl", "zh", "ja", "ko", "ru", "uk", "ar", "fa", "el", "he", "hi", "th"};

/// Throws Error on another code.
Language parse_language(std::string_view code);

struct LanguageGuess {
  Language language = Language::kUnknown;
  double confidence = 0;  // 0..1; not a probability, see identify_language
};

/// The script with the most letters decides; an ideograph counts as two letters, since Chinese words have two. Text in
/// which at least a twentieth of Han and kana is kana is Japanese. Letters that only one of two neighbours has tell
/// Ukrainian from Russian and Persian from Arabic. Among languages in Latin letters the score is the share of words
/// that are frequent function words of the language; words that several languages share count for each.
/// Confidence: the share of the script's letters, for Latin letters times (best - second) / best. Below 3% function
/// words (lists, code) a text in Latin letters is kUnknown.
LanguageGuess identify_language(const TextScan& scan);

/// Whether there is a list of function words for the language.
bool has_function_words(Language language);
/// How many different function words of the language the text has; counting stops at `enough`.
int distinct_function_words(const TextScan& scan, Language language, int enough);

}  // namespace hadal
