// See compiled_networks.hpp.
#define BASIN_COMPILED_NETWORKS
#include "compiled_networks.hpp"
