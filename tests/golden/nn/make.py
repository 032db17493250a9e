#!/usr/bin/env python3
"""Writes the golden files of the neural engine's layers and models: PyTorch's answers in double.

make.py [FOLDER] writes one safetensors file a case into FOLDER (this script's by default).
Tensors, all F64, of a layer y = f(x; p) on a batch x (N x C x H x W or N x F):

  p.NAME          parameters and buffers under PyTorch's names
  x, y            input and output
  v, jv           a tangent (shape of x) and J(x) v
  u, jtu          a cotangent (shape of y) and J(x)^T u
  g.NAME          gradient of <u, y> with respect to parameter NAME
  w               a second cotangent (shape of y), of the scalar s = <u, y> + <w, J(x) v>
  s.x, s.v        gradients of s with respect to x and v
  s.NAME          gradient of s with respect to parameter NAME
  fold.NAME       (batch norm next to a linear layer) the parameters of the one folded layer

The metadata are strings: `layer` is the name of the layer, `options` a JSON object with every
size and option. Inputs are chosen so that no value lies near a kink of an activation or near a
tie of a maximum (but where the case is about ties). Everything written is checked against
central differences.
"""
import argparse
import json
import pathlib
import struct
import zlib

import torch
from torch import nn
from torch.func import functional_call, grad, jvp, vjp

MARGIN = 1e-3  # least distance from a kink; less for networks of many values
KINKED = (nn.ReLU, nn.LeakyReLU, nn.ELU)


def save(path, tensors, metadata):
    """Writes a safetensors file. The same input gives the same bytes, which the package's own
    writer does not promise for metadata of several keys."""
    kinds = {torch.float64: "F64", torch.int64: "I64"}
    header, blobs, offset = {"__metadata__": metadata}, [], 0
    for name in sorted(tensors):
        tensor = tensors[name].detach()
        blobs.append(tensor.contiguous().numpy().tobytes())
        header[name] = {"dtype": kinds[tensor.dtype], "shape": list(tensor.shape),
                        "data_offsets": [offset, offset + len(blobs[-1])]}
        offset += len(blobs[-1])
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(blobs))


class Residual(nn.Module):
    """skip(x) + conv2(activation(conv1(x))), where skip is the identity or a 1x1 convolution."""

    def __init__(self, channels, outside, stride, skip, activation):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, outside, 3, stride=stride, padding=1)
        self.activation = activation
        self.conv2 = nn.Conv2d(outside, outside, 3, padding=1)
        if skip:
            self.skip = nn.Conv2d(channels, outside, 1, stride=stride)

    def forward(self, x):
        rest = self.conv2(self.activation(self.conv1(x)))
        return rest + (self.skip(x) if hasattr(self, "skip") else x)


class LayerNorm(nn.LayerNorm):
    """nn.LayerNorm in elementary operations: the gradient of the jvp of PyTorch's own (2.15)
    leaves out that mean and variance depend on x, and fails the check below."""

    def forward(self, x):
        over = tuple(range(-len(self.normalized_shape), 0))
        centred = x - x.mean(over, keepdim=True)
        y = centred / torch.sqrt((centred * centred).mean(over, keepdim=True) + self.eps)
        return y * self.weight + self.bias if self.elementwise_affine else y


class Autoencoder(nn.Module):
    """Halves enc and dec. `part` says what is evaluated: see `parts`."""

    parts = ("encoder", "decoder", "latent_map", "reconstruction_map")

    def __init__(self, enc, dec, part="reconstruction_map"):
        super().__init__()
        self.part = part
        if part != "decoder":
            self.enc = enc
        if part != "encoder":
            self.dec = dec

    def forward(self, x):
        if self.part == "encoder":
            return self.enc(x)
        if self.part == "decoder":
            return self.dec(x)
        return self.enc(self.dec(x)) if self.part == "latent_map" else self.dec(self.enc(x))


