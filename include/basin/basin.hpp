/// @file
/// The library on the CPU. Not included are headers that need more than Eigen, backend/cuda.hpp,
/// io/, dynamics/, files of atlases, and the rooms of networks; nor spectral/, convergence/ and
/// attractor/, whose decompositions take long to compile.
#pragma once

#include <basin/backend/cpu.hpp>
#include <basin/core/version.hpp>
#include <basin/map/activation.hpp>
#include <basin/map/affine.hpp>
#include <basin/map/columnwise.hpp>
#include <basin/map/compose.hpp>
#include <basin/map/counter.hpp>
#include <basin/map/differentiable.hpp>
#include <basin/map/finite_difference.hpp>
#include <basin/map/function_map.hpp>
#include <basin/map/power.hpp>
#include <basin/map/relaxed.hpp>
#include <basin/solver/anderson.hpp>
#include <basin/solver/automatic.hpp>
#include <basin/solver/basin_preserving.hpp>
#include <basin/solver/broyden.hpp>
#include <basin/solver/extrapolation.hpp>
#include <basin/solver/fixed_point_solver.hpp>
#include <basin/solver/newton_krylov.hpp>
#include <basin/solver/progress_bar.hpp>
#include <basin/solver/relaxation.hpp>
