/// @file
/// A flow from its starts to its end, in rounds of steps.
#pragma once

#include <cstdint>
#include <stop_token>
#include <utility>
#include <vector>

#include <basin/backend/concept.hpp>
#include <basin/core/error.hpp>
#include <basin/dynamics/first_step.hpp>
#include <basin/dynamics/flow_batch.hpp>
#include <basin/dynamics/flow_blocks.hpp>
#include <basin/dynamics/flow_checkpoint.hpp>
#include <basin/dynamics/flow_columns.hpp>
#include <basin/dynamics/flow_compaction.hpp>
#include <basin/dynamics/flow_method.hpp>
#include <basin/dynamics/flow_result.hpp>
#include <basin/dynamics/flow_rules.hpp>
#include <basin/dynamics/flow_stopping.hpp>
#include <basin/dynamics/flow_view.hpp>
#include <basin/dynamics/path.hpp>
#include <basin/dynamics/step_controller.hpp>
#include <basin/map/concept.hpp>

namespace basin {

/// A run of a method from a batch of starts. Columns 0 ... active - 1 take the next step;
/// behind them stand those that have ended, and those that have gone beyond the time at which
/// the run was asked to pause. Memory is sized before the first step.
template <class B, class Method, class Map>
class FlowRun {
 public:
  using scalar = typename B::scalar;

  /// @param dense keep the beginning of every column's last step, for states within it
  FlowRun(const B& be, Map& map, const Method& method, const flow_stopping& stopping,
          const typename B::const_view& starts, bool dense)
      : FlowRun(be, map, method, stopping, static_cast<index_t>(starts.rows()),
                static_cast<index_t>(starts.cols()), dense) {
    columns_.take(be_, starts);
  }

  /// A run that goes on from a checkpoint of its own kind.
  /// @throws argument_error if the checkpoint is damaged where its checksum cannot tell
  FlowRun(const B& be, Map& map, const Method& method, const flow_stopping& stopping,
          const FlowCheckpoint<B>& checkpoint)
      : FlowRun(be, map, method, stopping, checkpoint.header().dimension, checkpoint.header().size,
                false) {
    detail::ByteReader arrays(checkpoint.columns());
    columns_.archive(be_, arrays);
    std::vector<bool> seen(columns_.origin.size());
    for (const index_t start : columns_.origin) {
      const bool is_new = start >= 0 && start < size() && !seen[static_cast<std::size_t>(start)];
      require(is_new, "resume", "the checkpoint has an impossible start");
      seen[static_cast<std::size_t>(start)] = true;
    }
    if constexpr (blocks::remembers) {
      detail::ByteReader rest(checkpoint.method());
      blocks_.memory().archive(be_, rest);
    }
    phase_ = checkpoint.header().phase;
    compact(size());
    if (phase_ != flow_phase::flowing) active_ = 0;
  }
  FlowRun(const FlowRun&) = delete;  // batches know the run's own backend
  FlowRun& operator=(const FlowRun&) = delete;

  [[nodiscard]] index_t size() const noexcept { return columns_.size(); }
  [[nodiscard]] index_t active() const noexcept { return active_; }
  [[nodiscard]] flow_phase phase() const noexcept { return phase_; }
  /// Whether a step, or the choice of the first ones, was left by an exception.
  [[nodiscard]] bool has_failed() const noexcept { return stepping_; }

