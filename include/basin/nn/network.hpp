/// @file
/// Layers in a row, known when running.
#pragma once

#include <concepts>
#include <memory>
#include <string>
#include <typeinfo>
#include <utility>
#include <vector>

#include <basin/nn/chain.hpp>

namespace basin {

/// Any layer, by value.
template <class Scalar>
class AnyLayer {
  struct base {
    virtual ~base() = default;
    virtual std::unique_ptr<base> clone() const = 0;
    virtual tensor_shape input_shape() const = 0;
    virtual tensor_shape output_shape() const = 0;
    virtual bool in_place() const = 0;
    virtual bool by_value() const = 0;
    virtual bool is_relu() const = 0;
    virtual bool fuses_relu() const = 0;
    virtual void forward(thread_pool*, block<const Scalar>, block<Scalar>) const = 0;
    virtual void forward_relu(thread_pool*, block<const Scalar>, block<Scalar>) const = 0;
    virtual void jvp_relu(thread_pool*, block<const Scalar>, block<const Scalar>,
                          block<Scalar>) const = 0;
    virtual void vjp_relu(thread_pool*, block<const Scalar>, block<const Scalar>,
                          block<Scalar>) const = 0;
    virtual void jvp(thread_pool*, block<const Scalar>, block<const Scalar>, block<const Scalar>,
                     block<Scalar>) const = 0;
    virtual void vjp(thread_pool*, block<const Scalar>, block<const Scalar>, block<const Scalar>,
                     block<Scalar>) const = 0;
    virtual void dual_vjp(thread_pool*, block<const Scalar>, block<const Scalar>,
                          block<const Scalar>, block<const Scalar>, block<const Scalar>,
                          block<Scalar>, block<Scalar>) const = 0;
    virtual void gradient(thread_pool*, block<const Scalar>, block<const Scalar>,
                          block<const Scalar>, Scalar*) const = 0;
    virtual void dual_gradient(thread_pool*, block<const Scalar>, block<const Scalar>,
                               block<const Scalar>, block<const Scalar>, block<const Scalar>,
                               Scalar*) const = 0;
    virtual std::vector<parameter<Scalar>> parameters() = 0;
    virtual void parameters_changed(thread_pool*) = 0;
    virtual void initialize(random_stream) = 0;
    virtual const std::type_info& type() const = 0;
    virtual const void* address() const = 0;
  };

  template <class L>
  struct holder final : base {
    explicit holder(L l) : held(std::move(l)) {}
    std::unique_ptr<base> clone() const override { return std::make_unique<holder>(held); }
    tensor_shape input_shape() const override { return held.input_shape(); }
    tensor_shape output_shape() const override { return held.output_shape(); }
    bool in_place() const override { return detail::works_in_place(held); }
    bool by_value() const override { return detail::derives_by_value(held); }
    bool is_relu() const override { return detail::acts_as_relu(held); }
    bool fuses_relu() const override { return detail::fuses_relu(held); }
    void forward(thread_pool* pool, block<const Scalar> x, block<Scalar> y) const override {
      held.forward(pool, x, y);
    }
    void forward_relu(thread_pool* pool, block<const Scalar> x, block<Scalar> y) const override {
      detail::if_fuses_relu(held, [&](const auto& l) { l.forward_relu(pool, x, y); });
    }
    void jvp_relu(thread_pool* pool, block<const Scalar> v, block<const Scalar> gate,
                  block<Scalar> jv) const override {
      detail::if_fuses_relu(held, [&](const auto& l) { l.jvp_relu(pool, v, gate, jv); });
    }
    void vjp_relu(thread_pool* pool, block<const Scalar> u, block<const Scalar> gate,
                  block<Scalar> jtu) const override {
      detail::if_fuses_relu(held, [&](const auto& l) { l.vjp_relu(pool, u, gate, jtu); });
    }
    void jvp(thread_pool* pool, block<const Scalar> x, block<const Scalar> y, block<const Scalar> v,
             block<Scalar> jv) const override {
      held.jvp(pool, x, y, v, jv);
    }
    void vjp(thread_pool* pool, block<const Scalar> x, block<const Scalar> y, block<const Scalar> u,
             block<Scalar> jtu) const override {
      held.vjp(pool, x, y, u, jtu);
    }
    void dual_vjp(thread_pool* pool, block<const Scalar> x, block<const Scalar> y,
                  block<const Scalar> v, block<const Scalar> u, block<const Scalar> w,
                  block<Scalar> sx, block<Scalar> sv) const override {
      held.dual_vjp(pool, x, y, v, u, w, sx, sv);
    }
    void gradient(thread_pool* pool, block<const Scalar> x, block<const Scalar> y,
                  block<const Scalar> u, Scalar* g) const override {
      held.gradient(pool, x, y, u, g);
    }
    void dual_gradient(thread_pool* pool, block<const Scalar> x, block<const Scalar> y,
                       block<const Scalar> v, block<const Scalar> u, block<const Scalar> w,
                       Scalar* g) const override {
      held.dual_gradient(pool, x, y, v, u, w, g);
    }
    std::vector<parameter<Scalar>> parameters() override { return held.parameters(); }
    void parameters_changed(thread_pool* pool) override { held.parameters_changed(pool); }
    void initialize(random_stream random) override { detail::initialize_layer(held, random); }
    const std::type_info& type() const override { return typeid(L); }
    const void* address() const override { return &held; }
    L held;
  };

 public:
  using scalar = Scalar;

