/// @file
/// The CPU backend: its context and every primitive.
#pragma once

#include <basin/backend/cpu/columns.hpp>
#include <basin/backend/cpu/context.hpp>
#include <basin/backend/cpu/elementwise.hpp>
#include <basin/backend/cpu/lanes.hpp>
#include <basin/backend/cpu/product.hpp>
#include <basin/backend/cpu/random.hpp>
