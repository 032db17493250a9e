/// @file
/// Krylov spaces of many points in the memory of a device. A program whose spectra run on a device
/// includes this.
///
/// Vectors never leave the device. A product with J or its transpose, of all points together:
/// - the host says for each point which vector is multiplied and which the result is to be made
///   orthogonal to, 48 bytes a point;
/// - the vectors go through the map in its scalar, by jvp or vjp;
/// - one block a point takes the parts in the n vectors of the space from the product, twice, in
///   double: 8 k n flops and 4 n k numbers that are read;
/// - the host gets n + 3 numbers a point, and decides.
/// That is 4 synchronisations beside the map's own, whatever the number of points. Restarts, one in
/// some ten products of a space that has been full, upload a matrix of at most n² numbers a point,
/// and are one launch for all points; the Schur form or singular values of n × n numbers are the
/// host's work (25 n³ flops, 0.2 Mflop where n is 20: a batched kernel would part its threads at
/// every deflation). Vectors come to the host where they are asked for. With vectors on the host a
/// product would move 2 k numbers a point.
#pragma once

#include <algorithm>
#include <cmath>
#include <complex>
#include <concepts>
#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include <Eigen/Core>

#include <basin/backend/cuda/columns.hpp>
#include <basin/backend/cuda/context.hpp>
#include <basin/backend/cuda/launch.hpp>
#include <basin/core/host_device.hpp>
#include <basin/core/index.hpp>
#include <basin/spectral/cuda/block_vectors.hpp>
#include <basin/spectral/krylov_basis.hpp>
#include <basin/spectral/krylov_spaces.hpp>

namespace basin::detail {

/// A product of one method.
struct krylov_job {
  index_t direction;  ///< place of the vector that is multiplied, in numbers from the first space
  index_t target;     ///< place of the space that the product is made orthogonal to
  index_t against;    ///< how many of its vectors; the rest is stored behind them
  index_t rows;       ///< of the target
  double scale;       ///< of the product
  index_t first;      ///< whether the scale is set by this product
};

/// Columns that become combinations of columns of the same space.
struct combine_job {
  index_t space;  ///< place of column 0
  index_t rows, from, count, to, made;
  index_t factors;  ///< place of the count × made factors
  index_t scratch;  ///< place of rows × made numbers
};

/// The vectors that are multiplied, in the scalar of the map.
template <class Scalar>
struct gather_directions {
  const double* spaces;
  const krylov_job* jobs;
  device_view<Scalar> to;
  BASIN_HOST_DEVICE void operator()(index_t at) const {
    const index_t i = at % to.rows(), j = at / to.rows();
    to(i, j) = static_cast<Scalar>(spaces[jobs[j].direction + i]);
  }
};

/// One thread a row: reads and then writes a row of the space by itself. Over jobs × rows.
struct combine_rows {
  double* spaces;
  const combine_job* jobs;
  const double* factors;
  double* scratch;
  index_t rows;  ///< at most of a space
  BASIN_HOST_DEVICE void operator()(index_t at) const {
    const combine_job job = jobs[at / rows];
    const index_t i = at % rows;
    if (i >= job.rows) return;
    double* const row = spaces + job.space + i;
    double* const made = scratch + job.scratch + i;
    for (index_t c = 0; c < job.made; ++c) {
      double sum = 0;
      for (index_t r = 0; r < job.count; ++r) {
        sum += row[(job.from + r) * job.rows] * factors[job.factors + c * job.count + r];
      }
      made[c * job.rows] = sum;
    }
    for (index_t c = 0; c < job.made; ++c) row[(job.to + c) * job.rows] = made[c * job.rows];
  }
};

/// Takes from each product its parts in the vectors of a space, twice, by classical Gram and
/// Schmidt: one block a product. The rest is stored behind the vectors, and of each product
/// largest, norm, norm of the rest and the parts.
template <class Scalar>
struct orthogonalise_products {
  static constexpr int threads = 128;

  device_view<const Scalar> products;
  const krylov_job* jobs;
  double* spaces;
  double* records;
  index_t stride;  ///< of records
  int most;        ///< vectors

  [[nodiscard]] static index_t shared_bytes(index_t most) {
    return (most + threads / warp_size) * static_cast<index_t>(sizeof(double));
  }

