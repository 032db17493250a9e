/// @file
/// The nearest references of samples: candidates by float products, distances by differences in
/// double.
#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <Eigen/Core>

#include <basin/attractor/column_sets.hpp>
#include <basin/backend/cpu.hpp>
#include <basin/backend/device.hpp>
#include <basin/backend/host.hpp>
#include <basin/core/error.hpp>
#include <basin/core/finite.hpp>
#include <basin/core/index.hpp>

namespace basin {

/// The K nearest references of N samples, the nearest first, of equal ones the lower index first.
struct Neighbours {
  Eigen::MatrixX<index_t> index;  ///< K × N
  Eigen::MatrixXd distance;       ///< K × N, Euclidean
};

namespace detail {

/// Throws unless `rows` × n samples can be searched for K of `size` references of k rows.
inline void require_search(index_t rows, index_t n, index_t k, index_t size, index_t neighbours,
                           const std::vector<index_t>& excluded) {
  require_size("nearest", "number of rows of the samples", rows, k);
  if (!excluded.empty()) {
    require_size("nearest", "number of excluded references", static_cast<index_t>(excluded.size()),
                 n);
  }
  const index_t available = size - (excluded.empty() ? 0 : 1);
  require(
      neighbours >= 1 && neighbours <= available, "nearest",
      std::to_string(neighbours) + " neighbours of " + std::to_string(available) + " references");
}

}  // namespace detail

/// References that are searched many times.
///
/// All products x · y are made in float, in tiles that stay in the first-level cache
/// (cpu/product.hpp). ‖x‖² + ‖y‖² - 2 x · y cancels where x and y are near, so products only
/// choose: every reference whose distance may be among the K least, by a bound of all roundings, is
/// kept, and its distance computed anew by differences in double. The answer is that of a search in
/// double, ties by index, on any number of threads. The bound is that of sums of k products,
/// (k + 4) u ‖x‖ ‖y‖ and what the rest needs, u = 2^-24, with the mean of the references as the
/// origin. Where many references are within the bound of each other the search becomes one by
/// differences, some twenty times slower, with the same answer.
///
/// Magnitudes are from 1e-140, under which squares of distances underflow, to 1e150. Memory: the
/// references, and once more in float; a task's candidates, at most 4 K a sample.
///
/// @tparam Scalar of the references, float or double; samples may be of either
///
/// @code
/// #include <iostream>
///
/// #include <basin/attractor/nearest.hpp>
///
/// int main() {
///   const basin::cpu<float> cpu;
///   const Eigen::MatrixXf references = Eigen::MatrixXf::Random(16, 10000);
///   const basin::NearestReferences search(cpu, references);
///   const auto found = search.nearest(cpu, Eigen::MatrixXf::Random(16, 3), 5);
///   std::cout << found.index << "\n\n" << found.distance << '\n';
/// }
/// @endcode
template <std::floating_point Scalar>
class NearestReferences {
 public:
  using matrix = Eigen::MatrixX<Scalar>;

