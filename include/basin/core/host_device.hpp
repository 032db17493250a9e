/// @file
/// The one macro of the library: marks functions that nvcc compiles for host
/// and device. Plain C++ compilers see nothing.
#pragma once

#if defined(__CUDACC__)
#define BASIN_HOST_DEVICE __host__ __device__
#else
#define BASIN_HOST_DEVICE
#endif
