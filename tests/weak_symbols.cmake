# The kernels' two object sets, of nvcc and of the simulator, may share no weak symbol: the linker
# would keep one body and both would run it.
#   cmake -DNM=nm -DCUDA_OBJECTS=a.o,b.o -DSIM_OBJECTS=c.o,d.o -P tests/weak_symbols.cmake
cmake_minimum_required(VERSION 3.25)

function(weak_symbols objects result)
  string(REPLACE "," ";" objects "${objects}")
  execute_process(COMMAND ${NM} --defined-only ${objects} OUTPUT_VARIABLE text COMMAND_ERROR_IS_FATAL ANY)
  # V, W, u: weak objects, weak functions, unique ones. Not the compiler's own pointers (DW.ref.…), which
  # hold the same address in every object, nor the standard library's templates on types that are not ours,
  # which are the same in every object.
  string(REGEX MATCHALL "[0-9a-f]+ [VWu] [^\n]+" lines "${text}")
  list(TRANSFORM lines REPLACE "^[0-9a-f]+ . " "")
  list(FILTER lines EXCLUDE REGEX "^DW\\.ref\\.")
  set(standard "${lines}")
  list(FILTER standard INCLUDE REGEX "^_Z(NK?)?S[tabiods]")
  list(FILTER standard EXCLUDE REGEX "convoy")
  if(standard)
    list(REMOVE_ITEM lines ${standard})
  endif()
  list(REMOVE_DUPLICATES lines)
  set(${result} "${lines}" PARENT_SCOPE)
endfunction()

weak_symbols("${CUDA_OBJECTS}" of_cuda)
weak_symbols("${SIM_OBJECTS}" of_sim)
set(shared "")
foreach(symbol IN LISTS of_cuda)
  if(symbol IN_LIST of_sim)
    string(APPEND shared "  ${symbol}\n")
  endif()
endforeach()
if(shared)
  message(FATAL_ERROR "weak symbols in both object sets:\n${shared}"
    "Put the function into namespace convoy::CONVOY_TARGET.")
endif()
list(LENGTH of_cuda count_cuda)
list(LENGTH of_sim count_sim)
message(STATUS "weak symbols: ${count_cuda} for cuda, ${count_sim} for sim, none in both")