  /// Evaluates f at the starts, and chooses the first steps. Does nothing the second time.
  void begin() {
    stepping_ = true;
    const bool chooses = !control_.is_fixed() && control_.first_step == 0;
    const index_t grain = detail::columns_per_task(k_);
    const detail::begin_flow<scalar> begin{judge(-1), chooses};
    if (phase_ == flow_phase::taken) {
      compact(size());
      use(active_);
      if (active_ > 0) evaluate(be_, map_, std::as_const(columns_.Z).view(), columns_.F.view());
      for_each_index(be_, active_, begin, grain);
      phase_ = chooses ? flow_phase::evaluated : flow_phase::flowing;
    }
    if (phase_ == flow_phase::evaluated) {
      compact(size());
      if (active_ > 0) {
        FlowBatch<B> trial(be_, k_, active_);
        FlowBatch<B> values(be_, k_, active_);
        for_each_index(be_, active_, detail::trial_states<scalar>{judge(-1), trial.data()}, grain);
        evaluate(be_, map_, std::as_const(trial).view(), values.view());
        for_each_index(
            be_, active_,
            detail::choose_first_step<scalar>{begin, std::as_const(trial).data(), values.data()},
            grain);
      }
      phase_ = flow_phase::flowing;
    }
    active_ = 0;  // all are beyond time -1, or have ended
    stepping_ = false;
  }

  /// Moves every column until it has ended or has gone to `pause` or beyond, or until it is asked
  /// to stop: then some columns are active.
  /// @param between called after every round of steps
  /// @param one_by_one a round is one step of every active column
  template <class Between>
  void advance(double pause, const std::stop_token& stop, bool one_by_one, const Between& between) {
    wake(pause);
    while (active_ > 0 && !stop.stop_requested()) {
      use(active_);
      stepping_ = true;
      blocks_.step(be_, columns_, judge(pause), active_, one_by_one, stop);
      stepping_ = false;
      between();
      ++rounds_;
      compact(active_);
    }
  }

  /// The active columns, for observers.
  [[nodiscard]] FlowView<B> view() const {
    return {{be_, columns_.Z.view(), array_view<const scalar>(columns_.residuals).first(active_),
             array_view<const std::uint8_t>(columns_.outcome).first(active_),
             array_view<const index_t>(columns_.origin).first(active_), rounds_, size(),
             size() - active_},
            array_view<const double>(columns_.times).first(active_)};
  }

  /// Ends the active columns as cancelled.
  void cancel() {
    const std::vector<std::uint8_t> ended(static_cast<std::size_t>(active_),
                                          static_cast<std::uint8_t>(flow_status::cancelled));
    upload_array(be_, array_view<const std::uint8_t>(ended),
                 array_view<std::uint8_t>(columns_.outcome).first(active_));
    active_ = 0;
  }

  /// Everything that is known; for a run that is not dense.
  [[nodiscard]] FlowCheckpoint<B> checkpoint(std::uint64_t fingerprint) {
    detail::ByteWriter arrays;
    columns_.archive(be_, arrays);
    detail::ByteWriter remembered;
    if constexpr (blocks::remembers) blocks_.memory().archive(be_, remembered);
    flow_checkpoint_header header;
    header.dimension = k_;
    header.size = size();
    header.phase = phase_;
    header.fingerprint = fingerprint;
    return {header, std::move(arrays.bytes_), std::move(remembered.bytes_)};
  }

  /// The states at a time that every column has reached or ended before, and the lengths of
  /// the paths up to there, in the order of the starts. A column that ended before stays where
  /// it ended. For dense runs.
  /// @param states k × N
  /// @param arc N lengths in host memory
  void states_at(double time, typename B::matrix& states, array_view<double> arc) {
    if (size() == 0) return;
    upload_array(be_, array_view<const index_t>(columns_.origin), array_view<index_t>(where_));
    const detail::FlowColumns<B>& all = columns_;
    const scalar* const mid = all.mid.capacity() > 0 ? all.mid.data() : nullptr;
    for_each_index(
        be_, size(),
        detail::slice_columns<scalar>{judge(time), mid, raw_address(where_.data()), time,
                                      raw_address(states.data()), raw_address(arcs_.data())},
        detail::columns_per_task(k_));
    download_array(be_, array_view<const double>(arcs_), arc);
  }

  /// What every column has come to, in the order of the starts.
  [[nodiscard]] FlowResult<B> result() { return columns_.result(be_); }

 private:
  using blocks = detail::FlowBlocks<B, Method, Map>;

