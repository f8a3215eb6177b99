# Every kernel file, for both compilers. Paths from this folder.
set(kernel_sources
  batch_norm.cu
  binary.cu
  conv2d.cu
  copy.cu
  cross_entropy.cu
  elementwise.cu
  gemm.cu
  layer_norm.cu
  optimizer.cu
  optimizer_lars.cu
  optimizer_norm.cu
  pool2d.cu
  random_fill.cu
  reduce.cu
  softmax.cu
)