def table3(k, d, channels, size, activation=nn.ReLU, codes=None):
    """The halves of Table 3's autoencoder; the encoder gives `codes` numbers (k by default)."""
    widths = [channels, d, 2 * d, 4 * d, 8 * d]
    small = size // 16
    features = 8 * d * small * small
    encoder = []
    for inside, outside in zip(widths, widths[1:]):
        encoder += [nn.Conv2d(inside, outside, 3, stride=2, padding=1), activation()]
    encoder += [nn.Flatten(), nn.Linear(features, codes or k)]
    decoder = [nn.Linear(k, features), nn.Unflatten(1, (8 * d, small, small))]
    for inside, outside in zip(widths[:0:-1], widths[-2::-1]):
        decoder += [activation(), nn.ConvTranspose2d(inside, outside, 3, stride=2, padding=1,
                                                     output_padding=1)]
    return nn.Sequential(*encoder), nn.Sequential(*decoder)


def enlarged(module):
    """The module with its weights doubled: PyTorch's initialisation shrinks every layer's
    outputs, which would hide mistakes of a deep network's first layers behind its biases."""
    for name, parameter in module.named_parameters():
        if name.endswith("weight"):
            parameter.data *= 2
    return module


def dense_halves(sizes, activation=nn.Tanh):
    """Fully connected halves, e.g. sizes 20, 12, 3; no activation after the last layer."""
    def half(sizes):
        layers = []
        for inside, outside in zip(sizes, sizes[1:]):
            layers += [nn.Linear(inside, outside), activation()]
        return nn.Sequential(*layers[:-1])
    return half(sizes), half(sizes[::-1])


def nearest_kink(module, x):
    """Least distance of an input of an activation from its kink, or of a maximum from a tie."""
    least = [float("inf")]

    def look(layer, inputs, _):
        value = inputs[0]
        if isinstance(layer, nn.MaxPool2d):
            pad = layer.padding
            padded = nn.functional.pad(value, (pad, pad, pad, pad), value=-1e300)
            windows = nn.functional.unfold(padded.flatten(0, 1).unsqueeze(1), layer.kernel_size,
                                           stride=layer.stride)
            two = windows.topk(2, dim=1).values
            least[0] = min(least[0], (two[:, 0] - two[:, 1]).min().item())
        else:
            least[0] = min(least[0], value.abs().min().item())

    hooks = [layer.register_forward_hook(look) for layer in module.modules()
             if isinstance(layer, KINKED + (nn.MaxPool2d,))]
    with torch.no_grad():
        module(x)
    for hook in hooks:
        hook.remove()
    return least[0]


def shake(module):
    """Replaces what norms are initialised to (ones and zeros) by numbers that show mistakes."""
    for layer in module.modules():
        for name, tensor in [*layer.named_parameters(recurse=False),
                             *layer.named_buffers(recurse=False)]:
            if isinstance(layer, (nn.modules.batchnorm._BatchNorm, nn.GroupNorm, nn.LayerNorm)):
                if name in ("weight", "running_var"):
                    tensor.data.uniform_(0.5, 1.5)
                elif name in ("bias", "running_mean"):
                    tensor.data.normal_(std=0.5)


def answers(module, x, v, u, w):
    """The tensors of a case, see the top of the file."""
    parameters = {name: tensor.detach() for name, tensor in module.named_parameters()}
    buffers = {name: tensor for name, tensor in module.named_buffers()
               if tensor.is_floating_point()}

    def value(parameters, x):
        return functional_call(module, {**parameters, **buffers}, (x,))

    def scalar(parameters, x, v):
        y, jv = jvp(lambda x: value(parameters, x), (x,), (v,))
        return (u * y).sum() + (w * jv).sum()

    y, jv = jvp(lambda x: value(parameters, x), (x,), (v,))
    _, pull = vjp(value, parameters, x)
    first, jtu = pull(u)
    second, sx, sv = grad(scalar, argnums=(0, 1, 2))(parameters, x, v)
    tensors = {"x": x, "y": y, "v": v, "jv": jv, "u": u, "jtu": jtu, "w": w,
               "s.x": sx, "s.v": sv}
    tensors.update({f"p.{name}": tensor for name, tensor in {**parameters, **buffers}.items()})
    tensors.update({f"g.{name}": tensor for name, tensor in first.items()})
    tensors.update({f"s.{name}": tensor for name, tensor in second.items()})
    return tensors, value, scalar, parameters


