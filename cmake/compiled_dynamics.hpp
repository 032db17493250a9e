// What experiments ask of the latent maps of networks, compiled once (compiled_dynamics.cpp):
// included before every file of these targets.
#pragma once

#include "compiled_decompositions.hpp"
#include "compiled_networks.hpp"

#include <vector>

#include <basin/attractor/cluster.hpp>
#include <basin/nn/layer_map.hpp>
#include <basin/spectral/eigenvalues.hpp>

#ifndef BASIN_COMPILED_DYNAMICS
#define BASIN_COMPILED_DYNAMICS extern
#endif

namespace basin {

BASIN_COMPILED_DYNAMICS template Clustering detail::cluster_ends(
    const cpu<float>&, const FixedPointResult<cpu<float>>&, const cpu<float>&,
    LayerMap<Network<float>>&, const by_distance&);
BASIN_COMPILED_DYNAMICS template Clustering detail::cluster_ends(
    const cpu<double>&, const FixedPointResult<cpu<double>>&, const cpu<double>&,
    LayerMap<Network<double>>&, const by_distance&);
BASIN_COMPILED_DYNAMICS template std::vector<Spectrum> eigenvalues(
    const cpu<float>&, LayerMap<Network<float>>&, const Eigen::Ref<const Eigen::MatrixXd>&,
    const eigenvalue_options&);
BASIN_COMPILED_DYNAMICS template std::vector<Spectrum> eigenvalues(
    const cpu<double>&, LayerMap<Network<double>>&, const Eigen::Ref<const Eigen::MatrixXd>&,
    const eigenvalue_options&);

}  // namespace basin