  template <class Block>
  BASIN_HOST_DEVICE void operator()(Block& block) const {
    auto parts = block.template shared<double>(most);
    auto partial = block.template shared<double>(threads / warp_size);
    const index_t j = block.index();
    const krylov_job job = jobs[j];
    const index_t k = job.rows;
    double* const V = spaces + job.target;
    double* const w = V + job.against * k;
    double* const record = records + j * stride;
    double largest = 0;
    for (index_t i = block.thread(); i < k; i += threads) {
      const double x = std::abs(static_cast<double>(products(i, j)));
      if (!(x <= largest)) largest = x;
    }
    largest = block_total<threads>(block, partial, largest, larger_of{});
    const double scale = job.first != 0 ? product_scale(largest, job.scale) : job.scale;
    double square = 0;
    for (index_t i = block.thread(); i < k; i += threads) {
      const double x = scale * static_cast<double>(products(i, j));
      w[i] = x;
      square += x * x;
    }
    square = block_total<threads>(block, partial, square, added{});
    if (block.thread() == 0) {
      record[0] = largest;
      record[1] = std::sqrt(square);
    }
    for (index_t c = block.thread(); c < job.against; c += threads) record[3 + c] = 0;
    block.sync();
    for (int pass = 0; pass < 2; ++pass) {
      project_out<threads>(block, parts, V, job.against, k, w);
      for (index_t c = block.thread(); c < job.against; c += threads) {
        const double part = parts[static_cast<int>(c)];
        record[3 + c] += part;
      }
      block.sync();  // before the parts are others
    }
    square = 0;
    for (index_t i = block.thread(); i < k; i += threads) square += w[i] * w[i];
    square = block_total<threads>(block, partial, square, added{});
    if (block.thread() == 0) record[2] = std::sqrt(square);
  }
};

/// The memory of all spaces, and what is still to be done to them: combinations of columns wait for
/// each other, so that those of all points are one launch.
template <std::floating_point Scalar>
class SpacePool {
 public:
  SpacePool(const cuda<Scalar>& be, index_t rows, index_t columns, index_t count)
      : be_(be), rows_(rows), size_(rows * columns), spaces_(rows * columns * count) {}

  [[nodiscard]] const cuda<Scalar>& context() const noexcept { return be_; }
  [[nodiscard]] double* data() noexcept { return spaces_.data(); }
  /// The place of the next space.
  [[nodiscard]] index_t next() noexcept { return size_ * taken_++; }

  /// Columns `to` on of a space become combinations of those from `from` on: Q's.
  void combine(index_t space, index_t rows, index_t from, index_t to,
               const Eigen::Ref<const Eigen::MatrixXd>& Q) {
    waiting_.push_back(
        {space, rows, from, Q.rows(), to, Q.cols(), static_cast<index_t>(factors_.size()), 0});
    for (index_t c = 0; c < Q.cols(); ++c) {
      factors_.insert(factors_.end(), Q.col(c).begin(), Q.col(c).end());
    }
  }
  /// Does what is still to be done, in order for each space.
  void finish() {
    if (waiting_.empty()) return;
    upload_into(device_factors_, factors_);
    std::vector<combine_job> now, later;
    while (!waiting_.empty()) {
      now.clear();
      later.clear();
      index_t scratch = 0;
      // Those of a space follow each other: one of each at a time.
      std::vector<char> busy(static_cast<std::size_t>(taken_), 0);
      for (combine_job job : waiting_) {
        char& its = busy[static_cast<std::size_t>(job.space / size_)];
        if (its != 0) {
          later.push_back(job);
          continue;
        }
        its = 1;
        job.scratch = scratch;
        scratch += job.rows * job.made;
        now.push_back(job);
      }
      upload_into(jobs_, now);
      if (scratch_.size() < scratch) scratch_ = DeviceBuffer<double>(scratch);
      for_each_index(be_, static_cast<index_t>(now.size()) * rows_,
                     combine_rows{spaces_.data(), jobs_.data(), device_factors_.data(),
                                  scratch_.data(), rows_});
      waiting_.swap(later);
    }
    factors_.clear();
  }

