/// @file
/// All that a detector asks of a device.
#pragma once

#include <basin/attractor/cuda/nearest.hpp>
#include <basin/ood/cuda/mahalanobis.hpp>
#include <basin/ood/cuda/residual_score.hpp>
#include <basin/ood/cuda/trajectory_score.hpp>
#include <basin/ood/detector.hpp>
