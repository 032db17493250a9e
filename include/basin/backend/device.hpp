/// @file
/// The name of the device backend, for headers that see no CUDA header.
#pragma once

#include <concepts>

namespace basin {

template <std::floating_point Scalar>
class cuda;  // backend/cuda.hpp

/// Whether B is the device backend.
template <class B>
inline constexpr bool is_device_backend = false;
template <std::floating_point Scalar>
inline constexpr bool is_device_backend<cuda<Scalar>> = true;

}  // namespace basin
