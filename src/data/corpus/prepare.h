#pragma once
// From files of text to what a training run reads: a tokenizer and a token shard.
#include <filesystem>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/parallel.h"
#include "data/tokenizer/bpe_trainer.h"
#include "data/tokenizer/tokenizer.h"
#include "formats/token_shard.h"

namespace hadal {

struct CorpusOptions {
  std::vector<std::string> inputs;
  std::string prepared;  // folder of `data prepare`, in place of inputs
  std::string text_field = "text", separator;
  bool deduplicate = true;
  std::string tokenizer;        // folder or tokenizer.json; empty: train one on the inputs
  TokenizerTrainOptions train;  // when one is trained

  template <class V>
  void visit(V&& v) {
    v("inputs", inputs, "text, .jsonl and .html files, and folders of them");
    v("prepared", prepared,
      "folder of hadal data prepare, in place of inputs: packed sequences, or plain documents in one shard");
    v("text_field", text_field, "key of the text in JSON lines");
    v("separator", separator, "stands between the documents of a plain-text file; empty: one document per file");
    v("deduplicate", deduplicate, "keep one of several equal documents");
    v("tokenizer", tokenizer, "folder or tokenizer.json to use; empty: train one on the inputs");
    train.visit(v);
  }
};

/// A corpus that is ready for a loader.
struct PreparedCorpus {
  Tokenizer tokenizer;
  TokenShard shard;     // plain documents; of a packed corpus the first of `packed`
  JsonObject manifest;  // folder/manifest.json: "hash" of everything that went in, counts, "tokenizer": {path, hash,
                        // vocab_size}
  bool reused = false;  // found in the folder, nothing was done
  std::vector<TokenShard> packed, packed_validation;  // sequences that data prepare packed; empty: the loader packs
};

/// Reads the inputs, trains or loads the tokenizer, encodes, and writes folder/tokenizer/, folder/tokens.shard and,
/// last, folder/manifest.json. When the folder holds the result of the same options, inputs (by content) and tokenizer,
/// that is used as it is. The result does not depend on the number of threads. With options.prepared, what
/// `data prepare` made is opened instead, and nothing is written.
PreparedCorpus prepare_corpus(ThreadPool& pool, const CorpusOptions& options, const std::filesystem::path& folder);

}  // namespace hadal
