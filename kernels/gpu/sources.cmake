# Every kernel file, for both compilers. Paths from this folder.
set(kernel_sources
  binary.cu
  conv2d.cu
  copy.cu
  cross_entropy.cu
  elementwise.cu
  gemm.cu
  optimizer.cu
  optimizer_lars.cu
  optimizer_norm.cu
  pool2d.cu
  reduce.cu
  softmax.cu
)
