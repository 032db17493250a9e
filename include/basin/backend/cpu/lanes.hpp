/// @file
/// Lanes: who shares the entries of one column's work. Algorithms on columns that are written over
/// a lanes object run on every backend: on the CPU one lane does all the work of a column, on a
/// device a warp does (cuda/lanes.hpp).
///
/// All lanes run the algorithm, and branch alike. Entry i of every array of the column is the same
/// lane's in all loops, so that loops over entries need no barrier between them. What is not an
/// entry, small matrices for example, one lane writes inside once(), and all may read it behind.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <type_traits>
#include <utility>
#include <vector>

#include <basin/backend/array_view.hpp>
#include <basin/backend/cpu/columns.hpp>
#include <basin/backend/cpu/context.hpp>
#include <basin/backend/cpu/packet.hpp>
#include <basin/backend/cpu/scratch.hpp>
#include <basin/core/error.hpp>
#include <basin/core/host_device.hpp>
#include <basin/core/index.hpp>

namespace basin {
namespace detail {

template <class Scalar>
[[nodiscard]] Scalar dot(const Scalar* x, const Scalar* y, index_t n) {
  return sum_run<Scalar>(n, [](const auto& a, const auto& b) { return a * b; }, x, y);
}
/// <x, y> in double, by eight chains of additions.
template <class X, class Y>
[[nodiscard]] double dot_in_double(const X* x, const Y* y, index_t n) {
  constexpr index_t chains = 8;
  double sums[chains] = {};
  index_t i = 0;
  for (; i + chains <= n; i += chains) {
    for (index_t c = 0; c < chains; ++c) {
      sums[c] += static_cast<double>(x[i + c]) * static_cast<double>(y[i + c]);
    }
  }
  for (index_t c = 0; i + c < n; ++c) {
    sums[c] += static_cast<double>(x[i + c]) * static_cast<double>(y[i + c]);
  }
  double all = 0;
  for (const double sum : sums) all += sum;
  return all;
}
/// y += a x.
template <class Scalar>
void add_scaled(Scalar a, const Scalar* x, Scalar* y, index_t n) {
  for (index_t i = 0; i < n; ++i) y[i] += a * x[i];
}

/// Calls visit(first, count) for runs of the rows 0 ... n - 1, so that work on some columns can
/// be done while their rows are in cache: what long columns cost is passes over memory. Runs begin
/// at multiples of a warp.
template <class Visit>
BASIN_HOST_DEVICE void for_row_blocks(index_t n, Visit&& visit) {
  constexpr index_t rows = 512;
  for (index_t first = 0; first < n; first += rows) {
    visit(first, n - first < rows ? n - first : rows);
  }
}
/// products[c] += <x_c, y> of as many columns x_c as there are numbers c, each to the bits of
/// dot(): side by side, the chains of additions of one column fill the time that those of
/// another wait.
template <class Scalar, index_t... c>
void add_dots(std::integer_sequence<index_t, c...>, const Scalar* x, index_t stride,
              const Scalar* y, index_t n, Scalar* products) {
  using simd = detail::simd<Scalar>;
  typename simd::vector even[] = {(static_cast<void>(c), simd::zero())...};
  typename simd::vector odd[] = {(static_cast<void>(c), simd::zero())...};
  const auto add = [&](const Scalar* from, index_t apart, const Scalar* by) {
    const typename simd::vector first = simd::load(by);
    const typename simd::vector second = simd::load(by + simd::lanes);
    ((even[c] += simd::load(from + c * apart) * first), ...);
    ((odd[c] += simd::load(from + c * apart + simd::lanes) * second), ...);
  };
  constexpr index_t step = 2 * simd::lanes;
  index_t i = 0;
  for (; i + step <= n; i += step) add(x + i, stride, y + i);
  if (i < n) {
    Scalar last[step * sizeof...(c)] = {};
    Scalar by[step] = {};
    (std::copy_n(x + c * stride + i, n - i, last + c * step), ...);
    std::copy_n(y + i, n - i, by);
    add(last, step, by);
  }
  const auto total = [](typename simd::vector sum, typename simd::vector rest) {
    sum += rest;
    Scalar all = 0;
    for (index_t lane = 0; lane < simd::lanes; ++lane) all += sum[lane];
    return all;
  };
  ((products[c] += total(even[c], odd[c])), ...);
}
/// products[i] = <x_i, y> of `count` columns x_i that begin `stride` numbers from each other.
template <class Scalar>
void dots(const Scalar* x, index_t stride, index_t count, const Scalar* y, index_t n,
          Scalar* products) {
  std::fill_n(products, count, Scalar(0));
  for_row_blocks(n, [&](index_t first, index_t rows) {
    const auto add = [&](auto columns, index_t i) {
      add_dots(columns, x + i * stride + first, stride, y + first, rows, products + i);
    };
    index_t i = 0;
    for (; i + 4 <= count; i += 4) add(std::make_integer_sequence<index_t, 4>(), i);
    for (; i + 2 <= count; i += 2) add(std::make_integer_sequence<index_t, 2>(), i);
    for (; i < count; ++i) add(std::make_integer_sequence<index_t, 1>(), i);
  });
}

}  // namespace detail

/// Some numbers of short life, from a stack: what lanes give out.
template <class Scalar>
class scratch_array {
 public:
  /// Takes numbers from where the stack ends; the array's end gives them back.
  BASIN_HOST_DEVICE scratch_array(Scalar*& top, index_t count) : top_(top), data_(top) {
    top += count;
  }
  scratch_array(const scratch_array&) = delete;
  scratch_array& operator=(const scratch_array&) = delete;
  BASIN_HOST_DEVICE ~scratch_array() { top_ = data_; }

