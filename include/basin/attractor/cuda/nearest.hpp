/// @file
/// The nearest references of samples on a device: candidates by products, distances by differences
/// in double. A program whose metrics run on a device includes this.
#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <limits>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <Eigen/Core>

#include <basin/attractor/cuda/column_sets.hpp>
#include <basin/attractor/nearest.hpp>
#include <basin/backend/cuda/columns.hpp>
#include <basin/backend/cuda/context.hpp>
#include <basin/backend/cuda/launch.hpp>
#include <basin/backend/cuda/product.hpp>
#include <basin/core/error.hpp>
#include <basin/core/finite.hpp>
#include <basin/core/host_device.hpp>
#include <basin/core/index.hpp>

namespace basin {
namespace detail {

/// Entry i of the mean of `sampled` columns, spread over all.
template <class Scalar>
struct mean_of_some {
  device_view<const Scalar> Y;
  index_t sampled;
  double* mean;
  BASIN_HOST_DEVICE void operator()(index_t i) const {
    double sum = 0;
    for (index_t s = 0; s < sampled; ++s) {
      sum += static_cast<double>(Y(i, s * Y.cols() / sampled));
    }
    mean[i] = sum / static_cast<double>(sampled);
  }
};

/// Entries less the origin, scaled, rounded for products.
template <class Scalar, class Product>
struct pack_entry {
  device_view<const Scalar> from;
  const double* center;
  double scale;
  device_view<Product> to;
  BASIN_HOST_DEVICE void operator()(index_t i) const {
    const index_t row = i % to.rows(), j = i / to.rows();
    to(row, j) = static_cast<Product>((static_cast<double>(from(row, j)) - center[row]) * scale);
  }
};

/// Sums of squares of packed columns.
template <class Product>
struct packed_squares {
  using value = double;
  device_view<const Product> packed;
  BASIN_HOST_DEVICE value begin() const { return 0; }
  BASIN_HOST_DEVICE value entry(index_t i, index_t j) const {
    const auto x = static_cast<double>(packed(i, j));
    return x * x;
  }
  BASIN_HOST_DEVICE value merge(value a, value b) const { return a + b; }
};

/// ‖y‖² of references, and half of it for the comparison with products.
template <class Product>
struct reference_squares : packed_squares<Product> {
  double* squares;
  Product* half;
  BASIN_HOST_DEVICE void store(index_t j, double v) const {
    squares[j] = v;
    half[j] = static_cast<Product>(v / 2);
  }
};

/// References that one warp looks at before it asks whether any is near.
inline constexpr index_t nearest_chunk = warp_size * 32;

/// The largest ‖y‖ of each chunk.
struct chunk_reduction {
  using value = double;
  const double* squares;
  index_t size;
  double* reach;
  BASIN_HOST_DEVICE value begin() const { return 0; }
  BASIN_HOST_DEVICE value entry(index_t i, index_t chunk) const {
    const index_t r = chunk * nearest_chunk + i;
    return r < size ? squares[r] : 0;
  }
  BASIN_HOST_DEVICE value merge(value a, value b) const { return a > b ? a : b; }
  BASIN_HOST_DEVICE void store(index_t chunk, value v) const { reach[chunk] = std::sqrt(v); }
};

/// What a sample's products are uncertain by, see `nearest_bounds`.
struct sample_bound {
  double squares;  ///< ‖x‖², scaled
  double own;      ///< its own part
  double with;     ///< times ‖y‖
};

/// Roundings of x · y - ‖y‖² / 2, whatever the order of its sum.
struct nearest_bounds {
  double u;         ///< of the products' scalar
  double product;   ///< k u / (1 - k u), infinity where that says nothing
  double distance;  ///< relative, of a squared distance by differences in double
  double origin;    ///< what the subtraction of the origin rounds

