/// @file
/// Matrix products on the CPU in which a column of the result is the same to the
/// bit whichever columns stand beside it. Eigen's products choose their path by
/// the number of columns; here there is one path: tiles of a fixed shape, whose
/// missing rows and columns are zeros, and sums over the depth in one order.
///
/// The tiling is that of Goto and van de Geijn, "Anatomy of high-performance
/// matrix multiplication" (ACM TOMS 2008), with one level of blocks less.
#pragma once

#include <algorithm>
#include <cstring>
#include <utility>

#include <basin/backend/cpu/context.hpp>
#include <basin/backend/cpu/packet.hpp>
#include <basin/backend/cpu/scratch.hpp>
#include <basin/backend/gemm_options.hpp>

namespace basin {
namespace detail {

/// Shape of the tile that is held in registers, for the instructions that the
/// compiler was allowed: accumulators, two registers of A and one of B fit.
template <class Scalar>
struct product_tile {
  using simd = detail::simd<Scalar>;
  static constexpr index_t lanes = simd::lanes;
  static constexpr index_t rows = 2 * lanes;
  static constexpr index_t columns = simd::bytes == 64 ? 12 : 6;
  /// Depth after which the sum is added to the result, so that the tiles' share
  /// of A stays in the first-level cache.
  static constexpr index_t depth = 256;

