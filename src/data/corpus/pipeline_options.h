#pragma once
// The config of `hadal data prepare`.
#include <cstdint>
#include <string>
#include <vector>

#include "data/corpus/clean_text.h"
#include "data/corpus/decontaminate.h"
#include "data/corpus/duplicates.h"
#include "data/corpus/filter_options.h"
#include "data/corpus/mask_pii.h"
#include "data/tokenizer/bpe_trainer.h"

namespace hadal {

struct SourceOptions {
  std::string name, text_field = "text", separator, language, text_class;
  std::vector<std::string> inputs;
  bool filter = true;
  double weight = 1, max_epochs = 4;
  template <class V>
  void visit(V&& v) {
    v("name", name, "in the manifest; empty: source-N");
    v("inputs", inputs, "text, .jsonl and .html files (perhaps .gz or .zst) and folders of them");
    v("text_field", text_field, "key of the text in JSON lines");
    v("separator", separator, "stands between the documents of a plain-text file; empty: one document per file");
    v("language", language, "what all documents are in; empty: identified for each");
    v("text_class", text_class, "prose|code|math, for all documents; empty: told for each");
    v("filter", filter, "apply the quality filters");
    v("weight", weight, "how much of this source, relative to others (see mix)");
    v("max_epochs", max_epochs, "no document is taken more often, whatever the weights");
  }
};

struct LanguageOptions {
  std::vector<std::string> keep, drop;
  double min_confidence = 0;
  template <class V>
  void visit(V&& v) {
    v("keep", keep, "codes of languages to keep (en, zh, ..., und for unknown); empty: all");
    v("drop", drop, "codes of languages to drop");
    v("min_confidence", min_confidence, "drop documents whose language is less certain; 0..1");
  }
};

struct FilterOptions {
  std::vector<std::string> classes = {"prose"};
  GopherOptions gopher;
  RepetitionOptions repetition;
  FinewebOptions fineweb;
  ChineseOptions chinese;
  C4Options c4;
  template <class V>
  void visit(V&& v) {
    v("classes", classes, "prose|code|math: classes of text that the filters apply to");
    v.group("gopher", gopher, "Gopher's quality rules");
    v.group("repetition", repetition, "Gopher's repetition rules");
    v.group("fineweb", fineweb, "FineWeb's rules");
    v.group("chinese", chinese, "rules for Chinese and Japanese");
    v.group("c4", c4, "C4's rules");
  }
};

struct DedupOptions {
  bool exact = true;
  NearDuplicateOptions near;
  LineDuplicateOptions lines;
  template <class V>
  void visit(V&& v) {
    v("exact", exact, "keep one of several equal documents");
    v.group("near", near, "MinHash-LSH");
    v.group("lines", lines, "lines of several documents");
  }
};

struct MixOptions {
  std::int64_t tokens = 0;
  double temperature = 1, prose = 1, code = 1, math = 1;
  template <class V>
  void visit(V&& v) {
    v("tokens", tokens,
      "tokens in all, shared by weight; 0: weights are epochs, so weight 2 takes every document twice, 0.5 every "
      "other");
    v("temperature", temperature, "with tokens: a source counts weight * size^(1/temperature)");
    v("prose", prose, "factor on the weight of prose");
    v("code", code, "factor on the weight of code");
    v("math", math, "factor on the weight of mathematics");
  }
};

struct CorpusFimOptions {
  double rate = 0, spm_share = 0;
  template <class V>
  void visit(V&& v) {
    v("rate", rate, "share of documents that become fill-in-the-middle (V3: 0.1)");
    v("spm_share", spm_share, "share of these in suffix-prefix-middle order; the rest is prefix-suffix-middle");
  }
};

struct PackingOptions {
  std::string kind = "concatenate";
  int sequence_length = 4096;
  bool add_bos = false, add_eos = true, shuffle = true;
  std::int64_t shard_tokens = std::int64_t{1} << 26;
  double validation_share = 0;
  template <class V>
  void visit(V&& v) {
    v("kind", kind,
      "concatenate: documents one behind the other, cut into sequences; best_fit: whole documents into sequences, only "
      "those longer than one are cut; none: documents as they are, for the loader to pack",
      {.choices = {"concatenate", "best_fit", "none"}});
    v("sequence_length", sequence_length, "tokens of a sequence");
    v("add_bos", add_bos, "begin every document with BOS");
    v("add_eos", add_eos, "end every document with EOS");
    v("shuffle", shuffle, "documents in random order; else in the order of the inputs");
    v("shard_tokens", shard_tokens, "tokens of a shard, about");
    v("validation_share", validation_share,
      "share of documents that goes to shards of their own, once and without FIM");
  }
};

struct DataPrepareOptions {
  std::string out, tokenizer;
  int threads = 0, samples = 5;
  std::int64_t seed = 1, max_document_bytes = std::int64_t{16} << 20, memory_mb = 1024;
  double split_joint_tokens = 0;
  bool keep_work = false;
  std::vector<SourceOptions> sources;
  CleanOptions clean;
  LanguageOptions language;
  BoilerplateOptions boilerplate;
  FilterOptions filters;
  PiiOptions pii;
  DecontaminationOptions decontaminate;
  DedupOptions dedup;
  TokenizerTrainOptions train;
  MixOptions mix;
  CorpusFimOptions fim;
  PackingOptions pack;

  template <class V>
  void visit(V&& v) {
    v("out", out, "folder of the corpus", {.required = true, .placeholder = "DIR"});
    v("threads", threads, "0: all CPUs");
    v("seed", seed, "of shuffling, FIM and the validation share");
    v("tokenizer", tokenizer, "folder or tokenizer.json; empty: train one on what is kept", {.placeholder = "PATH"});
    v("split_joint_tokens", split_joint_tokens,
      "share of the tokens that join punctuation with line breaks which are split in two (V3 does so, at an unknown "
      "share)");
    v("max_document_bytes", max_document_bytes,
      "longer lines of JSON and pages are dropped, longer plain text is cut into documents");
    v("memory_mb", memory_mb, "what deduplication may take beside a few bytes per document");
    v("samples", samples, "documents to keep of what each filter drops, for the report");
    v("keep_work", keep_work, "do not remove the files between the stages");
    v.list("sources", sources, "where text comes from");
    v.group("clean", clean, "characters");
    v.group("language", language, "language identification");
    v.group("boilerplate", boilerplate, "lines that are not the document's own");
    v.group("filters", filters, "quality");
    v.group("pii", pii, "personal data");
    v.group("decontaminate", decontaminate, "text of evaluation sets");
    v.group("dedup", dedup, "duplicates");
    v.group("train", train, "the tokenizer, when one is trained");
    v.group("mix", mix, "how often what is taken");
    v.group("fim", fim, "fill in the middle");
    v.group("pack", pack, "sequences and shards");
  }
};

}  // namespace hadal
