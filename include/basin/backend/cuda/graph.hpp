/// @file
/// Work that is put on a context's stream once and run again and again: a CUDA graph. On Thrust's
/// host systems the launches are kept and called.
#pragma once

#include <concepts>
#include <functional>
#include <utility>
#include <vector>

#include <basin/backend/cuda/context.hpp>
#include <basin/core/error.hpp>

namespace basin {

/// Launches of a context, recorded. Their arguments are kept as they were: memory must stay where
/// it is, and sizes as they are.
///
/// Of a sequence of short launches a GPU's host pays one call in place of one each.
///
/// @code
/// #include <iostream>
///
/// #include <basin/backend/cuda.hpp>
///
/// int main() {
///   const basin::cuda<double> be;
///   auto x = be.make_matrix(1, 1);
///   upload(be, Eigen::MatrixXd::Ones(1, 1), x);
///   basin::DeviceGraph<double> graph(be);
///   graph.record([&] { axpby(be, 2, x, 0, x); });
///   for (int i = 0; i < 10; ++i) graph.run();
///   Eigen::MatrixXd doubled(1, 1);
///   download(be, x, doubled);
///   std::cout << doubled << '\n';  // 1024
/// }
/// @endcode
template <std::floating_point Scalar>
class DeviceGraph {
 public:
  explicit DeviceGraph(cuda<Scalar> be) : be_(std::move(be)) {}
  DeviceGraph(const DeviceGraph&) = delete;
  DeviceGraph& operator=(const DeviceGraph&) = delete;
  ~DeviceGraph() { clear(); }

  /// Records what `work` puts on the stream, in place of what was recorded; nothing of it runs.
  /// @throws device_error if it moves data between host and device, waits, or the toolkit refuses;
  ///   whatever `work` throws. Then nothing is recorded, and the context is as before.
  template <class F>
  void record(F&& work);
  [[nodiscard]] bool recorded() const noexcept;
  /// Runs it, behind what is on the stream.
  /// @throws device_error if nothing is recorded, or the device fails
  void run() const;
  void clear() noexcept;

 private:
  cuda<Scalar> be_;
#if THRUST_DEVICE_SYSTEM == THRUST_DEVICE_SYSTEM_CUDA
  cudaGraphExec_t graph_ = nullptr;
#else
  detail::launch_list launches_;
#endif
};

#if THRUST_DEVICE_SYSTEM == THRUST_DEVICE_SYSTEM_CUDA

template <std::floating_point Scalar>
template <class F>
void DeviceGraph<Scalar>::record(F&& work) {
  clear();
  const cudaStream_t stream = be_.runtime().stream();
  detail::check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal),
                "cudaStreamBeginCapture");
  cudaGraph_t graph = nullptr;
  try {
    work();
  } catch (...) {
    (void)cudaStreamEndCapture(stream, &graph);
    if (graph != nullptr) (void)cudaGraphDestroy(graph);
    (void)cudaGetLastError();  // else the next launch would be blamed
    throw;
  }
  detail::check(cudaStreamEndCapture(stream, &graph), "cudaStreamEndCapture");
  const cudaError_t code = cudaGraphInstantiate(&graph_, graph, 0);
  (void)cudaGraphDestroy(graph);
  if (code != cudaSuccess) graph_ = nullptr;
  detail::check(code, "cudaGraphInstantiate");
}
template <std::floating_point Scalar>
bool DeviceGraph<Scalar>::recorded() const noexcept {
  return graph_ != nullptr;
}
template <std::floating_point Scalar>
void DeviceGraph<Scalar>::run() const {
  if (!recorded()) throw device_error("DeviceGraph: nothing is recorded");
  detail::check(cudaGraphLaunch(graph_, be_.runtime().stream()), "cudaGraphLaunch");
}
template <std::floating_point Scalar>
void DeviceGraph<Scalar>::clear() noexcept {
  if (graph_ != nullptr) (void)cudaGraphExecDestroy(graph_);
  graph_ = nullptr;
}

#else

template <std::floating_point Scalar>
template <class F>
void DeviceGraph<Scalar>::record(F&& work) {
  clear();
  try {
    const auto recording = be_.runtime().recorder().into(launches_);
    work();
  } catch (...) {
    clear();
    throw;
  }
}
template <std::floating_point Scalar>
bool DeviceGraph<Scalar>::recorded() const noexcept {
  return !launches_.empty();
}
template <std::floating_point Scalar>
void DeviceGraph<Scalar>::run() const {
  if (!recorded()) throw device_error("DeviceGraph: nothing is recorded");
  for (const auto& launch : launches_) launch();
}
template <std::floating_point Scalar>
void DeviceGraph<Scalar>::clear() noexcept {
  launches_.clear();
}

#endif

}  // namespace basin
