// Every tensor of an accepted file must be readable to its last byte and lie apart from the others.
#include "formats/gguf.h"

#include "formats/inspect_gguf.h"
#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace hadal;
  return fuzz::refuse_or_accept([&] {
    const GgufFile file(std::as_bytes(std::span(data, size)), "fuzz");
    unsigned sum = 0;
    index_t bytes = 0;
    for (const GgufTensor& tensor : file.tensors()) {
      bytes += tensor.bytes();
      for (index_t i = 0; i < tensor.bytes(); ++i) sum += static_cast<unsigned>(tensor.data[i]);
    }
    fuzz::require(bytes <= static_cast<index_t>(size));
    fuzz::require(!json_line(inspect_gguf(file)).empty());
    asm volatile("" : : "r"(sum));  // so that the reads are not optimised away
  });
}
