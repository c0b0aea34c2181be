#include "kernels/gemm.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <span>
#include <type_traits>
#include <vector>

#include "kernels/cpu/intrinsics.h"
#include "kernels/fp8.h"

#include "kernels/cpu/isa_begin.h"

#include "kernels/cpu/gemm_driver.h"

namespace {

template <class T, Form kForm>
void multiply_groups(Exec& ex, View out, Mat<const T> a, Mat<const T> b, std::span<const index_t> offsets,
                     Write write) {
  std::vector<Group<T>> groups = make_groups<T, kForm>(out, a, b, offsets, write);
  Driver<T, kForm>(ex, out, a.stride, b.stride, write).run(groups);
}

template <Form kForm>
void multiply_any(Exec& ex, View out, ConstView a, ConstView b, std::span<const index_t> offsets, Write write) {
  if (a.dtype == DType::kF32)
    multiply_groups<float, kForm>(ex, out, a.as<float>(), b.as<float>(), offsets, write);
  else
    multiply_groups<bf16, kForm>(ex, out, a.as<bf16>(), b.as<bf16>(), offsets, write);
}

}  // namespace

void grouped_gemm_nt(Exec& ex, View y_SF, ConstView x_SD, ConstView w_ExFD, std::span<const index_t> offsets,
                     Write write) {
  multiply_any<Form::kNt>(ex, y_SF, x_SD, w_ExFD, offsets, write);
}
void grouped_gemm_nn(Exec& ex, View dx_SD, ConstView dy_SF, ConstView w_ExFD, std::span<const index_t> offsets,
                     Write write) {
  multiply_any<Form::kNn>(ex, dx_SD, dy_SF, w_ExFD, offsets, write);
}
void grouped_gemm_tn(Exec& ex, View dw_ExFD, ConstView dy_SF, ConstView x_SD, std::span<const index_t> offsets,
                     Write write) {
  multiply_any<Form::kTn>(ex, dw_ExFD, dy_SF, x_SD, offsets, write);
}

#include "kernels/cpu/isa_end.h"