def check(name, tensors, value, scalar, parameters):
    """Stops unless the derivatives agree with each other and with central differences."""
    x, v, u, w = (tensors[key] for key in "xvuw")
    h = 1e-6
    for tensor in tensors.values():
        assert tensor.isfinite().all(), f"{name}: not finite"
    scale = (u.norm() * tensors["jv"].norm()).item() + 1e-300
    assert abs((u * tensors["jv"]).sum() - (tensors["jtu"] * v).sum()) < 1e-12 * scale, name
    differences = (value(parameters, x + h * v) - value(parameters, x - h * v)) / (2 * h)
    error = (differences - tensors["jv"]).norm()
    allowed = 1e-7 * tensors["jv"].norm() + 1e-15 / h * tensors["y"].norm()
    assert error < allowed, f"{name}: jvp differs from central differences by {error:.1e}"

    def directional(f, prefix):
        """Compares gradients of f(parameters, x, v) with a difference along a direction."""
        generator = torch.Generator().manual_seed(1)

        def draw(t):
            return torch.randn(t.shape, generator=generator, dtype=torch.float64)
        dp = {key: draw(t) for key, t in parameters.items()}
        dx, dv = (draw(x), draw(v)) if prefix == "s." else (0 * x, 0 * v)
        ends = [f({key: t + s * h * dp[key] for key, t in parameters.items()}, x + s * h * dx,
                  v + s * h * dv) for s in (1, -1)]
        found = (ends[0] - ends[1]) / (2 * h)
        terms = [(tensors[prefix + key] * t).sum() for key, t in dp.items()]
        if prefix == "s.":
            terms += [(tensors["s.x"] * dx).sum(), (tensors["s.v"] * dv).sum()]
        expected = sum(terms) if terms else torch.zeros(())
        size = sum(t.abs() for t in terms) + abs(ends[0]) if terms else 1
        assert abs(found - expected) < 1e-6 * size, f"{name}: {prefix} differs {found} {expected}"

    directional(lambda p, x, v: (u * value(p, x)).sum(), "g.")
    directional(scalar, "s.")


class Writer:
    """Makes cases and writes them into a folder."""

    def __init__(self, folder):
        self.folder = folder

    def case(self, name, layer, module, shape, x=None, ties=False, all_gradients=True,
             margin=MARGIN, extra=None, **options):
        """Writes NAME.safetensors. `module` is a function that makes the nn.Module; draws are
        repeated until no value is near a kink. Without all_gradients, w, g.* and s.* are left
        out, for size. `extra` adds tensors, given the module."""
        for attempt in range(1000):
            seed = zlib.crc32(f"{name} {attempt}".encode())
            torch.manual_seed(seed)
            made = module().double().eval()
            shake(made)
            if x is not None:
                made_x = x
                break
            made_x = torch.randn(shape, dtype=torch.float64)
            if nearest_kink(made, made_x) > margin:
                break
        else:
            raise SystemExit(f"{name}: no draw away from kinks")
        torch.manual_seed(seed ^ 0x5EED)
        with torch.no_grad():
            y = made(made_x)
        v, u, w = (torch.randn_like(t) for t in (made_x, y, y))
        tensors, value, scalar, parameters = answers(made, made_x, v, u, w)
        if not ties:
            check(name, tensors, value, scalar, parameters)
        if not all_gradients:
            tensors = {key: t for key, t in tensors.items()
                       if key != "w" and key[:2] not in ("g.", "s.")}
        if extra:
            tensors.update(extra(made))
        path = self.folder / f"{name}.safetensors"
        save(path, tensors, {"layer": layer, "options": json.dumps(options)})
        print(f"{name}: {path.stat().st_size} bytes")


def pair(value):
    return list(value) if isinstance(value, tuple) else [value, value]


