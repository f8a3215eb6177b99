# One line per thing that was found or not, at the end of configuring.
message(STATUS "convoy: cpu device with oneDNN ${dnnl_VERSION}")
