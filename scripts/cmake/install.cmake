# cmake --install puts headers, libraries and programs where find_package(convoy) finds them.