  /// @param references k × M, M >= 1
  /// @throws size_error if there is no reference or k is 0; argument_error that names a column that
  ///   is not finite
  /// Cost: reads them twice.
  template <std::floating_point S>
  NearestReferences(const cpu<S>& be, matrix references) : references_(std::move(references)) {
    const index_t k = dimension(), m = size();
    if (k < 1 || m < 1) {
      throw size_error("NearestReferences: the references are " + std::to_string(k) + " × " +
                       std::to_string(m));
    }
    largest_ = detail::largest_entry(be, "NearestReferences", "reference", references_);
    // Any origin is right; one among the references makes the products' roundings small.
    const index_t sampled = std::min<index_t>(m, 128);
    center_ = Eigen::VectorXd::Zero(k);
    for (index_t i = 0; i < sampled; ++i) {
      center_ += references_.col(i * m / sampled).template cast<double>();
    }
    center_ /= static_cast<double>(sampled);
    const double reach = largest_ + center_.cwiseAbs().maxCoeff();
    if (reach > 0) scale_ = std::exp2(std::min(1000.0, -std::ceil(std::log2(reach))));

    const index_t panels = (m + tile::rows - 1) / tile::rows;
    packed_.resize(panels * tile::rows * (k + 1));
    norms_.resize(panels);
    for_each_index(
        be, panels,
        [&](index_t p) {
          const index_t first = p * tile::rows, count = std::min(tile::rows, m - first);
          Eigen::Map<Eigen::MatrixXf> panel(packed_.data() + first * (k + 1), tile::rows, k + 1);
          panel.setZero();
          panel.col(k).setConstant(std::numeric_limits<float>::lowest());
          const Eigen::MatrixXf scaled =
              ((references_.middleCols(first, count).template cast<double>().colwise() - center_) *
               scale_)
                  .template cast<float>();
          const Eigen::VectorXd squares =
              scaled.template cast<double>().colwise().squaredNorm().transpose();
          panel.block(0, 0, count, k) = scaled.transpose();
          panel.col(k).head(count) = (-squares / 2).template cast<float>();
          norms_[p] = std::sqrt(squares.maxCoeff());
        },
        4);
  }

  [[nodiscard]] index_t dimension() const noexcept { return references_.rows(); }
  [[nodiscard]] index_t size() const noexcept { return references_.cols(); }
  [[nodiscard]] const matrix& references() const noexcept { return references_; }

  /// The K nearest references of each sample.
  /// @param samples k × N in host memory, float or double
  /// @param neighbours K, from 1 to the number of references that are not excluded
  /// @param excluded of each sample a reference that is not looked at, or -1; empty: none
  /// @throws size_error unless samples have k rows and there are no or N excluded ones;
  ///   argument_error if K is out of its range, or names a sample that is not finite
  /// Cost: 2 k M N flops in float, and of each sample some more than K distances in double.
  template <std::floating_point S, class Derived>
  [[nodiscard]] Neighbours nearest(const cpu<S>& be, const Eigen::MatrixBase<Derived>& samples,
                                   index_t neighbours,
                                   const std::vector<index_t>& excluded = {}) const {
    // Expressions are evaluated once.
    const Eigen::Ref<const Eigen::MatrixX<typename Derived::Scalar>> X = samples.derived();
    const index_t n = X.cols();
    detail::require_search(X.rows(), n, dimension(), size(), neighbours, excluded);
    const double largest = std::max(largest_, detail::largest_entry(be, "nearest", "sample", X));
    Neighbours found{Eigen::MatrixX<index_t>(neighbours, n), Eigen::MatrixXd(neighbours, n)};
    if (n == 0) return found;
    const index_t room = std::max<index_t>(64, 4 * neighbours);
    // A task's samples: their candidates take at most some 16 MB.
    const index_t most =
        std::clamp<index_t>((index_t{1} << 24) / (room * static_cast<index_t>(sizeof(candidate))),
                            tile::columns, 16 * tile::columns);
    const index_t shared = (n + 4 * be.threads() - 1) / (4 * be.threads());
    const index_t grain =
        std::min(most, shared + tile::columns - 1) / tile::columns * tile::columns;
    be.pool().run((n + grain - 1) / grain, [&](index_t task) {
      const index_t first = task * grain;
      search(X, first, std::min(grain, n - first), room, largest, excluded, found);
    });
    return found;
  }

 private:
  using tile = detail::product_tile<float>;
  static constexpr double u = 5.9604644775390625e-8;  // 2^-24

  /// A reference with bounds of its squared distance, scaled; equal ones if it is exact.
  struct candidate {
    double low, high;
    index_t index;
  };

  /// What is known of a sample while panels pass.
  struct column {
    Eigen::VectorXd state;
    double squares = 0;                                       ///< of the scaled one's norm
    double own = 0;                                           ///< bound of roundings, its own part
    double with = 0;                                          ///< times the norm of the reference
    double limit = -std::numeric_limits<double>::infinity();  ///< of x · y - ‖y‖² / 2
    std::vector<candidate> candidates;
  };

