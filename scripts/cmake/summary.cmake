# One line per thing that was found or not, at the end of configuring.
message(STATUS "convoy: cpu device with oneDNN ${dnnl_VERSION}")
message(STATUS "convoy: sim device: the hand-written kernels on the simulator")
if(cuda_found)
  message(STATUS "convoy: hand-written kernels compiled by nvcc ${cuda_found} for sm_80 and sm_90a")
else()
  message(STATUS "convoy: no nvcc (CONVOY_CUDA=${CONVOY_CUDA}): the kernels are compiled for the simulator only")
endif()
