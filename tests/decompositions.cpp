// See decompositions.hpp.
#define BASIN_TEST_DECOMPOSITIONS
#include "decompositions.hpp"
