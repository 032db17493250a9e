// What tests of kernels share.
#pragma once

#include <cstddef>
#include <vector>

#include <basin/backend/cuda.hpp>

namespace launches {

using basin::index_t;

template <class Scalar, class T>
basin::DeviceBuffer<T> on_device(const basin::cuda<Scalar>& be, const std::vector<T>& x) {
  basin::DeviceBuffer<T> y(static_cast<index_t>(x.size()));
  upload_array(be, basin::array_view<const T>(x), y);
  return y;
}
template <class Scalar, class T>
std::vector<T> on_host(const basin::cuda<Scalar>& be, const basin::DeviceBuffer<T>& x) {
  std::vector<T> y(static_cast<std::size_t>(x.size()));
  download_array(be, basin::array_view<const T>(x), y);
  return y;
}

// Whole numbers from -9 to 9, whose sums have no rounding.
template <class T>
std::vector<T> small_integers(index_t n) {
  std::vector<T> x(static_cast<std::size_t>(n));
  for (index_t i = 0; i < n; ++i) x[static_cast<std::size_t>(i)] = static_cast<T>(i * i % 19 - 9);
  return x;
}

inline const std::vector<basin::launch_schedule> schedules{
    {basin::launch_order::forward},     {basin::launch_order::reversed},
    {basin::launch_order::permuted, 1}, {basin::launch_order::permuted, 2},
    {basin::launch_order::permuted, 3},
};

template <class F>
void in_every_schedule(const F& f) {
  for (const basin::launch_schedule& schedule : schedules) {
    const basin::scoped_schedule scope(schedule);
    f();
  }
}

}  // namespace launches