def dense(write):
    for inside, outside, bias, count in [(5, 3, True, 4), (7, 33, True, 3), (33, 5, False, 3),
                                         (1, 9, True, 19), (12, 1, False, 19)]:
        name = f"dense_{inside}_{outside}" + ("" if bias else "_no_bias")
        write.case(name, "dense", lambda: nn.Linear(inside, outside, bias=bias), (count, inside),
                   in_features=inside, out_features=outside, bias=bias)


def conv2d(write):
    cases = [  # name, in, out, kernel, stride, padding, bias, N, H, W
        ("k3_s2_p1", 1, 5, 3, 2, 1, True, 2, 8, 6),
        ("k3_s2_p1_odd", 1, 17, 3, 2, 1, True, 1, 5, 3),
        ("k3_s2_p1_no_bias", 17, 1, 3, 2, 1, False, 1, 3, 4),
        ("k3_s2_p1_wide", 1, 33, 3, 2, 1, True, 1, 4, 4),
        ("k3_s2_p1_many", 1, 2, 3, 2, 1, True, 17, 4, 4),
        ("k3_s1_p1", 3, 5, 3, 1, 1, True, 1, 5, 4),
        ("k3_s1_p1_to_1", 33, 1, 3, 1, 1, True, 1, 2, 3),
        ("k1", 5, 33, 1, 1, 0, True, 1, 2, 3),
        ("k1_s2", 5, 3, 1, 2, 0, True, 2, 5, 4),
        ("k5_s1_p2", 2, 3, 5, 1, 2, True, 1, 6, 5),
        ("k4_s2_p1", 3, 5, 4, 2, 1, True, 1, 6, 6),
        ("k4_s2_p1_odd", 1, 17, 4, 2, 1, True, 1, 5, 5),
        ("k3_s3_p0", 3, 5, 3, 3, 0, True, 1, 8, 7),
        ("rectangular", 3, 17, (3, 2), (2, 1), (1, 0), True, 1, 5, 4),
        ("rectangular_no_bias", 3, 1, (3, 2), (2, 1), (1, 0), False, 2, 6, 5),
    ]
    for name, inside, outside, kernel, stride, padding, bias, count, rows, columns in cases:
        write.case(f"conv2d_{name}", "conv2d",
                   lambda: nn.Conv2d(inside, outside, kernel, stride, padding, bias=bias),
                   (count, inside, rows, columns), in_channels=inside, out_channels=outside,
                   kernel=pair(kernel), stride=pair(stride), padding=pair(padding), bias=bias)


def conv_transpose2d(write):
    cases = [  # name, in, out, kernel, stride, padding, output padding, bias, N, H, W
        ("k3_s2_p1_op1", 5, 3, 3, 2, 1, 1, True, 2, 2, 3),
        ("k3_s2_p1_op1_to_1", 17, 1, 3, 2, 1, 1, True, 1, 4, 3),
        ("k3_s2_p1_op1_to_17", 2, 17, 3, 2, 1, 1, True, 1, 2, 1),
        ("k3_s2_p1_op1_wide", 33, 1, 3, 2, 1, 1, False, 1, 2, 2),
        ("k3_s2_p1_op1_many", 2, 1, 3, 2, 1, 1, True, 17, 2, 2),
        ("k3_s2_p1_op0", 3, 5, 3, 2, 1, 0, True, 1, 3, 4),
        ("k4_s2_p1", 5, 3, 4, 2, 1, 0, True, 1, 3, 2),
        ("k4_s2_p1_from_1", 1, 5, 4, 2, 1, 0, False, 1, 4, 3),
        ("k2_s2", 17, 3, 2, 2, 0, 0, True, 1, 3, 2),
        ("k3_s1_p1", 2, 17, 3, 1, 1, 0, True, 1, 3, 2),
        ("k5_s3_p2_op1", 3, 2, 5, 3, 2, 1, True, 1, 3, 2),
        ("rectangular", 3, 5, (3, 2), (2, 1), (1, 0), (1, 0), True, 1, 4, 5),
        ("rectangular_to_1", 17, 1, (2, 3), (1, 3), (0, 1), (0, 2), True, 1, 3, 4),
    ]
    for (name, inside, outside, kernel, stride, padding, more, bias, count, rows,
         columns) in cases:
        write.case(f"conv_transpose2d_{name}", "conv_transpose2d",
                   lambda: nn.ConvTranspose2d(inside, outside, kernel, stride, padding, more,
                                              bias=bias),
                   (count, inside, rows, columns), in_channels=inside, out_channels=outside,
                   kernel=pair(kernel), stride=pair(stride), padding=pair(padding),
                   output_padding=pair(more), bias=bias)


