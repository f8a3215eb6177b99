# Every kernel file, for both compilers. Paths from this folder.
set(kernel_sources
  binary.cu
  conv2d.cu
  copy.cu
  elementwise.cu
  gemm.cu
  pool2d.cu
  reduce.cu
)
