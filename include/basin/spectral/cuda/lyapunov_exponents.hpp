/// @file
/// Trajectories with tangents in the memory of a device. A program whose Lyapunov exponents are of
/// a map on a device includes this.
#pragma once

#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include <Eigen/Core>

#include <basin/backend/cuda/columns.hpp>
#include <basin/backend/cuda/context.hpp>
#include <basin/backend/cuda/launch.hpp>
#include <basin/core/finite.hpp>
#include <basin/core/host_device.hpp>
#include <basin/core/index.hpp>
#include <basin/core/random.hpp>
#include <basin/map/derivative.hpp>
#include <basin/spectral/cuda/block_vectors.hpp>
#include <basin/spectral/lyapunov_exponents.hpp>

namespace basin::detail {

/// Each state as often as it has tangents, and the tangents in the scalar of the map.
template <class Scalar>
struct spread_tangents {
  device_view<const Scalar> states;
  const double* tangents;
  index_t width;
  device_view<Scalar> repeated, directions;
  BASIN_HOST_DEVICE void operator()(index_t at) const {
    const index_t i = at % states.rows(), j = at / states.rows();
    repeated(i, j) = states(i, j / width);
    directions(i, j) = static_cast<Scalar>(tangents[at]);
  }
};

/// `orthonormalise_tangents`, one block a trajectory: the products become its tangents. Of each
/// trajectory whether they are finite, and the logarithms.
template <class Scalar>
struct orthonormalise_trajectories {
  static constexpr int threads = 128;

  device_view<const Scalar> products;
  index_t width;
  double rounding;
  random_stream random;
  double* tangents;
  double* records;  ///< width + 2 a trajectory, of which this writes the first and the last

  [[nodiscard]] static index_t shared_bytes(index_t width) {
    return (width + threads / warp_size) * static_cast<index_t>(sizeof(double));
  }

  template <class Block>
  BASIN_HOST_DEVICE void operator()(Block& block) const {
    auto parts = block.template shared<double>(static_cast<int>(width));
    auto partial = block.template shared<double>(threads / warp_size);
    const index_t k = products.rows(), j = block.index();
    double* const V = tangents + j * width * k;
    double* const record = records + j * (width + 2);
    double longest = 0;
    for (index_t c = 0; c < width; ++c) {
      for (index_t i = block.thread(); i < k; i += threads) {
        V[c * k + i] = static_cast<double>(products(i, j * width + c));
      }
      const double norm = norm_of(block, partial, V + c * k, k);
      if (norm > longest) longest = norm;
    }
    const double vanished = 10 * std::sqrt(static_cast<double>(k)) * rounding * longest;
    bool all_finite = true;
    for (index_t c = 0; c < width; ++c) {
      double* const v = V + c * k;
      // Every thread has the same norms and takes the same way.
      for (int draw = 0;; ++draw) {
        double norm = norm_of(block, partial, v, k);
        const double whole = norm;
        for (int pass = 0; pass < 2 && c > 0 && norm > 0; ++pass) {
          project_out<threads>(block, parts, V, c, k, v);
          norm = norm_of(block, partial, v, k);
        }
        const bool lost = draw == 0 && norm <= vanished;
        if (draw == 0 && block.thread() == 0) {
          record[2 + c] = lost ? -std::numeric_limits<double>::infinity() : std::log(norm);
        }
        if (!is_finite(norm)) {
          all_finite = false;
          break;
        }
        // Of a number next to 0 a quotient would overflow.
        if (!lost && norm > std::numeric_limits<double>::min() &&
            (draw == 0 || norm > 1e-8 * whole)) {
          for (index_t i = block.thread(); i < k; i += threads) v[i] /= norm;
          break;
        }
        if (draw == 10) break;
        const random_stream stream{random.seed,
                                   random.stream + 1 + static_cast<std::uint32_t>(draw)};
        for (index_t i = block.thread(); i < k; i += threads) {
          v[i] = normal_at<double>(stream, i, c);
        }
      }
      block.sync();
    }
    if (block.thread() == 0) record[0] = all_finite ? 1 : 0;
  }