def pooling(write):
    for name, kernel, stride, padding, shape in [("k2_s2", 2, 2, 0, (2, 3, 4, 6)),
                                                 ("k2_s2_odd", 2, 2, 0, (1, 5, 5, 3)),
                                                 ("k3_s2_p1", 3, 2, 1, (1, 3, 5, 6))]:
        write.case(f"max_pool2d_{name}", "max_pool2d",
                   lambda: nn.MaxPool2d(kernel, stride, padding), shape, kernel=pair(kernel),
                   stride=pair(stride), padding=pair(padding))
    torch.manual_seed(0)
    few = torch.randint(-1, 2, (1, 3, 5, 6)).double()
    for name, kernel, stride, padding in [("k2_s2", 2, 2, 0), ("k3_s2_p1", 3, 2, 1)]:
        write.case(f"max_pool2d_ties_{name}", "max_pool2d",
                   lambda: nn.MaxPool2d(kernel, stride, padding), None, x=few, ties=True,
                   kernel=pair(kernel), stride=pair(stride), padding=pair(padding))
    for name, kernel, stride, padding, counted, shape in [
            ("k2_s2", 2, 2, 0, True, (2, 3, 4, 6)),
            ("k3_s2_p1_counted", 3, 2, 1, True, (1, 3, 7, 6)),
            ("k3_s2_p1_not_counted", 3, 2, 1, False, (1, 3, 7, 6)),
            ("rectangular", (3, 2), (2, 1), (1, 0), False, (1, 3, 6, 5))]:
        write.case(f"avg_pool2d_{name}", "avg_pool2d",
                   lambda: nn.AvgPool2d(kernel, stride, padding, count_include_pad=counted),
                   shape, kernel=pair(kernel), stride=pair(stride), padding=pair(padding),
                   count_include_pad=counted)
    for scale in [(2, 2), (3, 3), (2, 3)]:
        write.case(f"upsample_nearest_{scale[0]}x{scale[1]}", "upsample_nearest",
                   lambda: nn.Upsample(scale_factor=scale, mode="nearest"), (1, 3, 3, 2),
                   scale=list(scale))


def activations(write):
    cases = [
        ("relu", "relu", nn.ReLU(), {}),
        ("leaky_relu", "leaky_relu", nn.LeakyReLU(), {"slope": 0.01}),
        ("leaky_relu_0.2", "leaky_relu", nn.LeakyReLU(0.2), {"slope": 0.2}),
        ("elu", "elu", nn.ELU(), {"alpha": 1.0}),
        ("elu_0.7", "elu", nn.ELU(0.7), {"alpha": 0.7}),
        ("silu", "silu", nn.SiLU(), {}),
        ("gelu", "gelu", nn.GELU(), {"approximate": "none"}),
        ("gelu_tanh", "gelu", nn.GELU("tanh"), {"approximate": "tanh"}),
        ("tanh", "tanh", nn.Tanh(), {}),
        ("sigmoid", "sigmoid", nn.Sigmoid(), {}),
        ("softplus", "softplus", nn.Softplus(), {"beta": 1.0, "threshold": 20.0}),
        ("identity", "identity", nn.Identity(), {}),
    ]
    # Ordinary values, then values where exp, cosh, or 1 - tanh^2 overflow or vanish.
    torch.manual_seed(1)
    ordinary = torch.randn(21, dtype=torch.float64)
    ordinary = (ordinary + 0.01 * ordinary.sign()) * 2
    large = torch.tensor([5.5, 8.7, 15.0, 19.5, 20.5, 26.0, 37.5, 39.0, 87.0, 104.0, 354.0, 709.0,
                          711.0, 745.0, 800.0, 1e4], dtype=torch.float64)
    tiny = torch.tensor([2e-3, -2e-3], dtype=torch.float64)
    x = torch.cat([ordinary, tiny, large, -large]).reshape(5, 11)
    for name, layer, module, options in cases:
        write.case(f"activation_{name}", layer, lambda: module, None, x=x, **options)


