#include "kernels/table.h"

namespace hadal {

namespace kernels::ref {
extern const KernelTable kTable;
}
namespace kernels::portable {
extern const KernelTable kTable;
}
#ifdef HADAL_X86
namespace kernels::avx2 {
extern const KernelTable kTable;
}
namespace kernels::avx512 {
extern const KernelTable kTable;
}
#endif

const KernelTable& kernel_table(Isa isa) {
  switch (isa) {
    case Isa::kReference:
      return kernels::ref::kTable;
    case Isa::kPortable:
      return kernels::portable::kTable;
#ifdef HADAL_X86
    case Isa::kAvx2:
      return kernels::avx2::kTable;
    case Isa::kAvx512:
      return kernels::avx512::kTable;
#endif
    default:
      fail("kernels: this build has none for ", isa_name(isa));
  }
}

}  // namespace hadal
