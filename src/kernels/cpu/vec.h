// Vectors of f32 of the native width, for kernels written once for all instruction sets. Include inside the region that
// isa_begin.h opens (so there is no #pragma once guard against a second region: use it once per file). Element access
// and arithmetic are GCC vector extensions; loads and stores convert from and to bf16.
#ifndef HADAL_KERNELS_CPU_VEC_H_
#define HADAL_KERNELS_CPU_VEC_H_

#if defined(HADAL_ISA_IS_avx512)
inline constexpr int kLanes = 16;
#elif defined(HADAL_ISA_IS_avx2)
inline constexpr int kLanes = 8;
#else
inline constexpr int kLanes = 4;
#endif

#define HADAL_INLINE [[gnu::always_inline]] inline

typedef float Vec __attribute__((vector_size(kLanes * 4)));
typedef std::int32_t VecI __attribute__((vector_size(kLanes * 4)));
typedef std::uint32_t VecU __attribute__((vector_size(kLanes * 4)));
typedef std::uint16_t VecH __attribute__((vector_size(kLanes * 2)));

HADAL_INLINE Vec splat(float v) {
  return Vec{} + v;
}

HADAL_INLINE Vec load(const float* p) {
  Vec v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}
HADAL_INLINE Vec load(const bf16* p) {
  VecH h;
  __builtin_memcpy(&h, p, sizeof h);
  return reinterpret_cast<Vec>(__builtin_convertvector(h, VecU) << 16);
}
HADAL_INLINE void store(float* p, Vec v) {
  __builtin_memcpy(p, &v, sizeof v);
}
/// Nearest, ties to even; NaN stays NaN. By integer arithmetic, which gives the same bits on all instruction sets.
HADAL_INLINE VecH round_to_bf16(Vec v) {
  const VecU bits = reinterpret_cast<VecU>(v);
  const VecU rounded = (bits + 0x7FFFU + ((bits >> 16) & 1U)) >> 16;
  const VecU quiet = (bits >> 16) | 0x40U;
  const VecU nan = reinterpret_cast<VecU>(v != v);
  return __builtin_convertvector((rounded & ~nan) | (quiet & nan), VecH);
}
HADAL_INLINE void store(bf16* p, Vec v) {
  VecH h;
#if defined(HADAL_ISA_IS_avx512)
  // One instruction, which gives the same bits, except that it takes subnormal numbers for zero.
  constexpr int kSubnormal = 0x20;
  const __m512 wide = reinterpret_cast<__m512>(v);
  if (_mm512_fpclass_ps_mask(wide, kSubnormal) == 0) [[likely]]
    h = reinterpret_cast<VecH>(_mm512_cvtneps_pbh(wide));
  else
    h = round_to_bf16(v);
#else
  h = round_to_bf16(v);
#endif
  __builtin_memcpy(p, &h, sizeof h);
}

// Defined in small_floats.h; declared here for the templates that follow.
HADAL_INLINE Vec load(const f16* p);
HADAL_INLINE Vec load(const e4m3* p);
HADAL_INLINE Vec load(const e5m2* p);
HADAL_INLINE void store(f16* p, Vec v);
HADAL_INLINE void store(e4m3* p, Vec v);
HADAL_INLINE void store(e5m2* p, Vec v);

/// The first n < kLanes elements; the others read as zero and are not written.
template <class T>
HADAL_INLINE Vec load_first(const T* p, index_t n) {
  T buffer[kLanes] = {};
  for (index_t i = 0; i < n; ++i) buffer[i] = p[i];
  return load(buffer);
}
template <class T>
HADAL_INLINE void store_first(T* p, Vec v, index_t n) {
  T buffer[kLanes];
  store(buffer, v);
  for (index_t i = 0; i < n; ++i) p[i] = buffer[i];
}

/// a * b + c, one rounding where the hardware has it (AVX2 and up).
HADAL_INLINE Vec fma(Vec a, Vec b, Vec c) {
#if defined(HADAL_ISA_IS_avx512)
  return reinterpret_cast<Vec>(
      _mm512_fmadd_ps(reinterpret_cast<__m512>(a), reinterpret_cast<__m512>(b), reinterpret_cast<__m512>(c)));
#elif defined(HADAL_ISA_IS_avx2)
  return reinterpret_cast<Vec>(
      _mm256_fmadd_ps(reinterpret_cast<__m256>(a), reinterpret_cast<__m256>(b), reinterpret_cast<__m256>(c)));
#else
  return a * b + c;
#endif
}
/// a > b ? a : b and a < b ? a : b: of two values that do not compare, the second.
HADAL_INLINE Vec max(Vec a, Vec b) {
#if defined(HADAL_ISA_IS_avx512)
  return reinterpret_cast<Vec>(_mm512_max_ps(reinterpret_cast<__m512>(a), reinterpret_cast<__m512>(b)));
#elif defined(HADAL_ISA_IS_avx2)
  return reinterpret_cast<Vec>(_mm256_max_ps(reinterpret_cast<__m256>(a), reinterpret_cast<__m256>(b)));
#else
  return a > b ? a : b;
#endif
}
HADAL_INLINE Vec min(Vec a, Vec b) {
#if defined(HADAL_ISA_IS_avx512)
  return reinterpret_cast<Vec>(_mm512_min_ps(reinterpret_cast<__m512>(a), reinterpret_cast<__m512>(b)));
#elif defined(HADAL_ISA_IS_avx2)
  return reinterpret_cast<Vec>(_mm256_min_ps(reinterpret_cast<__m256>(a), reinterpret_cast<__m256>(b)));
#else
  return a < b ? a : b;
#endif
}
HADAL_INLINE Vec abs(Vec a) {
  return reinterpret_cast<Vec>(reinterpret_cast<VecU>(a) & 0x7FFFFFFFU);
}
HADAL_INLINE Vec sqrt(Vec a) {
#if defined(HADAL_ISA_IS_avx512)
  return reinterpret_cast<Vec>(_mm512_sqrt_ps(reinterpret_cast<__m512>(a)));
#elif defined(HADAL_ISA_IS_avx2)
  return reinterpret_cast<Vec>(_mm256_sqrt_ps(reinterpret_cast<__m256>(a)));
#else
  for (int i = 0; i < kLanes; ++i) a[i] = __builtin_sqrtf(a[i]);
  return a;
#endif
}