  [[nodiscard]] double error(const column& x, double norm) const {
    return x.own + x.with * norm + 4 * u * norm * norm;
  }

  template <class Derived>
  void search(const Eigen::MatrixBase<Derived>& samples, index_t first, index_t count, index_t room,
              double largest, const std::vector<index_t>& excluded, Neighbours& found) const {
    const index_t k = dimension(), neighbours = found.index.rows();
    const index_t tiles = (count + tile::columns - 1) / tile::columns;
    scratch_scope scope;
    float* const packed = scope.get<float>(tiles * tile::columns * (k + 1));
    float* const products = scope.get<float>(tile::rows * tile::columns);
    std::fill_n(packed, tiles * tile::columns * (k + 1), 0.0f);
    std::vector<column> x(static_cast<std::size_t>(count));
    // What the subtraction of the origin rounds, in double.
    const double origin = std::exp2(-51) * scale_ * (largest + center_.cwiseAbs().maxCoeff()) *
                          std::sqrt(static_cast<double>(k));
    for (index_t j = 0; j < count; ++j) {
      column& c = x[static_cast<std::size_t>(j)];
      c.candidates.reserve(static_cast<std::size_t>(room + tile::rows));
      c.state = samples.col(first + j).template cast<double>();
      float* const to = packed + j / tile::columns * tile::columns * (k + 1) + j % tile::columns;
      for (index_t d = 0; d < k; ++d) {
        const auto z = static_cast<float>((c.state[d] - center_[d]) * scale_);
        to[d * tile::columns] = z;
        c.squares += static_cast<double>(z) * static_cast<double>(z);
      }
      to[k * tile::columns] = 1.0f;
      const double norm = std::sqrt(c.squares);
      c.with = static_cast<double>(k + 4) * u * norm + 2 * origin;
      c.own = 8 * u * c.squares + origin * (2 * norm + origin) + 1e-30;
      // So far away products overflow: all is left to differences.
      if (!(norm < 1e15)) c.own = std::numeric_limits<double>::infinity();
    }
    float limits[tile::columns];
    for (index_t p = 0; p < norms_.size(); ++p) {
      const float* const panel = packed_.data() + p * tile::rows * (k + 1);
      for (index_t t = 0; t < tiles; ++t) {
        tile::multiply(k + 1, panel, tile::rows, packed + t * tile::columns * (k + 1), products);
        const index_t in_tile = std::min(tile::columns, count - t * tile::columns);
        for (index_t j = 0; j < in_tile; ++j) {
          const column& c = x[static_cast<std::size_t>(t * tile::columns + j)];
          const double limit = c.limit - error(c, norms_[p]);
          limits[j] = static_cast<float>(limit - 2 * u * std::abs(limit));  // rounded downwards
        }
        for (index_t j = 0; j < in_tile; ++j) {
          const float* const s = products + j * tile::rows;
          int may_be = 0;
          for (index_t i = 0; i < tile::rows; ++i) may_be |= s[i] < limits[j] ? 0 : 1;
          if (may_be == 0) [[likely]]
            continue;
          const index_t place = t * tile::columns + j;
          column& c = x[static_cast<std::size_t>(place)];
          const index_t skipped =
              excluded.empty() ? -1 : excluded[static_cast<std::size_t>(first + place)];
          add(c, p, s, limits[j], skipped);
          if (static_cast<index_t>(c.candidates.size()) >= room) {
            narrow(c, neighbours, room / 2);
          }
        }
      }
    }
    for (index_t j = 0; j < count; ++j) {
      column& c = x[static_cast<std::size_t>(j)];
      narrow(c, neighbours, 0);
      for (index_t i = 0; i < neighbours; ++i) {
        const candidate& one = c.candidates[static_cast<std::size_t>(i)];
        found.index(i, first + j) = one.index;
        found.distance(i, first + j) = std::sqrt(one.low) / scale_;
      }
    }
  }

