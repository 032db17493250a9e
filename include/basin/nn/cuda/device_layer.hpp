/// @file
/// What a layer is on a device, and the layout of its states.
///
/// A block of states is a matrix of count × size: row j is state j, column i its element i in
/// CHW order, so that the same element of all states stands beside each other in memory. With
/// the batch innermost neighbouring threads read neighbouring numbers whatever the stride, the
/// padding or the size of the image; threads of a warp that work on one element share its taps
/// and weights; each tap is a plain product of a matrix of weights and a block; and a reshape
/// changes no memory. Columns side by side, one state each, were weighed: they need no
/// regrouping at the border, but a stride of two halves what a read of memory brings, and the
/// small images of inner layers do not fill a warp. Of a single state the two are the same
/// memory.
///
/// All work is put on the context's stream; no pass waits for the device.
#pragma once

#include <memory>
#include <string>
#include <type_traits>

#include <basin/backend/cuda.hpp>
#include <basin/nn/cuda/scratch.hpp>
#include <basin/nn/tensor_shape.hpp>

namespace basin {

/// Where the passes of a layer run, and their memory.
template <class Scalar>
struct device_pass {
  const cuda<Scalar>& be;
  DeviceScratch& scratch;
};

/// A layer with its parameters in device memory. With J the Jacobian at x and y the value
/// there, blocks of as many states each that must not overlap unless it is said:
///
///   forward(pass, x, y)         y
///   jvp(pass, x, y, v, jv)      J v
///   vjp(pass, x, y, u, jtu)     J^T u
///
/// Copies share parameters, which never change: an update replaces them.
template <class Scalar>
class DeviceLayer {
 public:
  using scalar = Scalar;
  using view = device_view<Scalar>;
  using const_view = device_view<const Scalar>;

  DeviceLayer(const tensor_shape& from, const tensor_shape& to) : from_(from), to_(to) {}
  virtual ~DeviceLayer() = default;

  [[nodiscard]] const tensor_shape& input_shape() const noexcept { return from_; }
  [[nodiscard]] const tensor_shape& output_shape() const noexcept { return to_; }

  [[nodiscard]] virtual std::unique_ptr<DeviceLayer> clone() const = 0;
  virtual void forward(const device_pass<Scalar>& pass, const const_view& x,
                       const view& y) const = 0;
  virtual void jvp(const device_pass<Scalar>& pass, const const_view& x, const const_view& y,
                   const const_view& v, const view& jv) const = 0;
  virtual void vjp(const device_pass<Scalar>& pass, const const_view& x, const const_view& y,
                   const const_view& u, const view& jtu) const = 0;
  /// Whether an output block may be the input block.
  [[nodiscard]] virtual bool in_place() const { return false; }
  /// Whether derivatives read y.
  [[nodiscard]] virtual bool needs_value() const { return false; }
  /// Whether derivatives read x.
  [[nodiscard]] virtual bool needs_input() const { return true; }

 protected:
  DeviceLayer(const DeviceLayer&) = default;
  DeviceLayer(DeviceLayer&&) noexcept = default;
  DeviceLayer& operator=(const DeviceLayer&) = default;
  DeviceLayer& operator=(DeviceLayer&&) noexcept = default;

 private:
  tensor_shape from_;
  tensor_shape to_;
};

/// The form of a layer of the engine on a device: device_form<L>::type is a DeviceLayer that is
/// made from (be, layer), and may have update(be, layer), which takes over the parameters alone.
/// Specialise it to bring a layer of your own, and name that layer to on_device.
template <class L>
struct device_form {};

/// The layers that may be met behind an AnyLayer besides the library's, and where among the
/// layers of a network one is.
template <class... Also>
struct known_layers {
  std::string path;

  [[nodiscard]] known_layers inside(const std::string& name) const {
    return {path.empty() ? name : path + "." + name};
  }
};

namespace detail {

/// A copy of a host array in device memory.
template <class T, class Scalar>
[[nodiscard]] DeviceBuffer<T> uploaded(const cuda<Scalar>& be,
                                       std::type_identity_t<array_view<const T>> x) {
  DeviceBuffer<T> y(x.size);
  upload_array(be, x, array_view<T>(y));
  return y;
}

/// The layer on the device.
/// @throws argument_error that names the layer if it has no form there
template <class Scalar, class L, class Known>
[[nodiscard]] std::unique_ptr<DeviceLayer<Scalar>> make_device_layer(const cuda<Scalar>& be,
                                                                     const L& l,
                                                                     const Known& known);
/// Takes over the parameters of a layer like the one that `on_device` was made of.
/// @throws argument_error, size_error that name the layer if it is another one
template <class Scalar, class L, class Known>
void update_device_layer(const cuda<Scalar>& be, DeviceLayer<Scalar>& on_device, const L& l,
                         const Known& known);

}  // namespace detail
}  // namespace basin