  template <class L>
    requires(!std::same_as<std::remove_cvref_t<L>, AnyLayer> && layer<std::remove_cvref_t<L>>)
  AnyLayer(L&& l)  // NOLINT(google-explicit-constructor): any layer is one
      : held_(std::make_unique<holder<std::remove_cvref_t<L>>>(std::forward<L>(l))) {}
  AnyLayer(const AnyLayer& other) : held_(other.held_->clone()) {}
  AnyLayer(AnyLayer&&) noexcept = default;
  AnyLayer& operator=(const AnyLayer& other) {
    held_ = other.held_->clone();
    return *this;
  }
  AnyLayer& operator=(AnyLayer&&) noexcept = default;

  [[nodiscard]] tensor_shape input_shape() const { return held_->input_shape(); }
  [[nodiscard]] tensor_shape output_shape() const { return held_->output_shape(); }
  [[nodiscard]] bool in_place() const { return held_->in_place(); }
  [[nodiscard]] bool by_value() const { return held_->by_value(); }
  [[nodiscard]] bool is_relu() const { return held_->is_relu(); }
  [[nodiscard]] bool fuses_relu() const { return held_->fuses_relu(); }
  void forward(thread_pool* pool, block<const Scalar> x, block<Scalar> y) const {
    held_->forward(pool, x, y);
  }
  void forward_relu(thread_pool* pool, block<const Scalar> x, block<Scalar> y) const {
    held_->forward_relu(pool, x, y);
  }
  void jvp_relu(thread_pool* pool, block<const Scalar> v, block<const Scalar> gate,
                block<Scalar> jv) const {
    held_->jvp_relu(pool, v, gate, jv);
  }
  void vjp_relu(thread_pool* pool, block<const Scalar> u, block<const Scalar> gate,
                block<Scalar> jtu) const {
    held_->vjp_relu(pool, u, gate, jtu);
  }
  void jvp(thread_pool* pool, block<const Scalar> x, block<const Scalar> y, block<const Scalar> v,
           block<Scalar> jv) const {
    held_->jvp(pool, x, y, v, jv);
  }
  void vjp(thread_pool* pool, block<const Scalar> x, block<const Scalar> y, block<const Scalar> u,
           block<Scalar> jtu) const {
    held_->vjp(pool, x, y, u, jtu);
  }
  void dual_vjp(thread_pool* pool, block<const Scalar> x, block<const Scalar> y,
                block<const Scalar> v, block<const Scalar> u, block<const Scalar> w,
                block<Scalar> sx, block<Scalar> sv) const {
    held_->dual_vjp(pool, x, y, v, u, w, sx, sv);
  }
  void gradient(thread_pool* pool, block<const Scalar> x, block<const Scalar> y,
                block<const Scalar> u, Scalar* g) const {
    held_->gradient(pool, x, y, u, g);
  }
  void dual_gradient(thread_pool* pool, block<const Scalar> x, block<const Scalar> y,
                     block<const Scalar> v, block<const Scalar> u, block<const Scalar> w,
                     Scalar* g) const {
    held_->dual_gradient(pool, x, y, v, u, w, g);
  }
  [[nodiscard]] std::vector<parameter<Scalar>> parameters() { return held_->parameters(); }
  void parameters_changed(thread_pool* pool) { held_->parameters_changed(pool); }
  void initialize(random_stream random) { held_->initialize(random); }
  /// The compiler's name for the type of the layer.
  [[nodiscard]] const char* type_name() const { return held_->type().name(); }
  /// The layer if it is an L, else null, as std::any_cast.
  template <class L>
  [[nodiscard]] const L* get_if() const {
    return held_->type() == typeid(L) ? static_cast<const L*>(held_->address()) : nullptr;
  }

 private:
  std::unique_ptr<base> held_;
};

/// Layers one after the other, the first applied first; added when running, each with the
/// name that its parameters begin with. The cost of a layer's virtual call is lost in
/// that of its work.
template <class Scalar>
class Network : public LayerChain<Network<Scalar>, Scalar> {
 public:
  /// Adds a layer behind the others.
  /// @param name of the layer; empty: its number
  /// @throws size_error unless the layer takes what the one before it gives
  void add(AnyLayer<Scalar> l, std::string name = {}) {
    if (name.empty()) name = std::to_string(layers_.size());
    layers_.push_back(std::move(l));
    names_.push_back(std::move(name));
    try {
      this->require_fit("network");
    } catch (...) {
      layers_.pop_back();
      names_.pop_back();
      throw;
    }
  }
  /// Adds all layers of another network, their names behind `prefix`.
  /// @copydoc add
  void append(const Network& other, const std::string& prefix = {}) {
    for (std::size_t i = 0; i < other.layers_.size(); ++i) {
      add(other.layers_[i], prefix + other.names_[i]);
    }
  }

  [[nodiscard]] index_t depth() const noexcept { return static_cast<index_t>(layers_.size()); }
  [[nodiscard]] std::string layer_name(index_t i) const {
    return names_[static_cast<std::size_t>(i)];
  }

  template <class F>
  decltype(auto) visit(index_t i, F&& f) const {
    return f(layers_[static_cast<std::size_t>(i)]);
  }
  template <class F>
  decltype(auto) visit(index_t i, F&& f) {
    return f(layers_[static_cast<std::size_t>(i)]);
  }

 private:
  std::vector<AnyLayer<Scalar>> layers_;
  std::vector<std::string> names_;
};

}  // namespace basin