  [[nodiscard]] BASIN_HOST_DEVICE sample_bound of_sample(double squares) const {
    const double norm = std::sqrt(squares);
    sample_bound b{squares, 0, 0};
    b.with = (product + 4 * u + 2 * distance) * norm + 2 * origin;
    b.own = (8 * u + distance) * squares + origin * (2 * norm + origin) + 1e-30;
    // So far away products overflow: all is left to differences.
    if (!(norm < 1e15)) b.own = std::numeric_limits<double>::infinity();
    return b;
  }
  [[nodiscard]] BASIN_HOST_DEVICE double error(const sample_bound& b, double norm) const {
    return b.own + b.with * norm + (4 * u + distance) * norm * norm;
  }
};

/// The bounds of samples, whose lists are still empty.
template <class Product>
struct sample_reduction : packed_squares<Product> {
  nearest_bounds bounds;
  sample_bound* bound;
  BASIN_HOST_DEVICE void store(index_t j, double v) const { bound[j] = bounds.of_sample(v); }
};

/// A place of a list that nobody has taken.
struct empty_list {
  index_t* index;
  double* distance;
  BASIN_HOST_DEVICE void operator()(index_t i) const {
    index[i] = std::numeric_limits<index_t>::max();
    distance[i] = std::numeric_limits<double>::infinity();
  }
};

/// distance = √distance.
struct take_roots {
  double* distance;
  BASIN_HOST_DEVICE void operator()(index_t i) const { distance[i] = std::sqrt(distance[i]); }
};

/// Brings a tile's references into the lists of the nearest, one warp a sample. A list is in order,
/// by squared distance and then by index, so that its last entry says which products are of no
/// interest; the rest are measured by differences.
template <class Product, class Reference, class Sample>
struct take_nearest {
  device_view<const Product> products;  ///< of references first, first + 1, ... with the samples
  index_t first;                        ///< a multiple of nearest_chunk
  const Product* half;                  ///< ‖y‖² / 2 of every reference
  const double* reach;                  ///< of every chunk
  device_view<const Reference> references;
  device_view<const Sample> samples;
  const sample_bound* bound;
  nearest_bounds bounds;
  double scale;
  const index_t* excluded;  ///< of each sample; or null
  index_t neighbours;
  index_t* index;    ///< neighbours × samples
  double* distance;  ///< squared

  template <class Block>
  BASIN_HOST_DEVICE void operator()(Block& block) const {
    const index_t j = block.index() * (block.threads() / warp_size) + block.warp();
    if (j >= products.cols()) return;
    const index_t skipped = excluded == nullptr ? -1 : excluded[j];
    for (index_t begin = 0; begin < products.rows(); begin += nearest_chunk) {
      const double norm = reach[(first + begin) / nearest_chunk];
      Product limit = least_product(j, norm);
      // Bit b of a lane is of row begin + 32 b + lane.
      unsigned mine = 0;
      for (int b = 0; b < 32; ++b) {
        const index_t row = begin + b * warp_size + block.lane();
        if (row < products.rows() && !(value(row, j) < limit)) mine |= 1u << b;
      }
      const unsigned any = of_all(block, mine);
      for (int b = 0; b < 32; ++b) {
        if ((any >> b & 1u) == 0) continue;
        const unsigned lanes = of_all(block, (mine >> b & 1u) << block.lane());
        for (int lane = 0; lane < warp_size; ++lane) {
          const index_t row = begin + b * warp_size + lane;
          if ((lanes >> lane & 1u) == 0 || first + row == skipped || value(row, j) < limit)
            continue;
          const double squared = squared_distance(block, first + row, j);
          if (insert(block, j, squared, first + row)) limit = least_product(j, norm);
        }
      }
    }
  }

