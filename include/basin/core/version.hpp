/// @file
/// The version of the library; CMakeLists.txt reads it from here.
#pragma once

/// major × 10000 + minor × 100 + patch.
#define BASIN_VERSION 100
