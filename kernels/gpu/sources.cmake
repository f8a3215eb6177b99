# Every kernel file, for both compilers. Paths from this folder.
set(kernel_sources
  copy.cu
  elementwise.cu
  gemm.cu
)
