// Closes what kernels/cpu/isa_begin.h opened.
}  // namespace hadal::kernels::HADAL_ISA

#ifdef HADAL_TARGET
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#undef HADAL_PUSH_TARGET
#undef HADAL_PRAGMA
#undef HADAL_TARGET
#endif