def fold_after(linear, norm):
    """Parameters of the one layer that equals norm(linear(x)); outputs are dimension 0 of a
    dense or convolution weight and dimension 1 of a transposed convolution's."""
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    shape = [1] * linear.weight.dim()
    shape[1 if isinstance(linear, nn.ConvTranspose2d) else 0] = -1
    bias = linear.bias if linear.bias is not None else torch.zeros_like(norm.bias)
    return {"fold.weight": linear.weight * scale.reshape(shape),
            "fold.bias": (bias - norm.running_mean) * scale + norm.bias}


def fold_before(norm, linear):
    """Parameters of the one layer that equals linear(norm(x)), for a dense layer or a
    convolution without padding; inputs are dimension 1 of the weight."""
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    shift = norm.bias - norm.running_mean * scale
    shape = [1, -1] + [1] * (linear.weight.dim() - 2)
    rest = [d for d in range(linear.weight.dim()) if d != 0]
    return {"fold.weight": linear.weight * scale.reshape(shape),
            "fold.bias": linear.bias + (linear.weight * shift.reshape(shape)).sum(rest)}


def norms(write):
    for channels, shape, eps in [(5, (2, 5, 3, 4), 1e-5), (17, (2, 17, 2, 1), 1e-3)]:
        write.case(f"batch_norm_{channels}", "batch_norm",
                   lambda: nn.BatchNorm2d(channels, eps=eps), shape, channels=channels, eps=eps,
                   affine=True)
    write.case("batch_norm_vector", "batch_norm", lambda: nn.BatchNorm1d(13), (5, 13),
               channels=13, eps=1e-5, affine=True)
    write.case("batch_norm_plain", "batch_norm", lambda: nn.BatchNorm2d(3, affine=False),
               (2, 3, 4, 3), channels=3, eps=1e-5, affine=False)
    for name, bias in [("", True), ("_no_bias", False)]:
        write.case(f"conv_batch_norm{name}", "conv_batch_norm",
                   lambda: nn.Sequential(nn.Conv2d(3, 5, 3, 2, 1, bias=bias), nn.BatchNorm2d(5)),
                   (1, 3, 6, 5), extra=lambda m: fold_after(m[0], m[1]), in_channels=3,
                   out_channels=5, kernel=[3, 3], stride=[2, 2], padding=[1, 1], bias=bias,
                   channels=5, eps=1e-5)
    write.case("conv_transpose_batch_norm", "conv_transpose_batch_norm",
               lambda: nn.Sequential(nn.ConvTranspose2d(5, 3, 3, 2, 1, 1), nn.BatchNorm2d(3)),
               (2, 5, 3, 2), extra=lambda m: fold_after(m[0], m[1]), in_channels=5,
               out_channels=3, kernel=[3, 3], stride=[2, 2], padding=[1, 1],
               output_padding=[1, 1], bias=True, channels=3, eps=1e-5)
    write.case("dense_batch_norm", "dense_batch_norm",
               lambda: nn.Sequential(nn.Linear(7, 5), nn.BatchNorm1d(5)), (4, 7),
               extra=lambda m: fold_after(m[0], m[1]), in_features=7, out_features=5, bias=True,
               channels=5, eps=1e-5)
    write.case("batch_norm_dense", "batch_norm_dense",
               lambda: nn.Sequential(nn.BatchNorm1d(7), nn.Linear(7, 5)), (4, 7),
               extra=lambda m: fold_before(m[0], m[1]), in_features=7, out_features=5, bias=True,
               channels=7, eps=1e-5)
    write.case("batch_norm_conv", "batch_norm_conv",
               lambda: nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 5, 3, 2, 0)), (1, 3, 7, 5),
               extra=lambda m: fold_before(m[0], m[1]), in_channels=3, out_channels=5,
               kernel=[3, 3], stride=[2, 2], padding=[0, 0], bias=True, channels=3, eps=1e-5)
    for name, channels, groups, affine, eps, shape in [
            ("1", 6, 1, True, 1e-5, (2, 6, 3, 4)), ("2", 6, 2, True, 1e-5, (2, 6, 2, 3)),
            ("all", 5, 5, True, 1e-5, (2, 5, 4, 3)), ("2_plain", 6, 2, False, 1e-3, (2, 6, 3, 3)),
            ("vector", 12, 3, True, 1e-5, (5, 12))]:
        write.case(f"group_norm_{name}", "group_norm",
                   lambda: nn.GroupNorm(groups, channels, eps=eps, affine=affine), shape,
                   channels=channels, groups=groups, eps=eps, affine=affine)
    for name, normalized, affine, eps, shape in [
            ("image", [3, 4, 3], True, 1e-5, (2, 3, 4, 3)),
            ("image_plain", [5, 3, 2], False, 1e-3, (2, 5, 3, 2)),
            ("vector", [17], True, 1e-5, (5, 17)), ("vector_plain", [6], False, 1e-5, (3, 6))]:
        write.case(f"layer_norm_{name}", "layer_norm",
                   lambda: LayerNorm(normalized, eps=eps, elementwise_affine=affine), shape,
                   normalized_shape=normalized, eps=eps, affine=affine)


