#!/usr/bin/env python3
"""Hands a convolutional autoencoder trained in PyTorch over to basin.

export_pytorch.py STATE_DICT.pt MODEL.safetensors
    converts what torch.save(model.state_dict(), "STATE_DICT.pt") wrote
export_pytorch.py --example MODEL.safetensors
    writes an untrained model, to try the other side with

or from your own program, `export(model.state_dict(), "MODEL.safetensors")`. Needs torch and
safetensors from PyPI: `python3 -m venv .venv && .venv/bin/pip install torch safetensors`. The
other way, `example(d=12, k=2).load_state_dict(safetensors.torch.load_file(FILE))` takes what
basin wrote.

The model is Table 3's: two nn.Sequential under the names enc and dec (other names: --encoder,
--decoder), for any numbers of channels C, widths d, latents k, and square images whose size is
a multiple of 16:

  enc  Conv(C, d), act, Conv(d, 2d), act, Conv(2d, 4d), act, Conv(4d, 8d), act, Flatten, Linear
  dec  Linear, Unflatten, act, ConvT(8d, 4d), act, ConvT(4d, 2d), act, ConvT(2d, d), act,
       ConvT(d, C)

all of kernel 3, stride 2, padding 1, ConvT (ConvTranspose2d) with output_padding 1; all with a
bias, or all without.

The file is a safetensors file of the state dict with PyTorch's names and layouts, enc.0.weight
(d x C x 3 x 3), enc.0.bias, enc.2.weight, ..., enc.9.weight (k x features), dec.0.weight, ...,
dec.9.bias, in float64, float32, float16 or bfloat16. What the tensors do not say is in the
file's metadata, all strings:

  format        "basin autoencoder"
  architecture  "table3"
  activation    "relu", or another name of basin's

Sizes follow from the shapes: C and d from enc.0.weight, k from enc.9.weight, and the image's
size is 16 times the root of features / (8 d).
"""
import argparse
import math
import pickle

import safetensors.torch
import torch
from torch import nn

ENCODER = {0: "convolution", 2: "convolution", 4: "convolution", 6: "convolution", 9: "linear"}
DECODER = {0: "linear", 3: "transposed", 5: "transposed", 7: "transposed", 9: "transposed"}


def expected_shapes(tensors):
    """The shape that each weight must have, by the sizes that enc.0 and enc.9 give."""
    first, last = tensors["enc.0.weight"], tensors["enc.9.weight"]
    if first.dim() != 4 or last.dim() != 2:
        raise ValueError(f"enc.0.weight is {tuple(first.shape)}, enc.9.weight "
                         f"{tuple(last.shape)}: not a convolution and a linear layer")
    d, channels = first.shape[:2]
    k, features = last.shape
    side = math.isqrt(features // (8 * d))
    if side == 0 or 8 * d * side * side != features:
        raise ValueError(f"enc.9.weight has {features} features, which are not 8 x {d} channels "
                         "of a square image")
    widths = [channels, d, 2 * d, 4 * d, 8 * d]
    shapes = {"enc.9.weight": (k, features), "dec.0.weight": (features, k)}
    for layer, (inside, outside) in enumerate(zip(widths, widths[1:])):
        # A transposed convolution's weight is inputs x outputs, so these are the same shapes.
        shapes[f"enc.{2 * layer}.weight"] = (outside, inside, 3, 3)
        shapes[f"dec.{9 - 2 * layer}.weight"] = (outside, inside, 3, 3)
    return shapes


def checked(tensors):
    """The tensors as basin wants them; raises ValueError that says which does not fit."""
    names = {f"enc.{i}.weight" for i in ENCODER} | {f"dec.{i}.weight" for i in DECODER}
    biases = {name.replace("weight", "bias") for name in names}
    if missing := sorted(names - tensors.keys()):
        raise ValueError(f"not in the state dict: {', '.join(missing)}; it has "
                         f"{', '.join(list(tensors)[:3])}, ... (see --encoder, --decoder)")
    if unknown := sorted(tensors.keys() - names - biases):
        raise ValueError(f"no part of Table 3's autoencoder: {', '.join(unknown)}")
    if (absent := sorted(biases - tensors.keys())) and len(absent) != len(biases):
        raise ValueError(f"some layers have a bias, others none: {', '.join(absent)}")
    shapes = expected_shapes(tensors)
    for name, tensor in tensors.items():
        shape = shapes[name.replace("bias", "weight")]
        if name.endswith("bias"):
            # The outputs: the second size of a transposed convolution, the first of others.
            shape = shape[1:2] if name.startswith("dec") and len(shape) == 4 else shape[:1]
        if tuple(tensor.shape) != shape:
            raise ValueError(f"{name} is {tuple(tensor.shape)}, expected {shape}")
        if not tensor.is_floating_point() or not tensor.isfinite().all():
            raise ValueError(f"{name} is not of finite floating point numbers")
    return {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}


def export(state_dict, path, activation="relu", encoder="enc", decoder="dec"):
    """Writes a state dict to a file that basin reads. encoder and decoder are the names that
    the two halves have in the state dict."""
    tensors = {}
    for name, tensor in state_dict.items():
        for mine, theirs in (("enc", encoder), ("dec", decoder)):
            if name.startswith(theirs + "."):
                name = mine + name[len(theirs):]
                break
        tensors[name] = tensor
    metadata = {"format": "basin autoencoder", "architecture": "table3", "activation": activation}
    safetensors.torch.save_file(checked(tensors), path, metadata)


def example(channels=1, d=8, k=2, size=32):
    """An untrained model of the form above."""
    widths = [channels, d, 2 * d, 4 * d, 8 * d]
    small = size // 16
    features = 8 * d * small * small
    encoder, decoder = [], [nn.Linear(k, features), nn.Unflatten(1, (8 * d, small, small))]
    for inside, outside in zip(widths, widths[1:]):
        encoder += [nn.Conv2d(inside, outside, 3, stride=2, padding=1), nn.ReLU()]
    encoder += [nn.Flatten(), nn.Linear(features, k)]
    for inside, outside in zip(widths[:0:-1], widths[-2::-1]):
        decoder += [nn.ReLU(), nn.ConvTranspose2d(inside, outside, 3, stride=2, padding=1,
                                                  output_padding=1)]
    return nn.ModuleDict({"enc": nn.Sequential(*encoder), "dec": nn.Sequential(*decoder)})


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("state_dict", nargs="?")
    parser.add_argument("model")
    parser.add_argument("--example", action="store_true", help="write an untrained model")
    parser.add_argument("--activation", default="relu")
    parser.add_argument("--encoder", default="enc", help="the encoder's name in the state dict")
    parser.add_argument("--decoder", default="dec", help="the decoder's name in the state dict")
    options = parser.parse_args()
    if options.example == (options.state_dict is not None):
        parser.error("give either a state dict or --example")
    if options.example:
        export(example().state_dict(), options.model, options.activation)
        return
    try:
        state_dict = torch.load(options.state_dict, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise SystemExit(f"export_pytorch: {options.state_dict}: not a state dict; save "
                         "model.state_dict(), not the model") from None
    try:
        export(state_dict, options.model, options.activation, options.encoder, options.decoder)
    except ValueError as error:
        raise SystemExit(f"export_pytorch: {options.state_dict}: {error}") from None


if __name__ == "__main__":
    main()
