/// @file
/// How the next state follows from z and f(z).
///
/// An accelerator is a small copyable struct of settings, of one of three kinds. Pointwise,
/// it has
///
///     Scalar next(Scalar z, Scalar f) const     (BASIN_HOST_DEVICE for devices)
///
/// Where it remembers a history of every column by itself it has
///
///     template <class Scalar> struct record     what is remembered beside the memory;
///                                               trivially copyable, fresh by default
///     index_t memory(index_t k) const           numbers of a column's memory
///     void advance(record<Scalar>&, Scalar* memory, Scalar* z, Scalar* f, index_t k) const
///         z = the next state, from z and f = f(z); f may be overwritten. Of a fresh record
///         the memory is undefined
///
/// and, where it wants to see what became of its step,
///
///     bool review(record<Scalar>&, Scalar* memory, Scalar* z, Scalar* f, index_t k,
///                 Scalar residual) const
///         after each evaluation: residual = ‖f - z‖², NaN or infinite where f is. Answers
///         whether it has put an earlier state and its value in the place of z and f
///
/// and, where it has something to say of a column in the result,
///
///     acceleration_report report(const record<Scalar>&) const
///
/// These two functions run on the CPU. With the lanes of a column before the other arguments,
///
///     template <class Lanes, class Scalar>
///     BASIN_HOST_DEVICE void advance(Lanes&, record<Scalar>&, Scalar* memory, Scalar* z,
///                                    Scalar* f, index_t k) const      and review likewise,
///
/// they run on every backend, if the settings are trivially copyable: loops over entries, sums and
/// what is not of an entry are the lanes' (backend/cpu/lanes.hpp). It then may have
///
///     index_t scratch(index_t k) const          numbers that it takes of lanes.array() at once
///
/// Anything else has a nested `template <class Backend> class state` with
///
///     state(const Accelerator&, const Backend&, index_t k, index_t columns)
///     void advance(const Backend&, matrix& Z, matrix& F, index_t n)
///         Z = next states of the first n columns; F = f(Z), undamped, may be
///         overwritten or swapped with Z
///     void move_columns(const Backend&, array_view<const index_t> from, to)
///         column `to` of whatever is remembered = column `from` (compaction)
///     void archive(Archive&)
///         hands every remembered array to the checkpoint, see solver/checkpoint.hpp
///
/// and may have a review as above, of n columns: review(be, Z, F, residuals, n). One that needs
/// products with the Jacobian has `static constexpr bool takes_products = true` and
///
///     void advance(const Backend&, Map&, matrix& Z, matrix& F, array_view<index_t> spent,
///                  index_t n)
///         adds to spent[j], in the backend's memory, the evaluations that products with column j
///         stand for
///
/// With settings it has `void each_setting(visit) const`, which calls visit(value) for
/// each: a checkpoint tells by them whether it belongs to the run.
///
/// Settings stay apart from what a run remembers, so that one solver serves many runs.
#pragma once

#include <concepts>
#include <string>
#include <type_traits>
#include <utility>

#include <basin/backend/array_view.hpp>
#include <basin/backend/cpu/lanes.hpp>
#include <basin/core/error.hpp>
#include <basin/core/host_device.hpp>
#include <basin/solver/acceleration_report.hpp>

