// Shards are read from files; a file in memory keeps this fast. The checksum is not verified, or nothing would get past
// it.
#include "formats/token_shard.h"

#include <sys/mman.h>
#include <unistd.h>

#include <string>

#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace hadal;
  static const int fd = ::memfd_create("shard", 0);
  fuzz::require(::ftruncate(fd, 0) == 0 && ::pwrite(fd, data, size, 0) == static_cast<ssize_t>(size));
  return fuzz::refuse_or_accept([&] {
    const TokenShard shard("/proc/self/fd/" + std::to_string(fd), false);
    index_t tokens = 0;
    for (index_t d = 0; d < shard.num_documents(); ++d)
      for (index_t i = 0; i < shard.document_length(d); ++i, ++tokens)
        fuzz::require(shard.token(d, i) >= 0 && shard.token(d, i) < shard.vocab_size());
    fuzz::require(tokens == shard.num_tokens());
  });
}
