# Every kernel file, for both compilers. Paths from this folder.
set(kernel_sources
  binary.cu
  copy.cu
  elementwise.cu
  gemm.cu
  pool2d.cu
  reduce.cu
)
