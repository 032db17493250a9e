/// @file
/// A map given by what it does to one state.
#pragma once

#include <algorithm>
#include <type_traits>
#include <utility>

#include <Eigen/Core>

#include <basin/backend/cpu/context.hpp>
#include <basin/backend/cpu/scratch.hpp>
#include <basin/core/host_device.hpp>
#include <basin/map/concept.hpp>

namespace basin {

/// A state on a backend that is not Eigen's: entries by [], and size().
template <class T>
struct column_entries {
  T* data;
  index_t count;
  [[nodiscard]] BASIN_HOST_DEVICE T& operator[](index_t i) const { return data[i]; }
  [[nodiscard]] BASIN_HOST_DEVICE index_t size() const { return count; }
};

namespace detail {

/// Where g finds every state: an Eigen expression takes other instructions at another
/// alignment, so the bits of its result would depend on the column's place.
inline constexpr std::size_t state_alignment = 64;

template <int K>
inline constexpr bool is_small_state = K != Eigen::Dynamic && K <= 16;

/// Whether g asks to be given `column_entries` on every backend.
template <class G>
[[nodiscard]] consteval bool asks_for_entries() {
  if constexpr (requires { G::takes_entries; }) {
    return G::takes_entries;
  } else {
    return false;
  }
}

/// g of the first or the last form, for states by their entries.
template <class G, class Scalar>
[[gnu::always_inline]] BASIN_HOST_DEVICE inline void call_by_entries(
    const G& g, const column_entries<const Scalar>& state, const column_entries<Scalar>& next) {
  if constexpr (std::is_invocable_v<const G&, decltype(state), decltype(next)>) {
    g(state, next);
  } else {
    next[0] = static_cast<Scalar>(g(state[0]));
  }
}

/// g for column j of a batch on a device.
template <class G, class Scalar>
struct entries_of_column {
  G g;
  const Scalar* z;
  index_t z_stride;
  Scalar* out;
  index_t out_stride;
  index_t k;
  BASIN_HOST_DEVICE void operator()(index_t j) const {
    call_by_entries<G, Scalar>(g, {z + j * z_stride, k}, {out + j * out_stride, k});
  }
};
}  // namespace detail

/// A map of R^k from a function of one state, run over the columns in parallel:
/// g is called from several threads at once. On the CPU g has one of the forms
///
///   g(z, out)   z, out: Eigen::Map of a vector; out is uninitialised
///   g(z)        with a vector or an expression as its value
///   g(x)        in place of g(z) for `columnwise<1>`: from a scalar to a scalar
///
/// With the dimension known when compiling, `columnwise<2>(g)`, z is a vector of
/// fixed size and nothing is stored between iterations: as fast as a loop by hand.
///
/// A g that is a functor marked BASIN_HOST_DEVICE, of the first or the last form, that
/// uses z and out by z[i] and size() alone, also runs on a device: it is given
/// `column_entries` there. With a member `static constexpr bool takes_entries = true` it is given
/// them on the CPU too; nvcc warns of functors that do not say so and meet Eigen's types there.
template <class G, int K = Eigen::Dynamic>
class Columnwise {
 public:
  static constexpr int fixed_dimension = K;
  static constexpr bool copies_run_apart = true;

  Columnwise(index_t k, G g) : dimension_(k), g_(std::move(g)) {
    require(k >= 1, "columnwise", "the dimension must be at least 1, not " + std::to_string(k));
  }

  [[nodiscard]] index_t dimension() const noexcept { return dimension_; }
  [[nodiscard]] const G& function() const noexcept { return g_; }

  /// out = g(z) for one state.
  template <class Scalar>
  [[gnu::always_inline]] void apply(const Eigen::Map<const Eigen::Matrix<Scalar, K, 1>>& z,
                                    Eigen::Map<Eigen::Matrix<Scalar, K, 1>>& out) const {
    if constexpr (detail::asks_for_entries<G>()) {
      detail::call_by_entries<G, Scalar>(g_, {z.data(), z.size()}, {out.data(), out.size()});
    } else if constexpr (std::is_invocable_v<const G&, decltype(z), decltype(out)>) {
      g_(z, out);
    } else if constexpr (K == 1) {
      out[0] = static_cast<Scalar>(g_(z[0]));
    } else {
      static_assert(std::is_invocable_v<const G&, decltype(z)>,
                    "columnwise: g must take (z, out) or (z), see map/columnwise.hpp");
      assign(g_(z), out);
    }
  }