 private:
  [[nodiscard]] BASIN_HOST_DEVICE Product value(index_t row, index_t j) const {
    return products(row, j) - half[first + row];
  }
  /// x · y - ‖y‖² / 2 below this are of references that are farther than all in the list.
  [[nodiscard]] BASIN_HOST_DEVICE Product least_product(index_t j, double norm) const {
    const double most = distance[(j + 1) * neighbours - 1] * scale * scale;
    const double limit = (bound[j].squares - most) / 2 - bounds.error(bound[j], norm);
    return static_cast<Product>(limit - 2 * bounds.u * std::abs(limit));  // rounded downwards
  }
  template <class Block>
  [[nodiscard]] BASIN_HOST_DEVICE static unsigned of_all(Block& block, unsigned bits) {
    for (int mask = warp_size / 2; mask > 0; mask /= 2) bits |= block.shuffle_xor(bits, mask);
    return bits;
  }
  template <class T, class Block>
  [[nodiscard]] BASIN_HOST_DEVICE static T sum_of_all(Block& block, T sum) {
    for (int mask = warp_size / 2; mask > 0; mask /= 2) sum += block.shuffle_xor(sum, mask);
    return sum;
  }
  template <class Block>
  [[nodiscard]] BASIN_HOST_DEVICE double squared_distance(Block& block, index_t r,
                                                          index_t j) const {
    double sum = 0;
    for (index_t i = block.lane(); i < samples.rows(); i += warp_size) {
      const double d = static_cast<double>(samples(i, j)) - static_cast<double>(references(i, r));
      sum += d * d;
    }
    return sum_of_all(block, sum);
  }
  [[nodiscard]] BASIN_HOST_DEVICE static bool nearer(double a, index_t i, double b, index_t j) {
    return a < b || (a == b && i < j);
  }
  /// Whether it is among the nearest so far. The same in all lanes.
  template <class Block>
  [[nodiscard]] BASIN_HOST_DEVICE bool insert(Block& block, index_t j, double squared,
                                              index_t r) const {
    index_t* const which = index + j * neighbours;
    double* const far = distance + j * neighbours;
    if (!nearer(squared, r, far[neighbours - 1], which[neighbours - 1])) return false;
    index_t place = 0;
    for (index_t i = block.lane(); i < neighbours; i += warp_size) {
      if (nearer(far[i], which[i], squared, r)) ++place;
    }
    place = sum_of_all(block, place);
    // Those behind it move by one, from the end.
    for (index_t end = neighbours - 1; end > place; end -= warp_size) {
      const index_t i = end - 1 - block.lane();
      const bool moves = i >= place;
      const double moved = moves ? far[i] : 0;
      const index_t its = moves ? which[i] : 0;
      block.sync_warp();
      if (moves) {
        far[i + 1] = moved;
        which[i + 1] = its;
      }
      block.sync_warp();
    }
    block.sync_warp();  // all have read the last
    if (block.lane() == 0) {
      far[place] = squared;
      which[place] = r;
    }
    block.sync_warp();
    return true;
  }
};

}  // namespace detail

/// Memory that searches of `DeviceNearestReferences` need beside the references. It grows to what
/// the largest search took, so that searches in an iteration allocate nothing.
template <std::floating_point Product>
class NearestScratch {
 public:
  /// The room for k rows, `rows` references at a time, n samples and their K neighbours.
  void reserve(index_t k, index_t rows, index_t n, index_t neighbours) {
    at_least(packed, k * n);
    at_least(products, rows * n);
    at_least(bound, n);
    at_least(excluded, n);
    at_least(index, neighbours * n);
    at_least(distance, neighbours * n);
  }

  DeviceBuffer<Product> packed, products;
  DeviceBuffer<detail::sample_bound> bound;
  DeviceBuffer<index_t> excluded, index;
  DeviceBuffer<double> distance, largest;

