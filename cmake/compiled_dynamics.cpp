// See compiled_dynamics.hpp. The networks' layers are compiled elsewhere.
#define BASIN_COMPILED_DYNAMICS
#include "compiled_dynamics.hpp"
