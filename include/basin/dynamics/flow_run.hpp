/// @file
/// The columns of a flow between two steps, and how they move.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <stop_token>
#include <utility>
#include <vector>

#include <basin/backend/concept.hpp>
#include <basin/dynamics/first_step.hpp>
#include <basin/dynamics/flow_batch.hpp>
#include <basin/dynamics/flow_method.hpp>
#include <basin/dynamics/flow_result.hpp>
#include <basin/dynamics/flow_stopping.hpp>
#include <basin/dynamics/flow_view.hpp>
#include <basin/dynamics/path.hpp>
#include <basin/dynamics/step_controller.hpp>
#include <basin/map/concept.hpp>

namespace basin {

/// A run of a method from a batch of starts. Columns 0 ... active - 1 take the next step;
/// behind them stand those that have ended, and those that have gone beyond the time at which
/// the run was asked to pause. Memory is sized in the constructor.
template <class B, class Method>
class FlowRun {
 public:
  using scalar = typename B::scalar;

  /// @param dense keep the beginning of every column's last step, for states within it
  FlowRun(const B& be, const Method& method, const flow_stopping& stopping,
          const typename B::const_view& starts, bool dense)
      : be_(be),
        k_(static_cast<index_t>(starts.rows())),
        size_(static_cast<index_t>(starts.cols())),
        stopping_(stopping),
        control_(method.control()),
        dense_(dense),
        together_(remembers ? size_ : detail::columns_per_step(be_, k_, size_)),
        Z_(be_, k_, size_),
        F_(be_, k_, size_),
        next_(be_, k_, size_),
        next_values_(be_, k_, size_),
        errors_(be_, k_, control_.is_fixed() ? 0 : together_),
        old_Z_(be_, k_, dense ? size_ : 0),
        old_F_(be_, k_, dense ? size_ : 0),
        mid_(be_, k_, has_midpoint && dense ? size_ : 0),
        records_(be.template make_buffer<detail::flow_record>(size_)),
        outcome_(be.template make_buffer<std::uint8_t>(size_)),
        steps_(be.template make_buffer<scalar>(size_)),
        residuals_(be.template make_buffer<scalar>(size_)),
        times_(be.template make_buffer<double>(size_)),
        products_(be.template make_buffer<index_t>(size_)),
        arcs_(be.template make_buffer<double>(dense ? size_ : 0)),
        left_(be.template make_buffer<index_t>(size_)),
        right_(be.template make_buffer<index_t>(size_)),
        attractors_(be.make_matrix(k_, stopping.attractors.cols())),
        radii_(be.template make_buffer<scalar>(stopping.attractors.cols())),
        lower_(bound(stopping.lower)),
        upper_(bound(stopping.upper)),
        memory_(method, be_, k_, together_),
        origin_(static_cast<std::size_t>(size_)),
        host_outcome_(static_cast<std::size_t>(size_)),
        host_times_(static_cast<std::size_t>(size_)) {
    std::iota(origin_.begin(), origin_.end(), index_t{0});
    pairs_left_.reserve(origin_.size());
    pairs_right_.reserve(origin_.size());
    if (const index_t count = stopping.attractors.cols(); count > 0) {
      const Eigen::MatrixX<scalar> centers = stopping.attractors.template cast<scalar>();
      upload(be_, centers, columns(be_, attractors_, 0, count));
      const Eigen::VectorX<scalar> radii =
          (stopping.radii.size() == 1 ? Eigen::VectorXd::Constant(count, stopping.radii[0]).eval()
                                      : stopping.radii)
              .template cast<scalar>();
      upload_array(be_, array_view<const scalar>(radii), array_view<scalar>(radii_));
    }
    for_each_index(
        be_, size_,
        detail::take_starts<scalar>{raw_address(starts.data()), starts.outerStride(), Z_.data(), k_,
                                    raw_address(outcome_.data()), raw_address(residuals_.data())},
        detail::columns_per_task(k_));
  }
  FlowRun(const FlowRun&) = delete;  // batches know the run's own backend
  FlowRun& operator=(const FlowRun&) = delete;

  [[nodiscard]] index_t size() const noexcept { return size_; }
  [[nodiscard]] index_t active() const noexcept { return active_; }

