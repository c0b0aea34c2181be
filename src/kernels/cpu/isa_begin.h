// Opens the region of code that is compiled for the instruction set HADAL_ISA (portable, avx2 or avx512), in namespace
// hadal::kernels::HADAL_ISA. Include it after all other headers and close it with kernels/cpu/isa_end.h. No #pragma
// once: a file may open several regions.
#if defined(HADAL_ISA_IS_avx512)
#define HADAL_TARGET "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx512vnni,avx512vbmi,avx2,fma,f16c,bmi,bmi2"
#elif defined(HADAL_ISA_IS_avx2)
#define HADAL_TARGET "avx2,fma,f16c,bmi,bmi2"
#endif

#ifdef HADAL_TARGET
#if defined(__clang__)
#define HADAL_PRAGMA(x) _Pragma(#x)
#define HADAL_PUSH_TARGET(t) HADAL_PRAGMA(clang attribute push(__attribute__((target(t))), apply_to = function))
HADAL_PUSH_TARGET(HADAL_TARGET)
#else
#define HADAL_PRAGMA(x) _Pragma(#x)
#define HADAL_PUSH_TARGET(t) HADAL_PRAGMA(GCC target(t))
#pragma GCC push_options
HADAL_PUSH_TARGET(HADAL_TARGET)
#endif
#endif

namespace hadal::kernels::HADAL_ISA {