typedef float Vec4 __attribute__((vector_size(16)));

/// The lanes of v in four: lane i with i + kLanes / 2, and so on, combined by `f`.
template <class F>
HADAL_INLINE Vec4 fold_to_4(Vec v, F f) {
#if defined(HADAL_ISA_IS_avx512)
  typedef float Vec8 __attribute__((vector_size(32)));
  const Vec8 half = f(__builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7),
                      __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15));
  return f(__builtin_shufflevector(half, half, 0, 1, 2, 3), __builtin_shufflevector(half, half, 4, 5, 6, 7));
#elif defined(HADAL_ISA_IS_avx2)
  return f(__builtin_shufflevector(v, v, 0, 1, 2, 3), __builtin_shufflevector(v, v, 4, 5, 6, 7));
#else
  static_cast<void>(f);
  return v;
#endif
}
/// The sum and the largest of all lanes, in a fixed tree: halves, quarters, and so on.
HADAL_INLINE float sum(Vec v) {
  const Vec4 x = fold_to_4(v, [](auto a, auto b) { return a + b; });
  return (x[0] + x[2]) + (x[1] + x[3]);
}
HADAL_INLINE float max_of(Vec v) {
  const Vec4 x = fold_to_4(v, [](auto a, auto b) { return a > b ? a : b; });
  const float even = x[0] > x[2] ? x[0] : x[2], odd = x[1] > x[3] ? x[1] : x[3];
  return even > odd ? even : odd;
}

/// e^x, relative error below 2e-7 on [-87, 88]; 0 below, and the value at 88.7 above. NaN in, NaN out.
HADAL_INLINE Vec exp(Vec x) {
  // 2^n * e^r with |r| <= ln(2) / 2.
  const Vec low = splat(-87.3F), high = splat(88.7F);
#if defined(HADAL_ISA_IS_avx512)
  const Vec clamped = min(high, x);  // what is too low is set to zero at the end
  const Vec n = reinterpret_cast<Vec>(_mm512_roundscale_ps(reinterpret_cast<__m512>(clamped * 1.44269504088896341F),
                                                           _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
#else
  const VecI underflow = x < low;
  const VecI is_nan = x != x;
  const Vec clamped = min(max(x, low), high);
  // Adding 1.5 * 2^23 rounds to an integer.
  const Vec magic = splat(12582912.0F);
  const Vec shifted = fma(clamped, splat(1.44269504088896341F), magic);
  const Vec n = shifted - magic;
#endif
  Vec r = fma(n, splat(-0.693145751953125F), clamped);
  r = fma(n, splat(-1.42860682030941723e-6F), r);
  Vec p = splat(1.9875691500e-4F);
  p = fma(p, r, splat(1.3981999507e-3F));
  p = fma(p, r, splat(8.3334519073e-3F));
  p = fma(p, r, splat(4.1665795894e-2F));
  p = fma(p, r, splat(1.6666665459e-1F));
  p = fma(p, r, splat(5.0000001201e-1F));
  p = fma(p, r * r, r) + 1.0F;
#if defined(HADAL_ISA_IS_avx512)
  const __mmask16 keep = _mm512_cmp_ps_mask(reinterpret_cast<__m512>(x), reinterpret_cast<__m512>(low), _CMP_NLT_UQ);
  return reinterpret_cast<Vec>(_mm512_maskz_scalef_ps(keep, reinterpret_cast<__m512>(p), reinterpret_cast<__m512>(n)));
#else
  const VecI exponent = (reinterpret_cast<VecI>(shifted) - reinterpret_cast<VecI>(magic)) << 23;
  const Vec y = reinterpret_cast<Vec>(reinterpret_cast<VecI>(p) + exponent);
  const Vec bounded = reinterpret_cast<Vec>(reinterpret_cast<VecI>(y) & ~underflow);
  return is_nan ? x : bounded;
#endif
}

#endif  // HADAL_KERNELS_CPU_VEC_H_