 private:
  template <class T>
  static void at_least(DeviceBuffer<T>& buffer, index_t size) {
    if (buffer.size() < size) buffer = DeviceBuffer<T>(size);
  }
};

/// `NearestReferences` on a device, with the same answers: indices and ties are equal, distances to
/// the rounding of sums in double.
///
/// Products x · y are made by `gemm` in the scalar of the context, a tile of at most 2^24 at a
/// time, and only choose. One warp a sample looks at them: a reference that a bound of all
/// roundings does not exclude is measured by differences in double, and stands in the sample's list
/// if it is near enough. The list's last distance is the bound for those that follow, so that in
/// any order but the worst some K (1 + log(M / K)) references a sample are measured. Where many are
/// within the bound of each other all are, with the same answer.
/// The bound is that of products in the context's scalar: a gemm of less precision would be wrong here.
///
/// Cost: 2 k M N flops by gemm, M N products that are written and read once; two launches and the
/// gemm a tile; N numbers of samples (their magnitudes) and the K N indices and distances come to
/// the host, with 3 synchronisations a block of samples: as many as have 2^24 products in a tile,
/// 2^24 neighbours or 2^26 entries. Memory on the device: the references, once more in the scalar
/// of the context, 12 to 16 bytes a reference, and `NearestScratch`.
///
/// @tparam Scalar of the references, float or double; samples may be of either
/// @tparam Product of the context
template <std::floating_point Scalar, std::floating_point Product = Scalar>
class DeviceNearestReferences {
 public:
  using context = cuda<Product>;

  /// @param references k × M in device memory, M >= 1; copied
  /// @throws as `NearestReferences`; device_error where memory does not suffice
  DeviceNearestReferences(const context& be, const device_view<const Scalar>& references)
      : DeviceNearestReferences(be, copied(be, references)) {}
  /// @param references k × M in host memory: uploaded
  template <class Derived>
    requires std::same_as<typename Derived::Scalar, Scalar>
  DeviceNearestReferences(const context& be, const Eigen::MatrixBase<Derived>& references)
      : DeviceNearestReferences(be, detail::in_device_memory(be, references)) {}

  /// @param references k × M in device memory, M >= 1
  DeviceNearestReferences(const context& be, DeviceMatrix<Scalar> references)
      : references_(std::move(references)) {
    const index_t k = dimension(), m = size();
    if (k < 1 || m < 1) {
      throw size_error("NearestReferences: the references are " + std::to_string(k) + " × " +
                       std::to_string(m));
    }
    const device_view<const Scalar> Y = std::as_const(references_);
    largest_ = detail::largest_entry(be, "NearestReferences", "reference", Y);
    // Any origin is right; one among the references makes the products' roundings small.
    center_ = DeviceBuffer<double>(k);
    for_each_index(be, k,
                   detail::mean_of_some<Scalar>{Y, std::min<index_t>(m, 128), center_.data()});
    Eigen::VectorXd center(k);
    download_array(be, array_view<const double>(center_), array_view<double>(center));
    center_largest_ = center.cwiseAbs().maxCoeff();
    const double farthest = largest_ + center_largest_;
    if (farthest > 0) scale_ = std::exp2(std::min(1000.0, -std::ceil(std::log2(farthest))));

    packed_ = DeviceMatrix<Product>(k, m);
    for_each_index(be, k * m,
                   detail::pack_entry<Scalar, Product>{Y, center_.data(), scale_, packed_});
    half_ = DeviceBuffer<Product>(m);
    const index_t chunks = (m + detail::nearest_chunk - 1) / detail::nearest_chunk;
    reach_ = DeviceBuffer<double>(chunks);
    DeviceBuffer<double> squares(m);
    const device_view<const Product> packed = std::as_const(packed_);
    detail::reduce_columns(
        be, k, m, detail::reference_squares<Product>{{packed}, squares.data(), half_.data()});
    detail::reduce_columns(be, detail::nearest_chunk, chunks,
                           detail::chunk_reduction{squares.data(), m, reach_.data()});
    be.runtime().wait();  // before the squares are freed
  }

  [[nodiscard]] index_t dimension() const noexcept { return references_.rows(); }
  [[nodiscard]] index_t size() const noexcept { return references_.cols(); }
  /// k × M, in device memory.
  [[nodiscard]] device_view<const Scalar> references() const noexcept { return references_; }