  /// An array in device memory.
  template <class T>
  [[nodiscard]] DeviceBuffer<T> uploaded(const std::vector<T>& x) const {
    DeviceBuffer<T> copy(static_cast<index_t>(x.size()));
    upload_array(be_, array_view<const T>(x), array_view<T>(copy));
    return copy;
  }
  void write(index_t place, const Eigen::Ref<const Eigen::VectorXd>& v) {
    finish();
    upload_array(be_, array_view<const double>(v),
                 array_view<double>(spaces_.data() + place, v.size()));
  }
  /// Products made orthogonal, see `orthogonalise_products`: a record a column.
  template <class T>
  [[nodiscard]] Eigen::MatrixXd orthogonalise(const device_view<const T>& products,
                                              const krylov_job* jobs, index_t most) {
    const index_t stride = most + 3, m = products.cols();
    if (records_.size() < stride * m) records_ = DeviceBuffer<double>(stride * m);
    using kernel = orthogonalise_products<T>;
    launch(be_, "orthogonalise_products",
           {.blocks = m, .threads = kernel::threads, .shared_bytes = kernel::shared_bytes(most)},
           kernel{products, jobs, spaces_.data(), records_.data(), stride, static_cast<int>(most)});
    Eigen::MatrixXd found(stride, m);
    download_array(be_, array_view<const double>(records_.data(), stride * m),
                   array_view<double>(found.data(), stride * m));
    return found;
  }

 private:
  /// Into memory that is kept between calls: work on the stream that reads it has ended by then.
  template <class T>
  void upload_into(DeviceBuffer<T>& to, const std::vector<T>& x) {
    const auto size = static_cast<index_t>(x.size());
    if (to.size() < size) to = DeviceBuffer<T>(size);
    upload_array(be_, array_view<const T>(x), array_view<T>(to.data(), size));
  }

  cuda<Scalar> be_;
  index_t rows_, size_, taken_ = 0;
  DeviceBuffer<double> spaces_, scratch_, records_, device_factors_;
  DeviceBuffer<combine_job> jobs_;
  std::vector<combine_job> waiting_;
  std::vector<double> factors_;
};

/// Entry of V C.
struct combined_entry {
  const double* V;
  const double* factors;
  index_t rows, count;
  double* made;
  BASIN_HOST_DEVICE void operator()(index_t at) const {
    const index_t i = at % rows, c = at / rows;
    double sum = 0;
    for (index_t r = 0; r < count; ++r) sum += V[r * rows + i] * factors[c * count + r];
    made[at] = sum;
  }
};

/// A basis of a pool: what HostBasis is, with vectors in device memory. A copy is the same vectors.
template <std::floating_point Scalar>
class DeviceBasis {
 public:
  DeviceBasis(SpacePool<Scalar>& pool, index_t rows)
      : pool_(&pool), space_(pool.next()), rows_(rows) {}

  [[nodiscard]] index_t rows() const noexcept { return rows_; }
  /// The place of a column in the pool.
  [[nodiscard]] index_t column(index_t at) const noexcept { return space_ + at * rows_; }
  void set(index_t at, const Eigen::Ref<const Eigen::VectorXd>& v) { pool_->write(column(at), v); }
  /// The rest of the last product, which stands in the column, over its norm.
  void keep(index_t at, double norm) {
    pool_->combine(space_, rows_, at, at, Eigen::MatrixXd::Constant(1, 1, 1 / norm));
  }
  [[nodiscard]] bool add(index_t at, const Eigen::VectorXd& v) {
    const double before = v.norm();
    if (at == 0) {
      set(0, v / before);
      return true;
    }
    pool_->finish();
    DeviceMatrix<double> product(rows_, 1);
    upload_array(pool_->context(), array_view<const double>(v),
                 array_view<double>(product.data(), rows_));
    const auto jobs = pool_->uploaded(std::vector<krylov_job>{{0, space_, at, rows_, 1, 0}});
    const double rest =
        pool_->orthogonalise(device_view<const double>(product), jobs.data(), at)(2, 0);
    keep(at, rest);
    return rest > 1e-8 * before;
  }
  void rotate(index_t first, const Eigen::Ref<const Eigen::MatrixXd>& Q) {
    pool_->combine(space_, rows_, first, first, Q);
  }
  void move(index_t from, index_t to) {
    pool_->combine(space_, rows_, from, to, Eigen::MatrixXd::Ones(1, 1));
  }
  [[nodiscard]] Eigen::MatrixXd combination(const Eigen::Ref<const Eigen::MatrixXd>& C) const {
    pool_->finish();
    const cuda<Scalar>& be = pool_->context();
    DeviceBuffer<double> factors(C.size()), made(rows_ * C.cols());
    Eigen::MatrixXd packed = C;
    upload_array(be, array_view<const double>(packed.data(), C.size()),
                 array_view<double>(factors));
    for_each_index(
        be, rows_ * C.cols(),
        combined_entry{pool_->data() + space_, factors.data(), rows_, C.rows(), made.data()});
    Eigen::MatrixXd found(rows_, C.cols());
    download_array(be, array_view<const double>(made),
                   array_view<double>(found.data(), found.size()));
    return found;
  }
  [[nodiscard]] Eigen::MatrixXcd combination(const Eigen::Ref<const Eigen::MatrixXcd>& C) const {
    Eigen::MatrixXd both(C.rows(), 2 * C.cols());
    both << C.real(), C.imag();
    const Eigen::MatrixXd found = combination(both);
    Eigen::MatrixXcd answer(rows_, C.cols());
    answer.real() = found.leftCols(C.cols());
    answer.imag() = found.rightCols(C.cols());
    return answer;
  }

