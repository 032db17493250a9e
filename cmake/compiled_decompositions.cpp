// See compiled_decompositions.hpp.
#define BASIN_COMPILED_DECOMPOSITIONS
#include "compiled_decompositions.hpp"
