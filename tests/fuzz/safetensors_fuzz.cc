// Every tensor of an accepted file must be readable to its last byte and aligned to its element.
#include "formats/safetensors.h"

#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace hadal;
  return fuzz::refuse_or_accept([&] {
    const SafetensorsFile file(std::as_bytes(std::span(data, size)), "fuzz");
    unsigned sum = 0;
    index_t bytes = 0;
    for (const auto& [name, tensor] : file.tensors()) {
      fuzz::require(reinterpret_cast<std::uintptr_t>(tensor.data) % static_cast<unsigned>(bits_of(tensor.dtype) / 8) ==
                    0);
      bytes += tensor.bytes();
      for (index_t i = 0; i < tensor.bytes(); ++i) sum += static_cast<unsigned>(tensor.data[i]);
      if (tensor.shape.size() <= 2) fuzz::require(tensor.view().count() == tensor.count());
    }
    fuzz::require(bytes <= static_cast<index_t>(size));
    asm volatile("" : : "r"(sum));  // so that the reads are not optimised away
  });
}
