// Runs the suite on the first GPU, or says why it cannot and returns 77.
#define CATCH_CONFIG_RUNNER
#include <cuda_runtime_api.h>

#include <cstdio>

#include "catch.hpp"

int main(int argc, char** argv) {
  int devices = 0;
  const cudaError_t code = cudaGetDeviceCount(&devices);
  if (code != cudaSuccess || devices == 0) {
    std::printf("skipped: no usable GPU (%s)\n",
                code != cudaSuccess ? cudaGetErrorString(code) : "none found");
    return 77;
  }
  return Catch::Session().run(argc, argv);
}