  /// The references of a panel that may be among the nearest.
  void add(column& c, index_t panel, const float* s, float limit, index_t skipped) const {
    const double e = 2 * error(c, norms_[panel]);
    for (index_t i = 0; i < tile::rows; ++i) {
      const index_t r = panel * tile::rows + i;
      if (s[i] < limit || r >= size() || r == skipped) continue;
      const double squared = c.squares - 2 * static_cast<double>(s[i]);
      if (is_finite(e) && is_finite(squared)) {
        c.candidates.push_back({squared - e, squared + e, r});
      } else {
        c.candidates.push_back({0, std::numeric_limits<double>::infinity(), r});
      }
    }
  }

  /// Leaves out the candidates that are not among the nearest by their bounds; if more than
  /// `enough` are left, by their distances, and then only the nearest are left, in order.
  void narrow(column& c, index_t neighbours, index_t enough) const {
    std::vector<candidate>& all = c.candidates;
    const auto last = all.begin() + static_cast<std::ptrdiff_t>(neighbours - 1);
    const auto size = [&] { return static_cast<index_t>(all.size()); };
    if (size() < neighbours) return;
    std::nth_element(all.begin(), last, all.end(),
                     [](const candidate& a, const candidate& b) { return a.high < b.high; });
    double most = last->high;
    std::erase_if(all, [&](const candidate& one) { return one.low > most; });
    if (size() > enough) {
      for (candidate& one : all) {
        if (one.low == one.high) continue;
        one.low = one.high = squared_distance(c.state, one.index) * scale_ * scale_;
      }
      const auto nearer = [](const candidate& a, const candidate& b) {
        return a.low != b.low ? a.low < b.low : a.index < b.index;
      };
      std::nth_element(all.begin(), last, all.end(), nearer);
      all.resize(static_cast<std::size_t>(neighbours));
      std::sort(all.begin(), all.end(), nearer);
      most = all.back().high;
    }
    c.limit = (c.squares - most) / 2;
  }

  [[nodiscard]] double squared_distance(const Eigen::VectorXd& state, index_t r) const {
    const index_t k = dimension();
    const Scalar* const reference = references_.data() + r * k;
    if constexpr (sizeof(Scalar) == sizeof(double)) {
      return detail::sum_of_squared_differences(state.data(), reference, k);
    } else {
      scratch_scope scope;
      double* const wide = scope.get<double>(k);
      std::copy_n(reference, k, wide);
      return detail::sum_of_squared_differences(state.data(), wide, k);
    }
  }

  matrix references_;
  Eigen::VectorXd center_;
  double largest_ = 0;
  double scale_ = 1;
  /// Panels of references less the origin, scaled to 1: a depth's rows beside each other, and
  /// behind the last depth -‖y‖² / 2, which samples meet with 1.
  Eigen::VectorXf packed_;
  Eigen::VectorXd norms_;  ///< the largest of each panel
};

template <class Derived>
NearestReferences(const cpu<typename Derived::Scalar>&,
                  const Eigen::MatrixBase<Derived>&) -> NearestReferences<typename Derived::Scalar>;

namespace detail {

/// How references are searched for a backend: by the threads of the host, or on the device.
template <class B, std::floating_point Scalar>
struct nearest_search {
  using type = NearestReferences<Scalar>;
  /// The context that it runs on.
  [[nodiscard]] static auto context(const B& be) { return host_of(be); }
  /// Columns in double, of norm 1 if `normalized`, as a search takes them.
  template <class Host, class Derived>
  [[nodiscard]] static Eigen::MatrixXd points(const Host&, std::string_view where,
                                              std::string_view what,
                                              const Eigen::MatrixBase<Derived>& X,
                                              bool normalized) {
    return normalized ? normalized_columns(where, what, X)
                      : Eigen::MatrixXd(X.template cast<double>());
  }
};
/// To be had from attractor/cuda/nearest.hpp.
template <std::floating_point Product, std::floating_point Scalar>
struct nearest_search<cuda<Product>, Scalar>;

}  // namespace detail

}  // namespace basin