  /// Evaluates f at the starts, and chooses the first steps.
  template <class Map>
  void begin(Map& map) {
    active_ = size_;
    compact(size_);
    if (active_ == 0) return;
    use(active_);
    evaluate(be_, map, std::as_const(Z_).view(), F_.view());
    const bool chooses = !control_.is_fixed() && control_.first_step == 0;
    const detail::begin_flow<scalar> begin{judge(-1), chooses, next_.data()};
    for_each_index(be_, active_, begin, detail::columns_per_task(k_));
    if (chooses) {
      compact(active_);
      if (active_ == 0) return;
      use(active_);
      evaluate(be_, map, std::as_const(next_).view(), next_values_.view());
      for_each_index(be_, active_, detail::choose_first_step<scalar>{begin, next_values_.data()},
                     detail::columns_per_task(k_));
    }
    active_ = 0;  // all are beyond time -1, or have ended
  }

  /// Moves every column until it has ended or has gone to `pause` or beyond.
  template <class Map, class... Observers>
  void advance(Map& map, double pause, const std::stop_token& stop, Observers&... observers) {
    resume(pause);
    while (active_ > 0) {
      if (stop.stop_requested()) {
        end_all(flow_status::cancelled);
        return;
      }
      use(active_);
      step(map, pause);
      if constexpr (sizeof...(observers) > 0) {
        const FlowView<B> view{
            {be_, std::as_const(Z_).view(), array_view<const scalar>(residuals_).first(active_),
             array_view<const std::uint8_t>(outcome_).first(active_),
             array_view<const index_t>(origin_).first(active_), iteration_, size_, size_ - active_},
            array_view<const double>(times_).first(active_)};
        (observers(view), ...);
      }
      ++iteration_;
      compact(active_);
    }
  }

  /// The column's step as it is seen by a functor: everything in the backend's memory.
  [[nodiscard]] detail::judge_columns<scalar> judge(double pause) {
    return {{k_, stopping_.residual, stopping_.location, raw_address(attractors_.data()),
             raw_address(radii_.data()), static_cast<index_t>(stopping_.attractors.cols()),
             stopping_.lower.size() > 0 ? raw_address(lower_.data()) : nullptr,
             stopping_.upper.size() > 0 ? raw_address(upper_.data()) : nullptr},
            control_,
            Method::interpolation,
            Method::keeps_step,
            Method::interpolation == flow_interpolation::landing,
            dense_,
            Method::evaluations,
            stopping_.time,
            pause,
            stopping_.max_steps,
            raw_address(records_.data()),
            raw_address(outcome_.data()),
            raw_address(steps_.data()),
            raw_address(residuals_.data()),
            raw_address(times_.data()),
            Z_.data(),
            F_.data(),
            next_.data(),
            next_values_.data(),
            control_.is_fixed() ? nullptr : errors_.data(),
            old_Z_.data(),
            old_F_.data()};
  }

  /// The states at a time that every column has reached or ended before, and the lengths of
  /// the paths up to there, in the order of the starts. A column that ended before stays where
  /// it ended. For dense runs.
  /// @param states k × N
  /// @param arc N lengths in host memory
  void states_at(double time, typename B::matrix& states, array_view<double> arc) {
    if (size_ == 0) return;
    upload_array(be_, array_view<const index_t>(origin_), array_view<index_t>(left_));
    for_each_index(
        be_, size_,
        detail::slice_columns<scalar>{judge(time), midpoints(), raw_address(left_.data()), time,
                                      raw_address(states.data()), raw_address(arcs_.data())},
        detail::columns_per_task(k_));
    download_array(be_, array_view<const double>(arcs_), arc);
  }

