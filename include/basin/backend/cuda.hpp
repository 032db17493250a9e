/// @file
/// The device backend: its context and every primitive. Compiled by nvcc it runs on a
/// GPU, with Thrust, cuBLAS and kernels of its own. Compiled by a plain C++ compiler
/// with THRUST_DEVICE_SYSTEM set to one of Thrust's host systems, the same code runs
/// on the CPU: for tests, and under sanitizers.
#pragma once

#include <basin/backend/cuda/columns.hpp>
#include <basin/backend/cuda/context.hpp>
#include <basin/backend/cuda/elementwise.hpp>
#include <basin/backend/cuda/graph.hpp>
#include <basin/backend/cuda/lanes.hpp>
#include <basin/backend/cuda/launch.hpp>
#include <basin/backend/cuda/matrix.hpp>
#include <basin/backend/cuda/product.hpp>
#include <basin/backend/cuda/random.hpp>
