# Writes OUTPUT, a header with the commit that ROOT is at, unless it says so already.
#   cmake -DROOT=<repository> -DOUTPUT=<file> -P scripts/cmake/commit.cmake
execute_process(COMMAND git -C ${ROOT} describe --always --dirty --abbrev=12 --exclude=*
  OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE failed)
if(failed)
  set(commit unknown)
endif()
file(CONFIGURE OUTPUT ${OUTPUT} CONTENT "#define CONVOY_COMMIT \"${commit}\"\n")
