// The kernels that a run on a device spends its time in, for scripts/ptxas_table: compiled, never
// run.
#include <array>

#include <basin/attractor/cuda/nearest.hpp>
#include <basin/backend/cuda.hpp>
#include <basin/backend/cuda/lanes.hpp>
#include <basin/nn/cuda/linear_layer.hpp>
#include <basin/sparse/cuda/correlations.hpp>
#include <basin/sparse/cuda/least_squares.hpp>
#include <basin/sparse/cuda/targets.hpp>
#include <basin/sparse/non_negative_pursuit.hpp>
#include <basin/sparse/thresholding.hpp>
#include <basin/spectral/cuda/krylov_spaces.hpp>

namespace basin::detail {

// Kernels of launch().
template <class... Kernels>
std::array<const void*, sizeof...(Kernels)> launched_kernels() {
  return {reinterpret_cast<const void*>(&launched<Kernels>)...};
}
// Reductions of columns.
template <class... Reductions>
auto reductions() {
  return launched_kernels<reduce_columns_kernel<Reductions>...>();
}
// Work of a column in the lanes of a warp.
template <class... Work>
auto in_lanes() {
  return launched_kernels<lanes_kernel<float, Work>...>();
}
// Functors of an index, which Thrust makes kernels of.
template <class... Functors>
void of_each_index(const cuda<float>& be, const Functors&... f) {
  (for_each_index(be, 1, f), ...);
}

template auto reductions<
    dot_reduction<float>, dot_reduction<double>, distance_reduction<float>,
    distance_reduction<double>, finite_reduction<float>, arg_max_reduction<float>,
    choice_reduction<float, gram_correlations<float>>,
    choice_reduction<float, direct_correlations<float>>,
    tie_reduction<float, gram_correlations<float>>,
    tie_reduction<float, direct_correlations<float>>, residual_reduction<float>,
    atom_product_reduction<float>, decision_reduction<float, true>, extension_reduction<float>>();

template auto in_lanes<threshold_target<float>, take_non_negative<float>>();

template std::array<const void*, 7> launched_kernels<
    tap_tile<float, 8, 1>, tap_tile<float, 16, 1>, tap_tile<float, 32, 1>, tap_tile<float, 64, 2>,
    tap_tile<double, 64, 2>, take_nearest<float, float, float>, orthogonalise_products<float>>();

template void of_each_index(const cuda<float>&, const move_entry<float>&,
                            const correlate_by_gram<float>&, const project_on_basis<float>&,
                            const tap_sum<float>&, const tap_sum<double>&);

}  // namespace basin::detail
