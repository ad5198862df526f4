"""Arrays that all kernels share: CSR, rounding, SIMD, gathering."""
