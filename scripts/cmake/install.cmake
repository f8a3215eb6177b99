# cmake --install puts headers, libraries and programs where find_package(convoy) finds them.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/convoy)

install(TARGETS convoy_kernels convoy_runtime convoy_nn convoy_data convoy_dist EXPORT convoy-targets
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(TARGETS convoy_program RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
foreach(folder kernels runtime nn data dist)
  install(DIRECTORY ${PROJECT_SOURCE_DIR}/${folder} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/convoy
    FILES_MATCHING PATTERN "*.h" PATTERN "cpu" EXCLUDE PATTERN "gpu" EXCLUDE PATTERN "sim" EXCLUDE PATTERN "vendor" EXCLUDE
    PATTERN "gloo_headers" EXCLUDE)
endforeach()

install(EXPORT convoy-targets NAMESPACE convoy:: DESTINATION ${package_dir})
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/convoyConfig.cmake.in
  ${CMAKE_BINARY_DIR}/convoyConfig.cmake INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(${CMAKE_BINARY_DIR}/convoyConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_BINARY_DIR}/convoyConfig.cmake ${CMAKE_BINARY_DIR}/convoyConfigVersion.cmake
  DESTINATION ${package_dir})

# What scripts/bundle.sh gathers: cmake --install build/release --component bundle.
if(CONVOY_TESTS)
  install(TARGETS convoy_program kbench RUNTIME DESTINATION bin COMPONENT bundle EXCLUDE_FROM_ALL)
  get_target_property(kind convoy_kernels TYPE)
  if(kind STREQUAL SHARED_LIBRARY)
    install(TARGETS convoy_kernels LIBRARY DESTINATION lib COMPONENT bundle EXCLUDE_FROM_ALL)
  endif()
  foreach(name apps cuda data dist data_parallel gpu_kernels kernels nn nn_sim runtime runtime_sim sim train_step)
    if(TARGET test_${name})
      install(TARGETS test_${name} RUNTIME DESTINATION tests COMPONENT bundle EXCLUDE_FROM_ALL OPTIONAL)
    endif()
  endforeach()
  install(DIRECTORY ${PROJECT_SOURCE_DIR}/tests/golden DESTINATION share COMPONENT bundle EXCLUDE_FROM_ALL)
  install(PROGRAMS ${PROJECT_SOURCE_DIR}/scripts/gpu_check.sh ${PROJECT_SOURCE_DIR}/scripts/nccl_one_gpu.sh
    DESTINATION . COMPONENT bundle EXCLUDE_FROM_ALL)
  install(DIRECTORY ${PROJECT_SOURCE_DIR}/scripts/gpu_check ${PROJECT_SOURCE_DIR}/scripts/baselines
    DESTINATION . COMPONENT bundle EXCLUDE_FROM_ALL
    FILES_MATCHING PATTERN "*.sh" PATTERN "*.py")
endif()