def models(write):
    for name, inside, outside, stride, skip, activation in [
            ("identity", 3, 3, 1, False, "relu"), ("skip", 3, 5, 1, True, "relu"),
            ("skip_stride_2", 3, 5, 2, True, "silu")]:
        made = {"relu": nn.ReLU, "silu": nn.SiLU}[activation]
        write.case(f"residual_{name}", "residual",
                   lambda: Residual(inside, outside, stride, skip, made()), (1, inside, 4, 5),
                   in_channels=inside, out_channels=outside, kernel=[3, 3],
                   stride=[stride, stride], padding=[1, 1], activation=activation, skip=skip,
                   bias=True)
    for part in Autoencoder.parts:
        options = {"architecture": "table3", "activation": "relu", "channels": 1, "d": 2, "k": 3,
                   "size": 16}
        shape = (3, 3) if part in ("decoder", "latent_map") else (1, 1, 16, 16)
        write.case(f"table3_16_{part}", part,
                   lambda: enlarged(Autoencoder(*table3(3, 2, 1, 16), part)), shape,
                   all_gradients=part == "latent_map", **options)
    for part, d, shape in [("latent_map", 3, (2, 3)), ("reconstruction_map", 1, (1, 1, 32, 32))]:
        write.case(f"table3_32_{part}", part,
                   lambda: enlarged(Autoencoder(*table3(3, d, 1, 32), part)), shape,
                   all_gradients=False, margin=1e-4, architecture="table3", activation="relu",
                   channels=1, d=d, k=3, size=32)
    for part in Autoencoder.parts:
        shape = (4, 3) if part in ("decoder", "latent_map") else (4, 13)
        write.case(f"fully_connected_{part}", part,
                   lambda: Autoencoder(*dense_halves([13, 7, 3]), part), shape,
                   architecture="fully_connected", activation="tanh", sizes=[13, 7, 3])


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=pathlib.Path,
                        default=pathlib.Path(__file__).parent)
    options = parser.parse_args()
    torch.set_num_threads(1)
    write = Writer(options.folder)
    for section in (dense, conv2d, conv_transpose2d, pooling, activations, norms, models):
        section(write)


if __name__ == "__main__":
    main()
