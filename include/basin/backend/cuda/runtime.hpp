/// @file
/// Memory, transfer and the stream of a device; on Thrust's host systems the same in
/// host memory.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstring>
#include <functional>
#include <memory>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include <thrust/detail/config.h>
#include <thrust/execution_policy.h>

#if THRUST_DEVICE_SYSTEM == THRUST_DEVICE_SYSTEM_CUDA
#include <cublas_v2.h>
#include <cuda_runtime_api.h>
#include <thrust/system/cuda/execution_policy.h>
#endif

#include <basin/core/error.hpp>
#include <basin/core/index.hpp>

namespace basin {

/// What a context has moved between the host and its device, and how often the host has waited for
/// the device: each transfer waits once. Of what the library does: a map that calls the toolkit
/// itself is not counted, nor is giving memory back, which waits too.
struct device_traffic {
  index_t uploads = 0, downloads = 0;  ///< transfers
  index_t uploaded_bytes = 0, downloaded_bytes = 0;
  index_t synchronisations = 0;

  /// What came between `before` and this.
  [[nodiscard]] device_traffic since(const device_traffic& before) const {
    return {uploads - before.uploads, downloads - before.downloads,
            uploaded_bytes - before.uploaded_bytes, downloaded_bytes - before.downloaded_bytes,
            synchronisations - before.synchronisations};
  }
};

/// Where a context of the device backend works, and how.
struct device_options {
  int device = 0;  ///< number of the device, as the driver counts them
  /// Dense layers and affine maps in float may be multiplied by tensor cores, which round the
  /// factors to ten bits behind the first (TensorFloat-32): f is then known to about 1e-3 ‖W‖ ‖z‖
  /// in place of 1e-7, and a rule that asks for a residual below that is not met. So are
  /// their products with the Jacobian, by which spectra are made; searches, pursuits and least
  /// squares are never rounded so.
  bool tf32 = false;
};

}  // namespace basin

namespace basin::detail {

/// Counts of a context's device_traffic, while threads share it.
class TrafficCounter {
 public:
  void upload(std::size_t bytes) const noexcept {
    uploads_.fetch_add(1, std::memory_order_relaxed);
    uploaded_.fetch_add(static_cast<index_t>(bytes), std::memory_order_relaxed);
    wait();
  }
  void download(std::size_t bytes) const noexcept {
    downloads_.fetch_add(1, std::memory_order_relaxed);
    downloaded_.fetch_add(static_cast<index_t>(bytes), std::memory_order_relaxed);
    wait();
  }
  void wait() const noexcept { waits_.fetch_add(1, std::memory_order_relaxed); }
  [[nodiscard]] device_traffic counts() const noexcept {
    return {uploads_.load(), downloads_.load(), uploaded_.load(), downloaded_.load(),
            waits_.load()};
  }

 private:
  mutable std::atomic<index_t> uploads_{0}, downloads_{0}, uploaded_{0}, downloaded_{0}, waits_{0};
};

/// Whether this translation unit was built for a GPU.
inline constexpr bool on_gpu = THRUST_DEVICE_SYSTEM == THRUST_DEVICE_SYSTEM_CUDA;

[[noreturn]] inline void throw_allocation_error(const char* call, std::size_t bytes,
                                                const char* reason) {
  throw device_error(std::string(call) + " of " + std::to_string(bytes) + " bytes: " + reason);
}

[[noreturn]] inline void throw_no_such_device(int device, int count) {
  throw device_error("cuda: device " + std::to_string(device) + " is asked for, there are " +
                     std::to_string(count));
}

#if THRUST_DEVICE_SYSTEM == THRUST_DEVICE_SYSTEM_CUDA

inline void check(cudaError_t code, const char* call) {
  if (code != cudaSuccess) {
    throw device_error(std::string(call) + ": " + cudaGetErrorString(code));
  }
}
inline void check(cublasStatus_t code, const char* call) {
  if (code != CUBLAS_STATUS_SUCCESS) {
    throw device_error(std::string(call) + ": " + cublasGetStatusString(code));
  }
}

/// A stream of its own and a cuBLAS handle on it, on one device: whatever is asked of it makes that
/// device the calling thread's current one.
class device_runtime {
 public:
  explicit device_runtime(const device_options& options) : options_(options) {
    int count = 0;
    check(cudaGetDeviceCount(&count), "cudaGetDeviceCount");
    if (options.device < 0 || options.device >= count) {
      throw_no_such_device(options.device, count);
    }
    use();
    check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
    check(cublasCreate(&blas_), "cublasCreate");
    check(cublasSetStream(blas_, stream_), "cublasSetStream");
  }
  device_runtime(const device_runtime&) = delete;
  device_runtime& operator=(const device_runtime&) = delete;
  ~device_runtime() {
    (void)cudaSetDevice(options_.device);
    if (blas_ != nullptr) cublasDestroy(blas_);
    if (stream_ != nullptr) cudaStreamDestroy(stream_);
  }