 private:
  template <class Block, class Array>
  [[nodiscard]] BASIN_HOST_DEVICE static double norm_of(Block& block, Array& partial,
                                                        const double* v, index_t k) {
    double square = 0;
    for (index_t i = block.thread(); i < k; i += threads) square += v[i] * v[i];
    return std::sqrt(block_total<threads>(block, partial, square, added{}));
  }
};

/// ‖f(z) - z‖ in double into the second number of a record; NaN where f(z) is not finite.
template <class Scalar>
struct way_reduction {
  using value = double;
  device_view<const Scalar> Z, F;
  double* records;
  index_t stride;
  BASIN_HOST_DEVICE value begin() const { return 0; }
  BASIN_HOST_DEVICE value entry(index_t i, index_t j) const {
    if (!is_finite(F(i, j))) return std::numeric_limits<double>::quiet_NaN();
    const double d = static_cast<double>(F(i, j)) - static_cast<double>(Z(i, j));
    return d * d;
  }
  BASIN_HOST_DEVICE value merge(value a, value b) const { return a + b; }
  BASIN_HOST_DEVICE void store(index_t j, value v) const { records[j * stride + 1] = std::sqrt(v); }
};

/// Columns of a list move to the front of another matrix.
template <class T>
struct keep_columns {
  const T* from;
  const index_t* which;
  index_t numbers;  ///< of a column
  T* to;
  BASIN_HOST_DEVICE void operator()(index_t at) const {
    to[at] = from[which[at / numbers] * numbers + at % numbers];
  }
};

/// States and tangents, these in double, in device memory. An iteration allocates nothing.
template <std::floating_point Scalar>
class TangentStates<cuda<Scalar>> {
 public:
  TangentStates(const cuda<Scalar>& be, const Eigen::MatrixX<Scalar>& states,
                const Eigen::MatrixXd& tangents)
      : be_(be),
        n_(states.cols()),
        width_(n_ > 0 ? tangents.cols() / n_ : 0),
        Z_(states.rows(), n_),
        F_(states.rows(), n_),
        repeated_(states.rows(), tangents.cols()),
        directions_(states.rows(), tangents.cols()),
        products_(states.rows(), tangents.cols()),
        tangents_(tangents.size()),
        records_(be.template make_buffer<double>((width_ + 2) * n_)),
        record_(Eigen::MatrixXd::Zero(width_ + 2, n_)) {
    record_.row(0).setOnes();
    upload(be_, states, columns(be_, Z_, 0, n_));
    upload_array(be_, array_view<const double>(tangents.data(), tangents.size()),
                 array_view<double>(tangents_));
    upload_array(be_, array_view<const double>(record_.data(), record_.size()),
                 array_view<double>(records_));
  }

  template <class Map>
  void step(Map& map, bool turns, random_stream random) {
    if (turns) turn(map, random);
    evaluate(be_, map, states_view(), columns(be_, F_, 0, n_));
    reduce_columns(be_, Z_.rows(), n_,
                   way_reduction<Scalar>{states_view(), columns(be_, std::as_const(F_), 0, n_),
                                         records_.data(), width_ + 2});
    download_array(be_, array_view<const double>(records_.data(), (width_ + 2) * n_),
                   array_view<double>(record_.data(), (width_ + 2) * n_));
  }
  [[nodiscard]] bool finite(index_t i) const {
    return record_(0, i) != 0 && !is_nan(record_(1, i));
  }
  [[nodiscard]] double way(index_t i) const { return record_(1, i); }
  [[nodiscard]] auto logarithms(index_t i) const { return record_.col(i).tail(width_); }
  void accept() { std::swap(Z_, F_); }
  void keep(const std::vector<index_t>& which) {
    const auto n = static_cast<index_t>(which.size());
    const index_t k = Z_.rows();
    DeviceBuffer<index_t> list(n);
    upload_array(be_, array_view<const index_t>(which), array_view<index_t>(list));
    for_each_index(be_, k * n, keep_columns<Scalar>{Z_.data(), list.data(), k, F_.data()});
    std::swap(Z_, F_);
    DeviceBuffer<double> tangents(tangents_.size());
    for_each_index(
        be_, k * width_ * n,
        keep_columns<double>{tangents_.data(), list.data(), k * width_, tangents.data()});
    be_.runtime().wait();  // before the list is freed
    tangents_ = std::move(tangents);
    n_ = n;
    // Until tangents turn again theirs are finite: the others have left.
    record_.row(0).setOnes();
    upload_array(be_, array_view<const double>(record_.data(), record_.size()),
                 array_view<double>(records_));
  }
  [[nodiscard]] Eigen::MatrixXd states() const {
    Eigen::MatrixX<Scalar> host(Z_.rows(), n_);
    download(be_, columns(be_, Z_, 0, n_), host);
    return host.template cast<double>();
  }

 private:
  [[nodiscard]] device_view<const Scalar> states_view() const { return columns(be_, Z_, 0, n_); }
  template <class Map>
  void turn(Map& map, random_stream random) {
    const index_t m = width_ * n_;
    const device_view<Scalar> repeated = columns(be_, repeated_, 0, m);
    const device_view<Scalar> directions = columns(be_, directions_, 0, m);
    const device_view<Scalar> products = columns(be_, products_, 0, m);
    for_each_index(
        be_, Z_.rows() * m,
        spread_tangents<Scalar>{states_view(), tangents_.data(), width_, repeated, directions});
    basin::jvp(be_, map, repeated, directions, products);
    using kernel = orthonormalise_trajectories<Scalar>;
    launch(be_, "orthonormalise_trajectories",
           {.blocks = n_, .threads = kernel::threads, .shared_bytes = kernel::shared_bytes(width_)},
           kernel{products, width_, static_cast<double>(std::numeric_limits<Scalar>::epsilon()),
                  random, tangents_.data(), records_.data()});
  }

  cuda<Scalar> be_;
  index_t n_, width_;  ///< trajectories, tangents of each
  DeviceMatrix<Scalar> Z_, F_, repeated_, directions_, products_;
  DeviceBuffer<double> tangents_, records_;
  Eigen::MatrixXd record_;
};

}  // namespace basin::detail
