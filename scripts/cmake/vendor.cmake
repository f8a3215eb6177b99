# Finds the headers of the vendor's libraries; the libraries themselves are looked for at run time.
# CONVOY_CUBLASLT, CONVOY_CUDNN and CONVOY_NCCL: auto (default) compiles what uses them where the header is found,
# ON insists, OFF leaves it out.
set(CONVOY_CUBLASLT auto CACHE STRING "Compile gemm's variants by cuBLASLt: auto, ON or OFF")
set(CONVOY_CUDNN auto CACHE STRING "Compile the variants of conv2d and batch_norm by cuDNN: auto, ON or OFF")
set(CONVOY_NCCL auto CACHE STRING "Compile ranks with a GPU each, by NCCL: auto, ON or OFF")

# convoy_find_vendor(NAME HEADER RESULT): RESULT is where the header and CUDA's own are, or empty.
function(convoy_find_vendor name header result)
  set(${result} "" PARENT_SCOPE)
  if(${name} STREQUAL "OFF")
    return()
  endif()
  find_path(CONVOY_CUDA_INCLUDE cuda_runtime_api.h
    HINTS ${CMAKE_CUDA_TOOLKIT_INCLUDE_DIRECTORIES} /usr/local/cuda/include)
  find_path(${name}_INCLUDE ${header} HINTS ${CONVOY_CUDA_INCLUDE})
  if(${name}_INCLUDE AND CONVOY_CUDA_INCLUDE)
    set(${result} ${${name}_INCLUDE} ${CONVOY_CUDA_INCLUDE} PARENT_SCOPE)
  elseif(${name} STREQUAL "ON")
    message(FATAL_ERROR "convoy: ${name} is ON, but needs cuda_runtime_api.h and ${header}: not both were found")
  endif()
endfunction()
convoy_find_vendor(CONVOY_CUBLASLT cublasLt.h cublaslt_include)
convoy_find_vendor(CONVOY_CUDNN cudnn_backend.h cudnn_include)
convoy_find_vendor(CONVOY_NCCL nccl.h nccl_include)
mark_as_advanced(CONVOY_CUDA_INCLUDE CONVOY_CUBLASLT_INCLUDE CONVOY_CUDNN_INCLUDE CONVOY_NCCL_INCLUDE)

# What all that looks at kernels/vendor/built.h must agree on.
set(vendor_definitions "")
if(cublaslt_include)
  list(APPEND vendor_definitions CONVOY_HAS_CUBLASLT)
endif()
if(cudnn_include)
  list(APPEND vendor_definitions CONVOY_HAS_CUDNN)
endif()
target_compile_definitions(convoy_options INTERFACE ${vendor_definitions})
