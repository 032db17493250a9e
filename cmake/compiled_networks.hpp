// The layers of float and double networks, compiled once (compiled_networks.cpp) for examples and
// tests: included before every file of these targets. A program that makes or loads an autoencoder
// then compiles none of the layers.
#pragma once

#include <basin/model/plan.hpp>

#ifndef BASIN_COMPILED_NETWORKS
#define BASIN_COMPILED_NETWORKS extern
#endif

BASIN_COMPILED_NETWORKS template basin::Network<float> basin::build_network<float>(
    const std::vector<basin::layer_plan>&);
BASIN_COMPILED_NETWORKS template basin::Network<double> basin::build_network<double>(
    const std::vector<basin::layer_plan>&);