  /// out = g, column by column.
  template <class B>
    requires std::is_same_v<B, cpu<typename B::scalar>>
  void operator()(const B& be, const typename B::const_view& Z, typename B::view& out) const {
    using scalar = typename B::scalar;
    require_size("columnwise", "number of rows of the states", Z.rows(), dimension_);
    if constexpr (detail::is_small_state<K>) {
      for_each_index(
          be, Z.cols(),
          [&](index_t j) {
            alignas(detail::state_alignment) scalar z[K];
            alignas(detail::state_alignment) scalar w[K];
            for (int i = 0; i < K; ++i) z[i] = Z.data()[j * Z.outerStride() + i];
            Eigen::Map<Eigen::Matrix<scalar, K, 1>> next(w);
            apply<scalar>(Eigen::Map<const Eigen::Matrix<scalar, K, 1>>(z), next);
            for (int i = 0; i < K; ++i) out.data()[j * out.outerStride() + i] = w[i];
            // Column by column: several at once would end with a remainder on other instructions.
            asm volatile("" ::: "memory");
          },
          1024);
      return;
    }
    for_each_index(
        be, Z.cols(),
        [&](index_t j) {
          scratch_scope scope;
          scalar* const z = scope.get<scalar>(dimension_);
          scalar* const w = scope.get<scalar>(dimension_);
          std::copy_n(Z.data() + j * Z.outerStride(), dimension_, z);
          Eigen::Map<Eigen::Matrix<scalar, K, 1>> next(w, dimension_);
          apply<scalar>(Eigen::Map<const Eigen::Matrix<scalar, K, 1>>(z, dimension_), next);
          std::copy_n(w, dimension_, out.data() + j * out.outerStride());
        },
        std::max<index_t>(1, 1024 / dimension_));
  }

  /// out = g, column by column, on another backend.
  template <class B>
    requires(!std::is_same_v<B, cpu<typename B::scalar>>)
  void operator()(const B& be, const typename B::const_view& Z, typename B::view& out) const {
    require_size("columnwise", "number of rows of the states", Z.rows(), dimension_);
    for_each_index(be, Z.cols(),
                   detail::entries_of_column<G, typename B::scalar>{
                       g_, Z.data(), Z.outerStride(), out.data(), out.outerStride(), dimension_});
  }

 private:
  template <class Result, class Scalar>
  [[gnu::always_inline]] void assign(const Result& result,
                                     Eigen::Map<Eigen::Matrix<Scalar, K, 1>>& out) const {
    const auto size = static_cast<index_t>(result.size());
    require_size("columnwise", "size of the state that g returned", size,
                 K == Eigen::Dynamic ? dimension_ : K);
    if constexpr (requires { requires std::is_same_v<Result, typename Result::PlainObject>; } &&
                  K != Eigen::Dynamic && K <= 16) {
      // Entry by entry: a packet would wait for the entries that g has just stored.
      for (int i = 0; i < K; ++i) out[i] = static_cast<Scalar>(result.coeff(i));
    } else if constexpr (requires { result.matrix(); }) {
      out.noalias() = result.matrix();
    } else {
      for (index_t i = 0; i < dimension_; ++i) {
        out[i] = static_cast<Scalar>(result[static_cast<std::size_t>(i)]);
      }
    }
  }

  index_t dimension_;
  G g_;
};

/// Whether F is a `Columnwise` of any function: the solver then runs each column
/// to its end by itself.
template <class F>
inline constexpr bool is_columnwise = false;
template <class G, int K>
inline constexpr bool is_columnwise<Columnwise<G, K>> = true;

/// A map of R^k from a function of one state.
/// @throws argument_error unless k >= 1
template <class G>
[[nodiscard]] Columnwise<std::decay_t<G>> columnwise(index_t k, G&& g) {
  return {k, std::forward<G>(g)};
}

/// A map of R^K from a function of one state, with K known when compiling.
template <int K, class G>
  requires(K >= 1)
[[nodiscard]] Columnwise<std::decay_t<G>, K> columnwise(G&& g) {
  return {K, std::forward<G>(g)};
}

}  // namespace basin
