/// @file
/// The library on the CPU. Headers that need more than Eigen are not included:
/// backend/cuda.hpp, io/.
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
#include <basin/solver/fixed_point_solver.hpp>
#include <basin/solver/progress_bar.hpp>
