// The same example for nvcc: the functor runs on the CPU and on the GPU.
#include "custom_map.cpp"