  /// What every column has come to, in the order of the starts.
  [[nodiscard]] FlowResult<B> result() {
    const auto n = static_cast<std::size_t>(size_);
    FlowResult<B> found{
        be_.make_matrix(k_, size_), std::vector<scalar>(n),      std::vector<double>(n),
        std::vector<index_t>(n),    std::vector<index_t>(n),     std::vector<index_t>(n),
        std::vector<index_t>(n),    std::vector<flow_status>(n), std::vector<index_t>(n)};
    if (size_ == 0) return found;
    upload_array(be_, array_view<const index_t>(origin_), array_view<index_t>(left_));
    use(size_);
    scatter_columns(be_, std::as_const(Z_).view(), array_view<const index_t>(left_),
                    columns(be_, found.states, 0, size_));
    std::vector<detail::flow_record> records(n);
    std::vector<scalar> residuals(n);
    std::vector<index_t> products(n);
    download_array(be_, array_view<const detail::flow_record>(records_),
                   array_view<detail::flow_record>(records));
    download_array(be_, array_view<const scalar>(residuals_), array_view<scalar>(residuals));
    download_array(be_, array_view<const index_t>(products_), array_view<index_t>(products));
    download_array(be_, array_view<const std::uint8_t>(outcome_),
                   array_view<std::uint8_t>(host_outcome_));
    for (std::size_t slot = 0; slot < n; ++slot) {
      const auto at = static_cast<std::size_t>(origin_[slot]);
      const detail::flow_record& c = records[slot];
      found.residual[at] = std::sqrt(residuals[slot]);
      found.time[at] = c.time;
      found.accepted[at] = c.accepted;
      found.rejected[at] = c.rejected;
      found.evaluations[at] = c.evaluations;
      found.products[at] = products[slot];
      found.status[at] = static_cast<flow_status>(host_outcome_[slot]);
      found.attractor[at] = c.attractor;
    }
    return found;
  }

 private:
  [[nodiscard]] const scalar* midpoints() const {
    return has_midpoint && dense_ ? mid_.data() : nullptr;
  }
  using memory = typename Method::template state<B>;
  static constexpr bool remembers =
      requires(memory& m, const B& be, const index_t* a) { m.swap_columns(be, a, a, index_t{}); };
  static constexpr bool has_midpoint = Method::interpolation == flow_interpolation::quartic;

  [[nodiscard]] typename B::template buffer<scalar> bound(const Eigen::VectorXd& values) const {
    auto buffer = be_.template make_buffer<scalar>(values.size() > 0 ? k_ : 0);
    if (values.size() > 0) {
      const Eigen::VectorX<scalar> all =
          (values.size() == 1 ? Eigen::VectorXd::Constant(k_, values[0]).eval() : values)
              .template cast<scalar>();
      upload_array(be_, array_view<const scalar>(all), array_view<scalar>(buffer));
    }
    return buffer;
  }

  void use(index_t n) {
    for (FlowBatch<B>* batch :
         {&Z_, &F_, &next_, &next_values_, &errors_, &old_Z_, &old_F_, &mid_}) {
      batch->use(std::min(n, batch->capacity()));
    }
  }

  template <class Map>
  void step(Map& map, double pause) {
    for (index_t first = 0; first < active_; first += together_) {
      step_part(map, pause, first, std::min(together_, active_ - first));
    }
  }

  /// One step of some of the columns, from the method to the verdict, while they are in cache.
  template <class Map>
  void step_part(Map& map, double pause, index_t first, index_t count) {
    const FlowBatch<B> states = Z_.part(first, count);
    const FlowBatch<B> values = F_.part(first, count);
    FlowBatch<B> next = next_.part(0, count);
    FlowBatch<B> next_values = next_values_.part(0, count);
    FlowBatch<B> errors = errors_.part(0, count);
    memory_.step(
        be_, map,
        flow_attempt<B>{count, states, values, next, next_values, errors,
                        raw_address(steps_.data()) + first, raw_address(products_.data()) + first});
    if constexpr (!memory::evaluates_next) {
      evaluate(be_, map, std::as_const(next).view(), next_values.view());
    }
    if constexpr (has_midpoint) {
      if (dense_) {
        FlowBatch<B> mid = mid_.part(first, count);
        memory_.midpoint(mid);
      }
    }
    const detail::judge_columns<scalar> judges = judge(pause).part(first);
    for_each_index(be_, count, judges, detail::columns_per_task(k_));
    if (dense_) {
      const scalar* const mid = midpoints() == nullptr ? nullptr : midpoints() + first * k_;
      for_each_index(be_, count, detail::measure_paths<scalar>{judges, mid},
                     detail::columns_per_task(k_));
    }
  }

  /// Makes the columns active again that are not yet at `pause`.
  void resume(double pause) {
    if (size_ == 0) return;
    download_array(be_, array_view<const double>(times_), array_view<double>(host_times_));
    download_array(be_, array_view<const std::uint8_t>(outcome_),
                   array_view<std::uint8_t>(host_outcome_));
    bool any = false;
    for (std::size_t j = 0; j < host_outcome_.size(); ++j) {
      if (host_outcome_[j] != detail::flow_parked || host_times_[j] >= pause) continue;
      host_outcome_[j] = 0;
      any = true;
    }
    active_ = 0;
    if (!any) return;
    upload_array(be_, array_view<const std::uint8_t>(host_outcome_),
                 array_view<std::uint8_t>(outcome_));
    const detail::judge_columns<scalar> judges = judge(pause);
    partition(size_);
    for_each_index(be_, active_, detail::go_on_columns<scalar>{judges});
    compact(active_);
  }