namespace basin {

/// An accelerator whose next state follows entry by entry from z and f(z).
template <class A>
concept pointwise_accelerator = std::copyable<A> && requires(const A& a, float z, double w) {
  { a.next(z, z) } -> std::same_as<float>;
  { a.next(w, w) } -> std::same_as<double>;
};

namespace detail {
/// Whether an accelerator's work on a column is shared among lanes.
template <class A, class Scalar>
concept lane_accelerator =
    requires(const A& a, one_lane<Scalar>& lanes, typename A::template record<Scalar>& record,
             Scalar* x, index_t k) { a.advance(lanes, record, x, x, x, k); };

template <class A, class Scalar>
concept column_accelerator_for =
    std::is_trivially_copyable_v<typename A::template record<Scalar>> &&
    requires(const A& a, index_t k) {
      { a.memory(k) } -> std::convertible_to<index_t>;
    } &&
    (lane_accelerator<A, Scalar> ||
     requires(const A& a, typename A::template record<Scalar>& record, Scalar* x, index_t k) {
       a.advance(record, x, x, x, k);
     });

template <class A, class Scalar>
concept lane_reviewing_accelerator =
    requires(const A& a, one_lane<Scalar>& lanes, typename A::template record<Scalar>& record,
             Scalar* x, index_t k, Scalar residual) {
      { a.review(lanes, record, x, x, x, k, residual) } -> std::same_as<bool>;
    };

/// Whether an accelerator wants to see what became of its steps.
template <class A, class Scalar>
concept reviewing_accelerator = lane_reviewing_accelerator<A, Scalar> ||
                                requires(const A& a, typename A::template record<Scalar>& record,
                                         Scalar* x, index_t k, Scalar residual) {
                                  { a.review(record, x, x, x, k, residual) } -> std::same_as<bool>;
                                };

/// Numbers of scratch memory that an accelerator takes for a column.
template <class A>
[[nodiscard]] index_t lane_scratch(const A& a, index_t k) {
  if constexpr (requires { a.scratch(k); }) {
    return a.scratch(k);
  } else {
    return 0;
  }
}

// Of an accelerator without lanes; constexpr as one_lane is.
template <class A, class Record, class Scalar>
constexpr void advance_alone(const A& a, Record& c, Scalar* memory, Scalar* z, Scalar* f,
                             index_t k) {
  a.advance(c, memory, z, f, k);
}
template <class A, class Record, class Scalar>
[[nodiscard]] constexpr bool review_alone(const A& a, Record& c, Scalar* memory, Scalar* z,
                                          Scalar* f, index_t k, Scalar residual) {
  return a.review(c, memory, z, f, k, residual);
}

/// An accelerator's advance, whether it knows of lanes or not.
template <class A, class Lanes, class Record, class Scalar>
BASIN_HOST_DEVICE void advance_column(const A& a, Lanes& lanes, Record& c, Scalar* memory,
                                      Scalar* z, Scalar* f, index_t k) {
  if constexpr (lane_accelerator<A, Scalar>) {
    a.advance(lanes, c, memory, z, f, k);
  } else {
    static_assert(std::same_as<Lanes, one_lane<Scalar>>,
                  "this accelerator's advance takes no lanes: it runs on the CPU alone, see "
                  "solver/accelerator.hpp");
    advance_alone(a, c, memory, z, f, k);
  }
}
/// An accelerator's review, likewise.
template <class A, class Lanes, class Record, class Scalar>
[[nodiscard]] BASIN_HOST_DEVICE bool review_column(const A& a, Lanes& lanes, Record& c,
                                                   Scalar* memory, Scalar* z, Scalar* f, index_t k,
                                                   Scalar residual) {
  if constexpr (lane_reviewing_accelerator<A, Scalar>) {
    return a.review(lanes, c, memory, z, f, k, residual);
  } else {
    static_assert(std::same_as<Lanes, one_lane<Scalar>>,
                  "this accelerator's review takes no lanes: it runs on the CPU alone, see "
                  "solver/accelerator.hpp");
    return review_alone(a, c, memory, z, f, k, residual);
  }
}

/// Whether an accelerator has something to say of a column.
template <class A, class Scalar>
concept reporting_accelerator =
    requires(const A& a, const typename A::template record<Scalar>& record) {
      { a.report(record) } -> std::same_as<acceleration_report>;
    };
}  // namespace detail

/// An accelerator that works on every column by itself.
template <class A>
concept column_accelerator = std::copyable<A> && detail::column_accelerator_for<A, float> &&
                             detail::column_accelerator_for<A, double>;

/// Whether the state of an accelerator takes products with the Jacobian.
template <class State>
inline constexpr bool takes_products = requires { requires State::takes_products; };

/// An accelerator that remembers earlier states, by its nested state.
template <class A, class B>
concept remembering_accelerator = std::copyable<A> && requires(typename A::template state<B>& s,
                                                               const B& be, typename B::matrix& X,
                                                               index_t n,
                                                               array_view<const index_t> which) {
  typename A::template state<B>;
  requires takes_products<typename A::template state<B>> || requires { s.advance(be, X, X, n); };
  s.move_columns(be, which, which);
};

/// What FixedPointSolver takes as its second argument.
template <class A, class B>
concept accelerator =
    pointwise_accelerator<A> || column_accelerator<A> || remembering_accelerator<A, B>;

/// z_{t+1} = f(z_t): Picard's iteration.
struct picard {
  template <class Scalar>
  [[nodiscard]] BASIN_HOST_DEVICE Scalar next(Scalar, Scalar f) const {
    return f;
  }
};

/// Whether the next state is f(z) itself, so that z and f(z) need only change places.
template <class A>
inline constexpr bool takes_the_value = std::same_as<A, picard>;

/// z_{t+1} = z_t + factor (f(z_t) - z_t): the iteration of Krasnosel'skii (1955) and
/// Mann (1953). For non-expansive f it converges where Picard's may circle.
struct damped {
  double factor = 0.5;  ///< in (0, 1]

  /// @throws argument_error unless 0 < factor <= 1
  void check() const {
    require(factor > 0 && factor <= 1, "damped",
            "factor is " + std::to_string(factor) + ", must be in (0, 1]");
  }
  template <class Visit>
  void each_setting(Visit&& visit) const {
    visit(factor);
  }
  template <class Scalar>
  [[nodiscard]] BASIN_HOST_DEVICE Scalar next(Scalar z, Scalar f) const {
    return z + static_cast<Scalar>(factor) * (f - z);
  }
};

namespace detail {
/// The step of a pointwise accelerator for one entry.
template <class Accelerator>
struct next_entry {
  Accelerator settings;
  template <class Scalar>
  BASIN_HOST_DEVICE Scalar operator()(Scalar z, Scalar f) const {
    return settings.next(z, f);
  }
};
}  // namespace detail

/// The state of a pointwise accelerator: none.
template <class Accelerator, class Backend>
class PointwiseState {
 public:
  static constexpr bool recordable = true;  ///< all launches are the same in every iteration

  PointwiseState(const Accelerator& settings, const Backend&, index_t, index_t)
      : settings_(settings) {}

  void advance(const Backend& be, typename Backend::matrix& Z, typename Backend::matrix& F,
               index_t n) {
    if constexpr (takes_the_value<Accelerator>) {
      using std::swap;
      swap(Z, F);
    } else {
      transform(be, detail::next_entry<Accelerator>{settings_}, columns(be, std::as_const(Z), 0, n),
                columns(be, std::as_const(F), 0, n), columns(be, Z, 0, n));
    }
  }
  void move_columns(const Backend&, array_view<const index_t>, array_view<const index_t>) {}

 private:
  Accelerator settings_;
};

namespace detail {
template <class Accelerator, class Backend>
struct accelerator_state {
  using type = PointwiseState<Accelerator, Backend>;
};
template <class Accelerator, class Backend>
  requires(!pointwise_accelerator<Accelerator> && !column_accelerator<Accelerator>)
struct accelerator_state<Accelerator, Backend> {
  using type = typename Accelerator::template state<Backend>;
};
}  // namespace detail

}  // namespace basin
