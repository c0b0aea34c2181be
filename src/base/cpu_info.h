#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace hadal {

/// Instruction sets that kernels/ is built for, each a superset of the one before. kAvx512 means AVX-512 F/BW/DQ/VL
/// with BF16 and VNNI.
enum class Isa : std::uint8_t { kReference, kPortable, kAvx2, kAvx512 };

std::string_view isa_name(Isa isa);
/// The best instruction set of this CPU.
Isa best_isa();
/// best_isa(), or what the environment variable HADAL_FORCE_ISA (reference|portable|avx2|avx512) asks for. Throws Error
/// when the name is unknown or the CPU lacks it.
Isa chosen_isa();

struct CpuInfo {
  std::string model_name;
  int num_cpus = 1;               // CPUs that this process may run on
  std::int64_t memory_bytes = 0;  // physical
};
CpuInfo cpu_info();

}  // namespace hadal
