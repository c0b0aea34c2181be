// Compressed and plain inputs of data prepare: the first byte picks the compression and the format, the rest is the
// file. What is read goes through cleaning, scanning and the filters.
#include <sys/mman.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "data/corpus/document_cleaner.h"
#include "data/corpus/record_reader.h"
#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace hadal;
  static const DataPrepareOptions options;
  static const DocumentCleaner cleaner(options);
  static const int fd = ::memfd_create("input", 0);
  static const std::filesystem::path folder = [] {
    // The extension says what a file is, so there are links with each to the file in memory.
    std::string name = (std::filesystem::temp_directory_path() / "hadal-fuzz-XXXXXX").string();
    fuzz::require(::mkdtemp(name.data()) != nullptr);
    for (const char* extension : {"txt", "jsonl", "html", "txt.gz", "jsonl.gz", "html.gz", "txt.zst", "jsonl.zst"})
      std::filesystem::create_symlink("/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(fd),
                                      std::filesystem::path(name) / (std::string("f.") + extension));
    return std::filesystem::path(name);
  }();
  if (size == 0) return 0;
  constexpr const char* kExtensions[] = {"txt",      "jsonl",   "html",    "txt.gz",
                                         "jsonl.gz", "html.gz", "txt.zst", "jsonl.zst"};
  fuzz::require(::ftruncate(fd, 0) == 0 && ::pwrite(fd, data + 1, size - 1, 0) == static_cast<ssize_t>(size - 1));
  return fuzz::refuse_or_accept([&] {
    const std::string path = (folder / (std::string("f.") + kExtensions[data[0] % 8])).string();
    const auto files = find_text_files(path);
    RecordReader reader(files, {.separator = data[0] >= 128 ? "\n\n" : "", .max_document_bytes = 4096});
    DocumentCleaner::Workspace workspace;
    const SourceOptions source;
    int records = 0;
    for (Record record; reader.next(record) && ++records < 100;) {
      fuzz::require(record.problem.empty() || record.bytes.empty());
      fuzz::require(record.bytes.size() <= 4096 || data[0] >= 128);
      if (record.problem.empty()) cleaner.clean(record.bytes, files[0].format, source, "fuzz", workspace);
    }
  });
}
