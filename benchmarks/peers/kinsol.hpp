// Anderson's acceleration by KINSOL (SUNDIALS 6) on one thread.
#pragma once

#include <algorithm>
#include <cstddef>
#include <stdexcept>

#include <kinsol/kinsol.h>
#include <nvector/nvector_serial.h>

namespace peers {

template <class Map>  // map(const double* z, double* f)
class Kinsol {
 public:
  // With KINSOL's own defaults but for the window. `map` must outlive this object.
  Kinsol(std::ptrdiff_t k, int window, Map& map) : k_(k), map_(&map) {
    if (SUNContext_Create(nullptr, &context_) != 0) throw std::runtime_error("no SUNContext");
    z_ = N_VNew_Serial(k, context_);
    scale_ = N_VNew_Serial(k, context_);
    N_VConst(1, scale_);
    memory_ = KINCreate(context_);
    KINSetMAA(memory_, window);
    if (KINInit(memory_, value, z_) != KIN_SUCCESS) throw std::runtime_error("KINInit failed");
    KINSetUserData(memory_, this);
    KINSetPrintLevel(memory_, 0);
    KINSetErrHandlerFn(memory_, [](int, const char*, const char*, char*, void*) {}, nullptr);
  }
  Kinsol(const Kinsol&) = delete;
  Kinsol& operator=(const Kinsol&) = delete;
  ~Kinsol() {
    KINFree(&memory_);
    N_VDestroy(scale_);
    N_VDestroy(z_);
    SUNContext_Free(&context_);
  }

  // Iterates from `start` until the largest entry of the difference that KINSOL looks at is at
  // most `tolerance`, or for `iterations`.
  // @return the state, until the next call
  const double* solve(const double* start, double tolerance, long iterations) {
    std::copy_n(start, k_, N_VGetArrayPointer(z_));
    KINSetFuncNormTol(memory_, tolerance);
    KINSetNumMaxIters(memory_, iterations);
    KINSol(memory_, z_, KIN_FP, scale_, scale_);
    return N_VGetArrayPointer(z_);
  }

 private:
  static int value(N_Vector z, N_Vector f, void* self) {
    (*static_cast<Kinsol*>(self)->map_)(N_VGetArrayPointer(z), N_VGetArrayPointer(f));
    return 0;
  }

  std::ptrdiff_t k_;
  Map* map_;
  SUNContext context_ = nullptr;
  void* memory_ = nullptr;
  N_Vector z_ = nullptr;
  N_Vector scale_ = nullptr;
};

}  // namespace peers
