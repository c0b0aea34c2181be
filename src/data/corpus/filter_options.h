#pragma once
// Thresholds of the quality filters. The defaults are the published ones: Gopher (Rae et al. 2021, appendix A), C4
// (Raffel et al. 2020, 2.2), FineWeb (Penedo et al. 2024, 3.6); those for Chinese are ours.
#include <cstdint>
#include <string>
#include <vector>

namespace hadal {

struct GopherOptions {
  bool enabled = true;
  std::int64_t min_words = 50, max_words = 100000;
  double min_mean_word_length = 3, max_mean_word_length = 10;
  double max_symbol_ratio = 0.1, max_bullet_lines = 0.9, max_ellipsis_lines = 0.3, min_alphabetic_words = 0.8;
  int min_stop_words = 2;
  template <class V>
  void visit(V&& v) {
    v("enabled", enabled, "apply these rules");
    v("min_words", min_words, "words");
    v("max_words", max_words, "words");
    v("min_mean_word_length", min_mean_word_length, "characters of a word");
    v("max_mean_word_length", max_mean_word_length, "characters of a word");
    v("max_symbol_ratio", max_symbol_ratio, "# per word, ellipses per word");
    v("max_bullet_lines", max_bullet_lines, "share of lines that begin with a bullet");
    v("max_ellipsis_lines", max_ellipsis_lines, "share of lines that end with an ellipsis");
    v("min_alphabetic_words", min_alphabetic_words, "share of words with a letter");
    v("min_stop_words", min_stop_words,
      "different words of: the be to of and that have with; in other languages in Latin letters, function words");
  }
};

struct RepetitionOptions {
  bool enabled = true;
  double max_duplicate_lines = 0.3, max_duplicate_line_chars = 0.2;
  double max_duplicate_paragraphs = 0.3, max_duplicate_paragraph_chars = 0.2;
  std::vector<double> max_top_ngram_chars = {0.20, 0.18, 0.16};
  std::vector<double> max_duplicate_ngram_chars = {0.15, 0.14, 0.13, 0.12, 0.11, 0.10};
  template <class V>
  void visit(V&& v) {
    v("enabled", enabled, "apply these rules (Gopher's, on repetition)");
    v("max_duplicate_lines", max_duplicate_lines, "share of lines that were there before");
    v("max_duplicate_line_chars", max_duplicate_line_chars, "share of the text in such lines");
    v("max_duplicate_paragraphs", max_duplicate_paragraphs, "share of paragraphs that were there before");
    v("max_duplicate_paragraph_chars", max_duplicate_paragraph_chars, "share of the text in such paragraphs");
    v("max_top_ngram_chars", max_top_ngram_chars,
      "share of the text in the most frequent 2-, 3-, 4-gram of words (Chinese, Japanese: 4, 6, 8 characters)");
    v("max_duplicate_ngram_chars", max_duplicate_ngram_chars,
      "share of the text in 5-, 6-, ... 10-grams that were there before (Chinese, Japanese: 10, 12, ... 20 "
      "characters)");
  }
};

struct C4Options {
  bool enabled = false;
  bool terminal_punctuation = true, no_curly_bracket = true, no_lorem_ipsum = true;
  int min_words_per_line = 3, min_sentences = 5, max_word_length = 1000;
  template <class V>
  void visit(V&& v) {
    v("enabled", enabled, "apply these rules");
    v("terminal_punctuation", terminal_punctuation, "remove lines that end in no . ! ? or closing quote");
    v("min_words_per_line", min_words_per_line, "remove lines with fewer");
    v("max_word_length", max_word_length, "remove lines with a longer word (bytes)");
    v("min_sentences", min_sentences, "drop documents with fewer, after that");
    v("no_curly_bracket", no_curly_bracket, "drop documents with a {");
    v("no_lorem_ipsum", no_lorem_ipsum, "drop documents with \"lorem ipsum\"");
  }
};

struct FinewebOptions {
  bool enabled = true;
  double min_line_punctuation = 0.12, max_short_lines = 0.67, max_duplicate_line_chars = 0.01;
  double max_newlines_per_word = 0.3;
  int short_line_length = 30;
  template <class V>
  void visit(V&& v) {
    v("enabled", enabled, "apply these rules");
    v("min_line_punctuation", min_line_punctuation, "share of lines that end a sentence");
    v("max_short_lines", max_short_lines, "share of lines of at most short_line_length characters");
    v("short_line_length", short_line_length, "characters");
    v("max_duplicate_line_chars", max_duplicate_line_chars, "share of the text in lines that were there before");
    v("max_newlines_per_word", max_newlines_per_word, "line breaks per word");
  }
};

struct ChineseOptions {
  bool enabled = true;
  std::int64_t min_characters = 100, max_characters = 200000;
  double min_han_share = 0.3, min_punctuation_share = 0.01, max_punctuation_share = 0.35, max_short_lines = 0.8;
  int short_line_length = 10, min_function_characters = 3;
  template <class V>
  void visit(V&& v) {
    v("enabled", enabled, "for Chinese and Japanese in place of the rules on words: gopher, c4, fineweb");
    v("min_characters", min_characters, "letters and ideographs");
    v("max_characters", max_characters, "letters and ideographs");
    v("min_han_share", min_han_share, "share of ideographs and kana among all visible characters");
    v("min_punctuation_share", min_punctuation_share, "punctuation among all visible characters");
    v("max_punctuation_share", max_punctuation_share, "punctuation among all visible characters");
    v("max_short_lines", max_short_lines, "share of lines of at most short_line_length characters");
    v("short_line_length", short_line_length, "characters");
    v("min_function_characters", min_function_characters,
      "different characters of the most frequent function words (Chinese only)");
  }
};

struct BoilerplateOptions {
  bool enabled = true;
  std::vector<std::string> phrases = {"terms of use",
                                      "terms of service",
                                      "privacy policy",
                                      "cookie policy",
                                      "uses cookies",
                                      "use of cookies",
                                      "use cookies",
                                      "enable javascript",
                                      "javascript is disabled",
                                      "all rights reserved",
                                      "click here to subscribe",
                                      "\u7248\u6743\u6240\u6709",
                                      "\u9690\u79C1\u653F\u7B56",
                                      "\u4F7F\u7528\u6761\u6B3E",
                                      "\u8F6C\u8F7D\u8BF7\u6CE8\u660E"};
  int max_line_words = 30;
  double max_document_share = 0.25;
  std::int64_t min_documents = 20;
  template <class V>
  void visit(V&& v) {
    v("enabled", enabled, "remove lines that are not the document's own");
    v("phrases", phrases, "remove lines that hold one of these phrases, in any letter case");
    v("max_line_words", max_line_words, "longer lines stay");
    v("max_document_share", max_document_share, "remove lines that a larger share of a source's documents have");
    v("min_documents", min_documents, "and at least so many documents");
  }
};

}  // namespace hadal
