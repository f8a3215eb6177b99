# Every kernel file, for both compilers. Paths from this folder.
set(kernel_sources
  batch_norm.cu
  binary.cu
  conv2d.cu
  conv2d_depthwise.cu
  copy.cu
  cross_entropy.cu
  dropout.cu
  elementwise.cu
  gemm.cu
  image.cu
  layer_norm.cu
  loss_scale.cu
  norm_act.cu
  optimizer.cu
  optimizer_lars.cu
  optimizer_norm.cu
  pool2d.cu
  random_fill.cu
  reduce.cu
  softmax.cu
  upsample.cu
)
# Those that need compute capability 9.0.
set(hopper_sources
  hopper/gemm_wgmma.cu
)