  /// tile (rows × columns, column-major) = A B over `length` of the depth.
  /// @param a rows of A, the next depth at a + a_stride
  /// @param b packed: the `columns` elements of one depth beside each other
  static void multiply(index_t length, const Scalar* a, index_t a_stride, const Scalar* b,
                       Scalar* tile) {
    using vector = typename simd::vector;
    [&]<std::size_t... J>(std::index_sequence<J...>) {
      const vector zero = simd::zero();
      vector upper[sizeof...(J)];
      vector lower[sizeof...(J)];
      ((upper[J] = zero, lower[J] = zero), ...);
      for (index_t p = 0; p < length; ++p, a += a_stride, b += columns) {
        const vector a0 = simd::load(a);
        const vector a1 = simd::load(a + lanes);
        ((upper[J] += a0 * b[J], lower[J] += a1 * b[J]), ...);
      }
      ((std::memcpy(tile + static_cast<index_t>(J) * rows, &upper[J], sizeof(vector)),
        std::memcpy(tile + static_cast<index_t>(J) * rows + lanes, &lower[J], sizeof(vector))),
       ...);
    }(std::make_index_sequence<static_cast<std::size_t>(columns)>{});
  }
};

/// Packs `count` rows of op(A) from row `first` for the whole depth: `width`
/// elements per depth, padded with zeros.
template <class Scalar, class Matrix>
void pack_rows(const Matrix& A, transpose op, index_t first, index_t count, index_t width,
               index_t depth_first, index_t length, Scalar* packed) {
  const Scalar* const data = A.data();
  const index_t stride = A.outerStride();
  if (count < width) std::fill_n(packed, width * length, Scalar(0));
  if (op == transpose::no) {
    for (index_t p = 0; p < length; ++p) {
      std::copy_n(data + first + (depth_first + p) * stride, count, packed + p * width);
    }
  } else {
    for (index_t i = 0; i < count; ++i) {
      const Scalar* const row = data + (first + i) * stride + depth_first;
      for (index_t p = 0; p < length; ++p) packed[p * width + i] = row[p];
    }
  }
}

/// The part of a tile that lies in C: C = alpha tile + beta C, and C is not read
/// where beta is zero.
template <class Scalar>
void merge_tile(const Scalar* tile, index_t tile_rows, index_t rows, index_t columns, Scalar alpha,
                Scalar beta, Scalar* c, index_t c_stride) {
  for (index_t j = 0; j < columns; ++j, tile += tile_rows, c += c_stride) {
    if (beta == Scalar(0)) {
      for (index_t i = 0; i < rows; ++i) c[i] = alpha * tile[i];
    } else {
      for (index_t i = 0; i < rows; ++i) c[i] = alpha * tile[i] + beta * c[i];
    }
  }
}

}  // namespace detail

/// C = alpha op(A) op(B) + beta C. Column j of C depends on A and column j of
/// op(B) and C alone, to the bit. C must not overlap A or B. With beta = 0, C is
/// not read. An empty depth gives C = beta C.
///
/// Cost: 2 m n k flops, and copies of A (where B has more than a few columns) and
/// B in scratch memory of the thread.
/// @throws size_error if the shapes do not agree
template <std::floating_point Scalar>
void gemm(const cpu<Scalar>& be, const typename cpu<Scalar>::const_view& A,
          const typename cpu<Scalar>::const_view& B, typename cpu<Scalar>::view C,
          const gemm_options& options = {}) {
  using tile = detail::product_tile<Scalar>;
  const bool a_stands = options.a == transpose::no;
  const bool b_stands = options.b == transpose::no;
  const gemm_sizes size = require_product("gemm", A, B, C, options);
  const index_t m = size.rows;
  const index_t n = size.columns;
  const index_t k = size.depth;
  const Scalar alpha = static_cast<Scalar>(options.alpha);
  const Scalar beta = static_cast<Scalar>(options.beta);
  if (m == 0 || n == 0) return;
  if (k == 0) {
    if (beta == Scalar(0))
      C.setZero();
    else
      C *= beta;
    return;
  }

  const index_t panels = (m + tile::rows - 1) / tile::rows;
  // Few columns do not pay for a copy of A: its full panels are read in place.
  const bool in_place = a_stands && n <= 2 * tile::columns;
  const index_t full_panels = m / tile::rows;
  const index_t first_packed = in_place ? full_panels : 0;
  scratch_scope scope;
  Scalar* const packed_a = scope.get<Scalar>((panels - first_packed) * tile::rows * k);
  const auto pack_panel = [&](index_t i) {
    const index_t row = (first_packed + i) * tile::rows;
    detail::pack_rows(A, options.a, row, std::min(tile::rows, m - row), tile::rows, 0, k,
                      packed_a + i * tile::rows * k);
  };
  const index_t parallel_from = index_t{1} << 17;  // multiplications worth a second thread
  const bool parallel = m * n * k > parallel_from;
  if (parallel && !in_place) {
    for_each_index(be, panels - first_packed, pack_panel, 4);
  } else {
    for (index_t i = 0; i < panels - first_packed; ++i) pack_panel(i);
  }

  const index_t chunk = 8 * tile::columns;
  const index_t chunks = (n + chunk - 1) / chunk;
  index_t groups = 1;  // of row panels, where the columns alone are too few to share
  if (parallel && chunks < 2 * be.threads()) {
    groups = std::min<index_t>(panels, be.threads());
  }
  const auto run_task = [&](index_t task) {
    const index_t group = task % groups;
    const index_t panel_begin = panels * group / groups;
    const index_t panel_end = panels * (group + 1) / groups;
    const index_t column_begin = task / groups * chunk;
    const index_t column_end = std::min(n, column_begin + chunk);
    scratch_scope task_scope;
    Scalar* const packed_b = task_scope.get<Scalar>(chunk * std::min(k, tile::depth));
    Scalar* const result = task_scope.get<Scalar>(tile::rows * tile::columns);
    for (index_t depth = 0; depth < k; depth += tile::depth) {
      const index_t length = std::min(tile::depth, k - depth);
      for (index_t j = column_begin; j < column_end; j += tile::columns) {
        detail::pack_rows(B, b_stands ? transpose::yes : transpose::no, j,
                          std::min(tile::columns, column_end - j), tile::columns, depth, length,
                          packed_b + (j - column_begin) * length);
      }
      for (index_t panel = panel_begin; panel < panel_end; ++panel) {
        const index_t row = panel * tile::rows;
        const bool packed = panel >= first_packed;
        const index_t a_stride = packed ? tile::rows : A.outerStride();
        const Scalar* const a = packed
                                    ? packed_a + ((panel - first_packed) * k + depth) * tile::rows
                                    : A.data() + row + depth * a_stride;
        for (index_t j = column_begin; j < column_end; j += tile::columns) {
          tile::multiply(length, a, a_stride, packed_b + (j - column_begin) * length, result);
          detail::merge_tile(result, tile::rows, std::min(tile::rows, m - row),
                             std::min(tile::columns, column_end - j), alpha,
                             depth == 0 ? beta : Scalar(1), C.data() + row + j * C.outerStride(),
                             C.outerStride());
        }
      }
    }
  };
  if (parallel) {
    be.pool().run(chunks * groups, run_task);
  } else {
    for (index_t task = 0; task < chunks * groups; ++task) run_task(task);
  }
}

}  // namespace basin