  [[nodiscard]] BASIN_HOST_DEVICE Scalar* data() const { return data_; }
  [[nodiscard]] BASIN_HOST_DEVICE Scalar& operator[](index_t i) const { return data_[i]; }

 private:
  Scalar*& top_;
  Scalar* data_;
};

/// The greatest of some numbers and whose it is; -1: there are none.
template <class T>
struct greatest_entry {
  T value;
  index_t at;
  /// Whether `other` comes before this one: greater, or as great and earlier.
  [[nodiscard]] BASIN_HOST_DEVICE constexpr bool yields_to(const greatest_entry& other) const {
    if (at < 0 || other.at < 0) return other.at >= 0;
    return other.value > value || (other.value == value && other.at < at);
  }
};

/// All the work of a column in one lane, on the CPU. Its functions are constexpr so that nvcc lets
/// functions for host and device call them; array(), whose result is none of a constant, is for
/// both.
template <class Scalar>
class one_lane {
 public:
  /// @param scratch memory for array(); as much as its caller asks for at once
  constexpr explicit one_lane(array_view<Scalar> scratch = {})
      : top_(scratch.data), end_(scratch.data + scratch.size) {}

  /// f(i) for i in [0, n), in the lane whose entry i is.
  template <class F>
  constexpr void each(index_t n, F&& f) const {
    for (index_t i = 0; i < n; ++i) f(i);
  }
  /// f() in one lane; all see behind it what it wrote, and have what it gives back.
  template <class F>
  constexpr auto once(F&& f) const {
    return f();
  }
  /// f() in the lane of once(), which nobody waits for: others see what it wrote behind the next
  /// once().
  template <class F>
  constexpr void aside(F&& f) const {
    f();
  }
  /// f(value), where each lane has a copy of what is remembered of the column, and all change it
  /// alike.
  template <class T, class F>
  constexpr void update(T& value, F&& f) const {
    f(value);
  }
  /// `count` numbers, uninitialised, that all lanes see.
  /// @throws argument_error (on a device being emulated kernel_error, on a GPU nothing) if there is
  ///   no room for so many
  [[nodiscard]] BASIN_HOST_DEVICE scratch_array<Scalar> array(index_t count) {
#if !defined(__CUDA_ARCH__)
    require(count <= end_ - top_, "lanes", "more scratch memory is taken than was asked for");
#endif
    return {top_, count};
  }