  void end_all(flow_status as) {
    std::fill_n(host_outcome_.begin(), active_, static_cast<std::uint8_t>(as));
    upload_array(be_, array_view<const std::uint8_t>(host_outcome_).first(active_),
                 array_view<std::uint8_t>(outcome_).first(active_));
    active_ = 0;
  }

  /// Brings the running ones of the first n columns to the front.
  void compact(index_t n) {
    if (n == 0) return;
    const index_t gone =
        count_if(be_, array_view<const std::uint8_t>(outcome_).first(n), detail::is_not_running{});
    if (gone == 0) {
      active_ = n;
      return;
    }
    download_array(be_, array_view<const std::uint8_t>(outcome_).first(n),
                   array_view<std::uint8_t>(host_outcome_).first(n));
    partition(n);
  }

  void partition(index_t n) {
    pairs_left_.clear();
    pairs_right_.clear();
    index_t front = 0;
    index_t back = n;
    for (;;) {
      while (front < back && host_outcome_[static_cast<std::size_t>(front)] == 0) ++front;
      while (front < back && host_outcome_[static_cast<std::size_t>(back - 1)] != 0) --back;
      if (front >= back) break;
      pairs_left_.push_back(front++);
      pairs_right_.push_back(--back);
    }
    active_ = front;
    const auto count = static_cast<index_t>(pairs_left_.size());
    if (count == 0) return;
    upload_array(be_, array_view<const index_t>(pairs_left_),
                 array_view<index_t>(left_).first(count));
    upload_array(be_, array_view<const index_t>(pairs_right_),
                 array_view<index_t>(right_).first(count));
    const index_t* const a = raw_address(left_.data());
    const index_t* const b = raw_address(right_.data());
    for (FlowBatch<B>* batch : {&Z_, &F_, &old_Z_, &old_F_, &mid_}) {
      if (batch->capacity() == 0) continue;
      detail::for_each_entry(be_, k_, count, detail::swap_entries<scalar>{batch->data(), a, b, k_});
    }
    const auto swap_array = [&](auto* x) {
      detail::for_each_entry(be_, 1, count,
                             detail::swap_entries<std::remove_pointer_t<decltype(x)>>{x, a, b, 1});
    };
    swap_array(raw_address(records_.data()));
    swap_array(raw_address(outcome_.data()));
    swap_array(raw_address(steps_.data()));
    swap_array(raw_address(residuals_.data()));
    swap_array(raw_address(times_.data()));
    swap_array(raw_address(products_.data()));
    if constexpr (remembers) {
      memory_.swap_columns(be_, a, b, count);
    }
    for (std::size_t i = 0; i < pairs_left_.size(); ++i) {
      std::swap(origin_[static_cast<std::size_t>(pairs_left_[i])],
                origin_[static_cast<std::size_t>(pairs_right_[i])]);
    }
  }

  B be_;
  index_t k_;
  index_t size_;
  index_t active_ = 0;
  index_t iteration_ = 0;
  flow_stopping stopping_;
  step_control control_;
  bool dense_;
  index_t together_;  ///< columns that take a step together
  FlowBatch<B> Z_, F_, next_, next_values_, errors_, old_Z_, old_F_, mid_;
  typename B::template buffer<detail::flow_record> records_;
  typename B::template buffer<std::uint8_t> outcome_;
  typename B::template buffer<scalar> steps_;
  typename B::template buffer<scalar> residuals_;
  typename B::template buffer<double> times_;
  typename B::template buffer<index_t> products_;
  typename B::template buffer<double> arcs_;
  typename B::template buffer<index_t> left_, right_;
  typename B::matrix attractors_;
  typename B::template buffer<scalar> radii_;
  typename B::template buffer<scalar> lower_, upper_;
  memory memory_;
  std::vector<index_t> origin_;
  std::vector<std::uint8_t> host_outcome_;
  std::vector<double> host_times_;
  std::vector<index_t> pairs_left_, pairs_right_;
};

}  // namespace basin
