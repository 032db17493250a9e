# Finds nvcc, and teaches CMake 3.25 the C++20 of an nvcc that is newer than itself.

# basin_find_nvcc(): sets CMAKE_CUDA_COMPILER if there is an nvcc in PATH or in the
# toolkit's usual place.
macro(basin_find_nvcc)
  if(NOT CMAKE_CUDA_COMPILER)
    find_program(BASIN_NVCC nvcc HINTS ENV CUDACXX ENV CUDA_PATH /usr/local/cuda PATH_SUFFIXES bin)
    mark_as_advanced(BASIN_NVCC)
    if(BASIN_NVCC)
      set(CMAKE_CUDA_COMPILER ${BASIN_NVCC})
    endif()
  endif()
endmacro()

# basin_enable_cuda(): the CUDA language at C++20, and the toolkit's libraries.
macro(basin_enable_cuda)
  if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
    set(CMAKE_CUDA_ARCHITECTURES 80 90)
  endif()
  enable_language(CUDA)
  if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)
    set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION "-std=c++20")
    set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION "-std=c++20")
    set(CMAKE_CUDA20_COMPILE_FEATURES cuda_std_20)
    list(APPEND CMAKE_CUDA_COMPILE_FEATURES cuda_std_20)
  endif()
  find_package(CUDAToolkit REQUIRED)
endmacro()