 private:
  SpacePool<Scalar>* pool_;
  index_t space_, rows_;
};

/// Spaces in device memory in double. See the head of this file for what goes each way.
template <std::floating_point Scalar>
class KrylovSpaces<cuda<Scalar>> {
 public:
  using basis = DeviceBasis<Scalar>;

  KrylovSpaces(const cuda<Scalar>& be, index_t rows, index_t columns, index_t count)
      : be_(be),
        columns_(columns),
        pool_(std::make_unique<SpacePool<Scalar>>(be, rows, columns, count)) {}

  [[nodiscard]] basis make(index_t rows, index_t /*columns*/) { return {*pool_, rows}; }

  template <class Products, class Method>
  void advance(Products& J, bool transposed, const std::vector<index_t>& points,
               const std::vector<Method*>& methods) {
    pool_->finish();
    const auto m = static_cast<index_t>(points.size());
    std::vector<krylov_job> jobs;
    index_t most = 1;
    for (const Method* method : methods) {
      const basis& target = method->target();
      jobs.push_back({method->direction(), target.column(0), method->against(), target.rows(),
                      method->scale(), method->scales() ? 1 : 0});
      most = std::max(most, method->against());
    }
    const index_t in = transposed ? J.rows() : J.cols(), out = transposed ? J.cols() : J.rows();
    if (jobs_.size() < m) jobs_ = DeviceBuffer<krylov_job>(m);
    if (from_.cols() < m || from_.rows() != in) from_ = DeviceMatrix<Scalar>(in, m);
    if (to_.cols() < m || to_.rows() != out) to_ = DeviceMatrix<Scalar>(out, m);
    upload_array(be_, array_view<const krylov_job>(jobs), array_view<krylov_job>(jobs_.data(), m));
    const device_view<Scalar> directions = columns(be_, from_, 0, m);
    const device_view<Scalar> images = columns(be_, to_, 0, m);
    for_each_index(be_, in * m, gather_directions<Scalar>{pool_->data(), jobs_.data(), directions});
    multiply(J, transposed, points, directions, images);
    const Eigen::MatrixXd records =
        pool_->orthogonalise(device_view<const Scalar>(images), jobs_.data(), most);
    for (index_t i = 0; i < m; ++i) {
      Method& method = *methods[static_cast<std::size_t>(i)];
      method.take(KrylovStep<double>{records(0, i), records(1, i),
                                     records.col(i).segment(3, method.against()), records(2, i)});
    }
  }

 private:
  template <class Products>
  static void multiply(Products& J, bool transposed, const std::vector<index_t>& points,
                       const device_view<const Scalar>& in, const device_view<Scalar>& out) {
    if constexpr (requires { J.transposed(points, in, out); }) {
      if (transposed) {
        J.transposed(points, in, out);
        return;
      }
    }
    J.forward(points, in, out);
  }

  cuda<Scalar> be_;
  index_t columns_;
  std::unique_ptr<SpacePool<Scalar>> pool_;
  DeviceBuffer<krylov_job> jobs_;
  DeviceMatrix<Scalar> from_, to_;
};

}  // namespace basin::detail