  /// y = x.
  constexpr void copy(const Scalar* x, index_t n, Scalar* y) const { std::copy_n(x, n, y); }
  /// y += a x.
  constexpr void add_scaled(Scalar a, const Scalar* x, Scalar* y, index_t n) const {
    detail::add_scaled(a, x, y, n);
  }
  /// add(i, sums) for i in [0, n): it adds a term to each of the sums.
  template <class T, std::size_t N, class F>
  constexpr void sum(index_t n, T (&sums)[N], F&& add) const {
    for (index_t i = 0; i < n; ++i) add(i, sums);
  }
  /// The greatest f(i) for i in [0, n), the first of equal ones; numbers that are none are left
  /// out.
  template <class F>
  [[nodiscard]] constexpr auto greatest(index_t n, F&& f) const {
    using value = std::invoke_result_t<F&, index_t>;
    constexpr index_t run = 64, chains = 8;
    greatest_entry<value> found{{}, -1};
    value of[run];
    // Which entry it is, is asked of runs that have a greater one: few.
    for (index_t first = 0; first < n; first += run) {
      const index_t count = n - first < run ? n - first : run;
      for (index_t i = 0; i < count; ++i) of[i] = f(first + i);
      for (index_t i = count; i < run; ++i) of[i] = of[0];
      bool greater = found.at < 0;
      if (!greater) {
        bool over[chains] = {};
        for (index_t i = 0; i < run; i += chains) {
          for (index_t c = 0; c < chains; ++c) over[c] |= of[i + c] > found.value;
        }
        for (const bool any : over) greater |= any;
      }
      for (index_t i = 0; greater && i < count; ++i) {
        if (found.at < 0 ? of[i] == of[i] : of[i] > found.value) found = {of[i], first + i};
      }
    }
    return found;
  }
  /// <x, y> in double.
  template <class X, class Y>
  [[nodiscard]] constexpr double dot_in_double(const X* x, const Y* y, index_t n) const {
    return detail::dot_in_double(x, y, n);
  }
  /// <x, y>.
  template <class T>
  [[nodiscard]] constexpr T dot(const T* x, const T* y, index_t n) const {
    return detail::dot(x, y, n);
  }
  /// products[i] = <x_i, y> of `count` columns x_i that begin `stride` numbers from each other;
  /// written as by once().
  constexpr void dots(const Scalar* x, index_t stride, index_t count, const Scalar* y, index_t n,
                      Scalar* products) const {
    detail::dots(x, stride, count, y, n, products);
  }
  /// ‖y - x‖².
  [[nodiscard]] constexpr Scalar sum_of_squared_differences(const Scalar* x, const Scalar* y,
                                                            index_t n) const {
    return detail::sum_of_squared_differences(x, y, n);
  }
  /// ‖y - x‖²; where that is not finite, infinity if y is and NaN if not.
  [[nodiscard]] constexpr Scalar squared_distance(const Scalar* x, const Scalar* y,
                                                  index_t n) const {
    return detail::squared_distance(x, y, n);
  }
  [[nodiscard]] constexpr bool all_finite(const Scalar* x, index_t n) const {
    return detail::all_finite(x, n);
  }

 private:
  Scalar* top_;
  Scalar* end_;
};

/// Memory for the scratch arrays of `n` columns of which each takes `numbers` at once: none here,
/// where a thread has its own.
template <std::floating_point Scalar>
[[nodiscard]] std::vector<Scalar> make_lane_scratch(const cpu<Scalar>&, index_t, index_t) {
  return {};
}

/// Calls work(lanes, j) for j in [0, n), in parallel: one lane each.
/// @param numbers for scratch arrays of a column at once
/// @param scratch of make_lane_scratch()
/// @param grain columns to a task
template <std::floating_point Scalar, class Work>
void for_each_in_lanes(const cpu<Scalar>& be, index_t n, const Work& work, index_t numbers,
                       std::type_identity_t<array_view<Scalar>>, index_t grain) {
  be.pool().run((n + grain - 1) / grain, [&](index_t task) {
    scratch_scope scope;
    one_lane<Scalar> lanes({scope.get<Scalar>(numbers), numbers});
    const index_t end = std::min(n, (task + 1) * grain);
    for (index_t j = task * grain; j < end; ++j) work(lanes, j);
  });
}

}  // namespace basin
