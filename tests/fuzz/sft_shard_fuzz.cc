// Shards are read from files; a file in memory keeps this fast. The checksum is not verified, or nothing would get past
// it.
#include "formats/sft_shard.h"

#include <sys/mman.h>
#include <unistd.h>

#include <string>

#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace hadal;
  static const int fd = ::memfd_create("shard", 0);
  fuzz::require(::ftruncate(fd, 0) == 0 && ::pwrite(fd, data, size, 0) == static_cast<ssize_t>(size));
  return fuzz::refuse_or_accept([&] {
    const SftShard shard("/proc/self/fd/" + std::to_string(fd), false);
    index_t tokens = 0, samples = 0;
    for (index_t s = 0; s < shard.num_sequences(); ++s) {
      const auto [first, last] = shard.sequence(s);
      fuzz::require(first == samples && last >= first);
      samples = last;
      for (index_t i = first; i < last; ++i) {
        std::vector<int> ids;
        std::vector<char> trained;
        shard.read(i, ids, trained);
        fuzz::require(static_cast<index_t>(ids.size()) == shard.sample_length(i) && trained.size() == ids.size());
        for (const int id : ids) fuzz::require(id >= 0 && id < shard.vocab_size());
        tokens += static_cast<index_t>(ids.size());
      }
    }
    fuzz::require(samples == shard.num_samples() && tokens == shard.num_tokens());
  });
}
