# Finds the headers of the vendor's libraries; the libraries themselves are looked for at run time.
# CONVOY_CUBLASLT and CONVOY_CUDNN: auto (default) builds the variants where CUDA and the header are found, ON
# insists, OFF leaves them out.
set(CONVOY_CUBLASLT auto CACHE STRING "Compile gemm's variants by cuBLASLt: auto, ON or OFF")
set(CONVOY_CUDNN auto CACHE STRING "Compile the variants of conv2d and batch_norm by cuDNN: auto, ON or OFF")

# convoy_find_vendor(NAME HEADER RESULT): RESULT is the folder of the header, or empty.
function(convoy_find_vendor name header result)
  set(${result} "" PARENT_SCOPE)
  if(${name} STREQUAL "OFF")
    return()
  endif()
  if(cuda_found)
    find_path(${name}_INCLUDE ${header} HINTS ${CMAKE_CUDA_TOOLKIT_INCLUDE_DIRECTORIES} /usr/local/cuda/include)
  endif()
  if(${name}_INCLUDE)
    set(${result} ${${name}_INCLUDE} PARENT_SCOPE)
  elseif(${name} STREQUAL "ON")
    message(FATAL_ERROR "convoy: ${name} is ON, but needs nvcc and ${header}, which were not both found")
  endif()
endfunction()
convoy_find_vendor(CONVOY_CUBLASLT cublasLt.h cublaslt_include)
convoy_find_vendor(CONVOY_CUDNN cudnn_backend.h cudnn_include)
mark_as_advanced(CONVOY_CUBLASLT_INCLUDE CONVOY_CUDNN_INCLUDE)