  /// Makes the device the thread's current one: where its allocations are.
  void use() const { check(cudaSetDevice(options_.device), "cudaSetDevice"); }
  [[nodiscard]] const device_options& options() const noexcept { return options_; }
  [[nodiscard]] auto policy() const {
    use();
    return thrust::cuda::par_nosync.on(stream_);
  }
  [[nodiscard]] cudaStream_t stream() const {
    use();
    return stream_;
  }
  [[nodiscard]] cublasHandle_t blas() const {
    use();
    return blas_;
  }

  void to_device(void* to, const void* from, std::size_t bytes) const {
    if (bytes == 0) return;
    use();
    check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, stream_), "cudaMemcpyAsync");
    synchronise();  // the caller may reuse `from` at once
    traffic_.upload(bytes);
  }
  void to_host(void* to, const void* from, std::size_t bytes) const {
    if (bytes == 0) return;
    use();
    check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, stream_), "cudaMemcpyAsync");
    synchronise();
    traffic_.download(bytes);
  }
  void wait() const {
    synchronise();
    traffic_.wait();
  }
  /// Its counts. Who calls what waits within the toolkit adds that.
  [[nodiscard]] const TrafficCounter& traffic() const noexcept { return traffic_; }

 private:
  void synchronise() const { check(cudaStreamSynchronize(stream_), "cudaStreamSynchronize"); }

  device_options options_;
  TrafficCounter traffic_;
  cudaStream_t stream_ = nullptr;
  cublasHandle_t blas_ = nullptr;
};

/// @throws device_error that says how much was wanted; the device stays usable
inline void* allocate_on_device(std::size_t bytes) {
  void* p = nullptr;
  if (bytes == 0) return p;
  if (const cudaError_t code = cudaMalloc(&p, bytes); code != cudaSuccess) {
    (void)cudaGetLastError();  // else the next launch would be blamed
    throw_allocation_error("cudaMalloc", bytes, cudaGetErrorString(code));
  }
  return p;
}
/// Waits for work that may still use the memory.
inline void free_on_device(void* p) noexcept {
  if (p != nullptr) cudaFree(p);
}
inline void copy_on_device(void* to, const void* from, std::size_t bytes) {
  if (bytes == 0) return;
  // Streams that do not block are not ordered with this copy: all must have ended.
  check(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
  check(cudaMemcpy(to, from, bytes, cudaMemcpyDeviceToDevice), "cudaMemcpy");
  check(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
}

#else

/// Launches that a graph keeps.
using launch_list = std::vector<std::function<void()> >;

/// Where the launches of a context go while a graph is recorded, as a stream that is captured.
class LaunchRecorder {
 public:
  /// While it lives, launches are kept in `list` and do not run.
  class scope {
   public:
    scope(launch_list*& place, launch_list& list) : place_(place) {
      if (place_ != nullptr) throw device_error("DeviceGraph: another is being recorded");
      place_ = &list;
    }
    scope(const scope&) = delete;
    scope& operator=(const scope&) = delete;
    ~scope() { place_ = nullptr; }

   private:
    launch_list*& place_;
  };
  [[nodiscard]] scope into(launch_list& list) const { return {list_, list}; }
  /// Calls f, or keeps it.
  template <class F>
  void submit(F&& f) const {
    if (list_ == nullptr) {
      f();
    } else {
      list_->push_back(std::forward<F>(f));
    }
  }
  /// @throws device_error while a graph is recorded
  void require_none(const char* what) const {
    if (list_ == nullptr) return;
    throw device_error(std::string("DeviceGraph: ") + what + " cannot be recorded");
  }

 private:
  mutable launch_list* list_ = nullptr;
};

class device_runtime {
 public:
  explicit device_runtime(const device_options& options) : options_(options) {
    if (options.device != 0) throw_no_such_device(options.device, 1);
  }
  void use() const {}
  [[nodiscard]] const LaunchRecorder& recorder() const noexcept { return recorder_; }
  [[nodiscard]] const device_options& options() const noexcept { return options_; }
  [[nodiscard]] auto policy() const { return thrust::device; }
  void to_device(void* to, const void* from, std::size_t bytes) const {
    if (bytes == 0) return;
    recorder_.require_none("an upload");
    std::memcpy(to, from, bytes);
    traffic_.upload(bytes);
  }
  void to_host(void* to, const void* from, std::size_t bytes) const {
    if (bytes == 0) return;
    recorder_.require_none("a download");
    std::memcpy(to, from, bytes);
    traffic_.download(bytes);
  }
  void wait() const {
    recorder_.require_none("a synchronisation");
    traffic_.wait();
  }
  [[nodiscard]] const TrafficCounter& traffic() const noexcept { return traffic_; }

 private:
  device_options options_;
  TrafficCounter traffic_;
  LaunchRecorder recorder_;
};

/// @copydoc allocate_on_device
inline void* allocate_on_device(std::size_t bytes) {
  if (bytes == 0) return nullptr;
  void* const p = ::operator new(bytes, std::align_val_t{64}, std::nothrow);
  if (p == nullptr) throw_allocation_error("operator new", bytes, "out of memory");
  return p;
}
inline void free_on_device(void* p) noexcept { ::operator delete(p, std::align_val_t{64}); }
inline void copy_on_device(void* to, const void* from, std::size_t bytes) {
  if (bytes > 0) std::memcpy(to, from, bytes);
}

#endif

}  // namespace basin::detail
