/// @file
/// The signed index type of the library.
#pragma once

#include <cstddef>

namespace basin {

/// Index and size of rows, columns and batches: signed, as Eigen's own.
using index_t = std::ptrdiff_t;

}  // namespace basin