  /// The K nearest references of each sample.
  /// @param samples k × N in device memory
  /// @param neighbours K, from 1 to the number of references that are not excluded
  /// @param excluded of each sample a reference that is not looked at, or -1; empty: none
  /// @param scratch memory that is kept between calls
  /// @throws as `NearestReferences::nearest`; device_error where memory does not suffice
  template <class Sample>
  [[nodiscard]] Neighbours nearest(const context& be, const device_view<const Sample>& samples,
                                   index_t neighbours, const std::vector<index_t>& excluded,
                                   NearestScratch<Product>& scratch) const {
    const index_t n = samples.cols();
    detail::require_search(samples.rows(), n, dimension(), size(), neighbours, excluded);
    const double largest = detail::largest_entry(be, "nearest", "sample", samples, scratch.largest);
    Neighbours found{Eigen::MatrixX<index_t>(neighbours, n), Eigen::MatrixXd(neighbours, n)};
    if (n == 0) return found;
    const index_t rows = std::min<index_t>(size(), most_rows);
    const index_t most =
        std::min((index_t{1} << 24) / std::max(rows, neighbours), (index_t{1} << 26) / dimension());
    const index_t width = std::clamp<index_t>(most, 1, n);
    scratch.reserve(dimension(), rows, width, neighbours);
    for (index_t first = 0; first < n; first += width) {
      const index_t count = std::min(width, n - first);
      search(be, columns(samples, first, count), largest, rows, neighbours,
             excluded.empty() ? nullptr : excluded.data() + first, scratch);
      const index_t size = neighbours * count;
      download_array(be, array_view<const index_t>(scratch.index.data(), size),
                     array_view<index_t>(found.index.data() + first * neighbours, size));
      download_array(be, array_view<const double>(scratch.distance.data(), size),
                     array_view<double>(found.distance.data() + first * neighbours, size));
    }
    return found;
  }
  /// @copydoc nearest
  template <class Sample>
  [[nodiscard]] Neighbours nearest(const context& be, const device_view<Sample>& samples,
                                   index_t neighbours,
                                   const std::vector<index_t>& excluded = {}) const {
    NearestScratch<Product> scratch;
    return nearest(be, device_view<const std::remove_const_t<Sample>>(samples), neighbours,
                   excluded, scratch);
  }
  /// @copydoc nearest
  template <class Sample>
  [[nodiscard]] Neighbours nearest(const context& be, const DeviceMatrix<Sample>& samples,
                                   index_t neighbours,
                                   const std::vector<index_t>& excluded = {}) const {
    return nearest(be, device_view<const Sample>(samples), neighbours, excluded);
  }
  /// The same of samples in host memory, float or double, which are uploaded.
  template <class Derived>
  [[nodiscard]] Neighbours nearest(const context& be, const Eigen::MatrixBase<Derived>& samples,
                                   index_t neighbours,
                                   const std::vector<index_t>& excluded = {}) const {
    const auto copy = detail::in_device_memory(be, samples);
    return nearest(be, device_view<const typename Derived::Scalar>(copy), neighbours, excluded);
  }

 private:
  /// References of a tile: a multiple of nearest_chunk.
  static constexpr index_t most_rows = 8 * detail::nearest_chunk;

  [[nodiscard]] static DeviceMatrix<Scalar> copied(const context& be,
                                                   const device_view<const Scalar>& X) {
    DeviceMatrix<Scalar> copy(X.rows(), X.cols());
    for_each_index(be, X.rows() * X.cols(), detail::copy_entry<Scalar>{X, copy});
    return copy;
  }
  template <class T>
  [[nodiscard]] static device_view<const T> columns(const device_view<const T>& X, index_t first,
                                                    index_t count) {
    return {X.data() + first * X.outerStride(), X.rows(), count, X.outerStride()};
  }

