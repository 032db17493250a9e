/// @file
/// The run of a flow in a file, from which it goes on to bitwise the same answer.
///
/// The file is laid out as that of solver/checkpoint.hpp: a header of fixed size, what is known of
/// the columns, what the method remembers, and a checksum of everything before it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <typeinfo>
#include <utility>
#include <vector>

#include <basin/backend/concept.hpp>
#include <basin/core/checked_file.hpp>
#include <basin/core/error.hpp>
#include <basin/dynamics/flow_columns.hpp>
#include <basin/dynamics/flow_method.hpp>
#include <basin/dynamics/flow_stopping.hpp>

namespace basin {

/// How far a run has come.
enum class flow_phase : std::uint32_t {
  taken,      ///< nothing has been evaluated
  evaluated,  ///< f is known at the starts, the first steps are not
  flowing,
};

/// What identifies the flow that a checkpoint belongs to.
struct flow_checkpoint_header {
  std::uint64_t magic = 0x31574c464e534142;  // "BASNFLW1"
  std::uint32_t version = 1;
  std::uint32_t scalar_size = 0;
  std::int64_t dimension = 0;
  std::int64_t size = 0;  ///< number of starts
  flow_phase phase = flow_phase::taken;
  std::uint32_t reserved = 0;
  std::uint64_t method_bytes = 0;  ///< of what the method remembers
  std::uint64_t fingerprint = 0;   ///< of method and stopping rule
};

/// The run of a flow between two steps, in memory or from a file. Copies share it.
template <class Backend>
class FlowCheckpoint {
 public:
  using scalar = typename Backend::scalar;

  FlowCheckpoint(flow_checkpoint_header header, std::vector<char> columns, std::vector<char> method)
      : header_(header),
        columns_(std::make_shared<const std::vector<char>>(std::move(columns))),
        method_(std::make_shared<const std::vector<char>>(std::move(method))) {
    header_.scalar_size = sizeof(scalar);
    header_.method_bytes = method_->size();
  }

  [[nodiscard]] const flow_checkpoint_header& header() const noexcept { return header_; }
  [[nodiscard]] const std::vector<char>& columns() const noexcept { return *columns_; }
  [[nodiscard]] const std::vector<char>& method() const noexcept { return *method_; }

  /// Writes the file beside itself and renames it, so that a reader or a crash
  /// never meets a part of it.
  /// @throws file_error if the file cannot be written
  void save(const std::string& path) const {
    detail::write_checked_file(path, header_, {columns_.get(), method_.get()});
  }

  /// Reads a file that `save` wrote. Nothing is allocated from its numbers before
  /// they are found to agree with its length.
  /// @throws file_error that names the file, the offset and the reason
  [[nodiscard]] static FlowCheckpoint load(const std::string& path) {
    detail::CheckedFile file(path);
    flow_checkpoint_header expected;
    expected.scalar_size = sizeof(scalar);
    const flow_checkpoint_header header = file.header(expected);
    constexpr std::int64_t limit = std::int64_t{1} << 40;
    const std::int64_t k = header.dimension;
    if (k < 1 || k > limit || header.size < 0 || header.size > limit / k) {
      file.refuse(offsetof(flow_checkpoint_header, dimension), "impossible sizes");
    }
    if (header.phase > flow_phase::flowing) {
      file.refuse(offsetof(flow_checkpoint_header, phase), "an impossible phase");
    }
    const std::uint64_t bytes =
        static_cast<std::uint64_t>(header.size) *
        detail::FlowColumns<Backend>::archived_bytes(static_cast<std::uint64_t>(k));
    file.require_parts({bytes, header.method_bytes});
    std::vector<char> columns = file.part(bytes);
    std::vector<char> method = file.part(header.method_bytes);
    file.end();
    return {header, std::move(columns), std::move(method)};
  }

 private:
  flow_checkpoint_header header_;
  std::shared_ptr<const std::vector<char>> columns_;
  std::shared_ptr<const std::vector<char>> method_;
};

/// The map threw while a flow was under way. The original exception is nested; the checkpoint
/// holds everything up to the step that failed, and `FlowSolver::resume` takes that step again.
template <class Backend>
class flow_failure : public error {
 public:
  flow_failure(const std::string& message, FlowCheckpoint<Backend> checkpoint)
      : error(message), checkpoint_(std::move(checkpoint)) {}
  [[nodiscard]] const FlowCheckpoint<Backend>& checkpoint() const noexcept { return checkpoint_; }

 private:
  FlowCheckpoint<Backend> checkpoint_;
};

namespace detail {

/// A number that tells methods and stopping rules with other settings apart.
template <class Method>
[[nodiscard]] std::uint64_t flow_fingerprint(const Method& method, const flow_stopping& stopping) {
  checksum sum;
  const auto add = [&](const auto& value) { sum.add(&value, sizeof value); };
  const auto add_entries = [&](const auto& values) {
    add(values.rows()), add(values.cols());
    sum.add(values.data(), static_cast<std::size_t>(values.size()) * sizeof(double));
  };
  const std::string_view kind = typeid(Method).name();
  sum.add(kind.data(), kind.size());
  const step_control c = method.control();
  add(c.step), add(c.relative), add(c.absolute), add(c.first_step), add(c.max_step);
  add(c.error_order), add(c.integral_part);
  if constexpr (requires { method.each_setting(add); }) method.each_setting(add);
  add(stopping.time), add(stopping.residual), add(stopping.location), add(stopping.max_steps);
  add_entries(stopping.attractors), add_entries(stopping.radii);
  add_entries(stopping.lower), add_entries(stopping.upper);
  return sum.value();
}

}  // namespace detail
}  // namespace basin