  FlowRun(const B& be, Map& map, const Method& method, const flow_stopping& stopping, index_t k,
          index_t size, bool dense)
      : be_(be),
        map_(map),
        k_(k),
        control_(method.control()),
        dense_(dense),
        rules_(be_, k, stopping),
        columns_(be_, k, size, dense, blocks::has_midpoint),
        arcs_(be_.template make_buffer<double>(dense ? size : 0)),
        where_(be_.template make_buffer<index_t>(dense ? size : 0)),
        compaction_(be_, size),
        blocks_(be_, map, method, k, size) {}

  /// The verdict over steps as a functor sees it: everything in the backend's memory. What a step
  /// gives is the block's to fill in.
  [[nodiscard]] detail::judge_columns<scalar> judge(double pause) {
    return {.events = rules_.events(),
            .control = control_,
            .interpolation = Method::interpolation,
            .keeps_step = Method::keeps_step,
            .lands = Method::interpolation == flow_interpolation::landing,
            .dense = dense_,
            .evaluations = Method::evaluations,
            .end = rules_.stopping().time,
            .pause = pause,
            .max_steps = rules_.stopping().max_steps,
            .records = raw_address(columns_.records.data()),
            .outcome = raw_address(columns_.outcome.data()),
            .steps = raw_address(columns_.steps.data()),
            .residuals = raw_address(columns_.residuals.data()),
            .times = raw_address(columns_.times.data()),
            .Z = columns_.Z.data(),
            .F = columns_.F.data(),
            .next = nullptr,
            .next_values = nullptr,
            .errors = nullptr,
            .products = nullptr,
            .old_Z = columns_.old_Z.data(),
            .old_F = columns_.old_F.data()};
  }

  void use(index_t n) {
    columns_.Z.use(n);
    columns_.F.use(n);
  }

  /// Makes the columns active again that are not yet at `pause`.
  void wake(double pause) {
    if (size() == 0) return;
    const auto n = static_cast<std::size_t>(size());
    std::vector<double> times(n);
    std::vector<std::uint8_t> outcome(n);
    download_array(be_, array_view<const double>(columns_.times), array_view<double>(times));
    download_array(be_, array_view<const std::uint8_t>(columns_.outcome),
                   array_view<std::uint8_t>(outcome));
    std::vector<index_t> woken;
    for (std::size_t j = 0; j < n; ++j) {
      if (outcome[j] != detail::flow_parked || times[j] >= pause) continue;
      outcome[j] = 0;
      woken.push_back(static_cast<index_t>(j));
    }
    upload_array(be_, array_view<const std::uint8_t>(outcome),
                 array_view<std::uint8_t>(columns_.outcome));
    if (!woken.empty()) {
      auto which = be_.template make_buffer<index_t>(static_cast<index_t>(woken.size()));
      upload_array(be_, array_view<const index_t>(woken), array_view<index_t>(which));
      for_each_index(be_, static_cast<index_t>(woken.size()),
                     detail::go_on_columns<scalar>{judge(pause), raw_address(which.data())});
    }
    compact(size());
  }

  /// Brings the running ones of the first n columns to the front.
  void compact(index_t n) {
    if constexpr (blocks::remembers) {
      active_ = compaction_.gather(be_, columns_, blocks_.memory(), 0, n);
    } else {
      detail::no_memory nothing;
      active_ = compaction_.gather(be_, columns_, nothing, 0, n);
    }
  }

  B be_;
  Map& map_;
  index_t k_;
  index_t active_ = 0;
  index_t rounds_ = 0;
  flow_phase phase_ = flow_phase::taken;
  bool stepping_ = false;
  step_control control_;
  bool dense_;
  detail::FlowRules<B> rules_;
  detail::FlowColumns<B> columns_;
  typename B::template buffer<double> arcs_;
  typename B::template buffer<index_t> where_;
  detail::FlowCompaction<B> compaction_;
  blocks blocks_;
};

}  // namespace basin