  /// The lists of some samples.
  template <class Sample>
  void search(const context& be, const device_view<const Sample>& X, double largest, index_t most,
              index_t neighbours, const index_t* excluded, NearestScratch<Product>& scratch) const {
    const index_t k = dimension(), m = size(), n = X.cols();
    const device_view<Product> packed(scratch.packed.data(), k, n, k);
    for_each_index(be, k * n,
                   detail::pack_entry<Sample, Product>{X, center_.data(), scale_, packed});
    const double u = static_cast<double>(std::numeric_limits<Product>::epsilon()) / 2;
    const double terms = static_cast<double>(k) * u;
    const double unknown = std::numeric_limits<double>::infinity();
    const detail::nearest_bounds bounds{
        .u = u,
        .product = terms < 0.5 ? terms / (1 - terms) : unknown,
        .distance = static_cast<double>(k / warp_size + 16) * std::exp2(-52),
        .origin = std::exp2(-51) * scale_ * (std::max(largest_, largest) + center_largest_) *
                  std::sqrt(static_cast<double>(k))};
    detail::reduce_columns(
        be, k, n, detail::sample_reduction<Product>{{packed}, bounds, scratch.bound.data()});
    for_each_index(be, neighbours * n,
                   detail::empty_list{scratch.index.data(), scratch.distance.data()});
    if (excluded != nullptr) {
      upload_array(be, array_view<const index_t>(excluded, n),
                   array_view<index_t>(scratch.excluded.data(), n));
    }
    const auto warps = static_cast<int>(std::clamp<index_t>(n, 1, 8));
    for (index_t first = 0; first < m; first += most) {
      const index_t rows = std::min(most, m - first);
      const device_view<Product> products(scratch.products.data(), rows, n, rows);
      gemm(be, columns(device_view<const Product>(packed_), first, rows), packed, products,
           {.a = transpose::yes});
      launch(be, "take_nearest", {.blocks = (n + warps - 1) / warps, .threads = warps * warp_size},
             detail::take_nearest<Product, Scalar, Sample>{
                 products, first, half_.data(), reach_.data(), references_, X, scratch.bound.data(),
                 bounds, scale_, excluded != nullptr ? scratch.excluded.data() : nullptr,
                 neighbours, scratch.index.data(), scratch.distance.data()});
    }
    for_each_index(be, neighbours * n, detail::take_roots{scratch.distance.data()});
  }

  DeviceMatrix<Scalar> references_;
  DeviceMatrix<Product> packed_;  ///< references less the origin, scaled to 1
  DeviceBuffer<Product> half_;    ///< their ‖y‖² / 2
  DeviceBuffer<double> reach_;    ///< the largest ‖y‖ of each chunk
  DeviceBuffer<double> center_;
  double largest_ = 0, center_largest_ = 0;
  double scale_ = 1;
};

template <std::floating_point Product, class Derived>
DeviceNearestReferences(const cuda<Product>&, const Eigen::MatrixBase<Derived>&)
    -> DeviceNearestReferences<typename Derived::Scalar, Product>;
template <std::floating_point Product, std::floating_point Scalar>
DeviceNearestReferences(const cuda<Product>&, const device_view<const Scalar>&)
    -> DeviceNearestReferences<Scalar, Product>;

namespace detail {

template <std::floating_point Product, std::floating_point Scalar>
struct nearest_search<cuda<Product>, Scalar> {
  using type = DeviceNearestReferences<Scalar, Product>;
  [[nodiscard]] static const cuda<Product>& context(const cuda<Product>& be) { return be; }
  template <class T>
  [[nodiscard]] static DeviceMatrix<double> points(const cuda<Product>& be, std::string_view where,
                                                   std::string_view what, const device_view<T>& X,
                                                   bool normalized) {
    const device_view<const std::remove_const_t<T>> columns = X;
    return normalized ? normalized_columns(be, where, what, columns) : widened(be, columns);
  }
  template <class Derived>
  [[nodiscard]] static DeviceMatrix<double> points(const cuda<Product>& be, std::string_view where,
                                                   std::string_view what,
                                                   const Eigen::MatrixBase<Derived>& X,
                                                   bool normalized) {
    const auto copy = in_device_memory(be, X);
    return points(be, where, what, device_view<const typename Derived::Scalar>(copy), normalized);
  }
};

}  // namespace detail
}  // namespace basin
