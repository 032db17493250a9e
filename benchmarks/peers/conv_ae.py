#!/usr/bin/env python3
"""PyTorch on Table 3's autoencoder, asked by benchmarks/conv_ae.py.

conv_ae.py FOLDER --make        writes weights.safetensors (d = 32, k = 128, 32x32 images,
                                float32; PyTorch's initialisation with doubled weights, which
                                keeps the code's influence through ten layers), codes.npy and
                                tangents.npy (k x 512), images.npy (1024 x 128): one state,
                                tangent or image a column, as basin has them
conv_ae.py FOLDER --threads T   answers requests on those files

A request is a line of JSON on stdin, its answer a line on stdout:

  {"op": "info"}                 -> versions, the names of the variants of each operation
  {"op": "ceiling", "repeat": R} -> {"gflops": [...]} of a 2048^3 product in float32
  {"op": OP, "n": N, "variant": V, "repeat": R}
                                 -> {"seconds": [...]}, R times of one call of OP
  {"op": OP, "n": N, "output": FILE, "double": true or false}
                                 -> writes OP's answer to FILE (.npy) instead

OP is, on the first N columns: "forward", f = E(D(z)); "jvp" and "vjp", f's value with J v or
J^T v, v the tangents; "train", one step of Adam (5e-4, L2 1e-4) on the mean squared error of
the images. Answers are k x N, for jvp and vjp 2k x N with the value first, for train the
gradient of the error before the step as one column: enc.0.weight, enc.0.bias, enc.2.weight,
and so on, dec last. Whatever goes wrong is answered with {"error": REASON}.
"""
import argparse
import contextlib
import json
import os
import pathlib
import sys
import time

LEAST = 0.1  # seconds that a measurement lasts at least
BASIC = ("nchw", "channels_last", "compile", "compile_channels_last")
VARIANTS = {"forward": (*BASIC, "compile_frozen"), "train": BASIC, "jvp": BASIC, "vjp": BASIC}
# What torch.compile is told: "frozen" packs the weights beforehand, and calls the compiled
# code without a detour through Python.
COMPILER_OPTIONS = {"compile_frozen": {"freezing": True, "cpp_wrapper": True}}


def parse():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--make", action="store_true")
    return parser.parse_args()


OPTIONS = parse()
os.environ["OMP_NUM_THREADS"] = str(OPTIONS.threads)  # read when torch is loaded

import numpy  # noqa: E402
import safetensors.torch  # noqa: E402
import torch  # noqa: E402
from torch.nn import functional  # noqa: E402

from table3 import Autoencoder, table3  # noqa: E402


def make(folder):
    """Writes the files that both sides read."""
    torch.manual_seed(0)
    model = Autoencoder(*table3(128))
    tensors = {name: (2 * p if name.endswith("weight") else p).detach().contiguous()
               for name, p in model.named_parameters()}
    safetensors.torch.save_file(tensors, folder / "weights.safetensors", {
        "format": "basin autoencoder", "architecture": "table3", "activation": "relu"})
    draws = {"codes": torch.randn(512, 128), "tangents": torch.randn(512, 128),
             "images": torch.rand(128, 1024)}
    for name, rows in draws.items():
        numpy.save(folder / f"{name}.npy", rows.numpy().T)


def layout_of(variant):
    """The memory format of a variant's images and weights."""
    last = variant.endswith("channels_last") or variant == "compile_frozen"
    return torch.channels_last if last else torch.contiguous_format


class Peer:
    """The model in each form that is asked for, and the inputs."""

    def __init__(self, folder):
        self.weights = safetensors.torch.load_file(folder / "weights.safetensors")
        self.inputs = {name: torch.from_numpy(numpy.load(folder / f"{name}.npy").T.copy())
                       for name in ("codes", "tangents", "images")}
        self.inputs["images"] = self.inputs["images"].reshape(-1, 1, 32, 32)
        self.ready = {}

    def model(self, variant, scalar=torch.float32):
        """The autoencoder with the weights of the file, in the variant's layout."""
        model = Autoencoder(*table3(self.weights["enc.9.weight"].shape[0]))
        model.load_state_dict(self.weights)
        return model.to(scalar).to(memory_format=layout_of(variant))

    def inputs_of(self, name, n, variant="nchw", scalar=torch.float32):
        """The first n inputs of a kind."""
        if n > len(self.inputs[name]):
            raise ValueError(f"{n} {name} asked for, there are {len(self.inputs[name])}")
        chosen = self.inputs[name][:n].to(scalar)
        return chosen.contiguous(memory_format=layout_of(variant)) if name == "images" else chosen

    def evaluation(self, op, n, variant, scalar=torch.float32):
        """A function without arguments that evaluates forward, jvp or vjp."""
        model = self.model(variant, scalar).eval().requires_grad_(False)
        codes = self.inputs_of("codes", n, scalar=scalar)
        tangents = self.inputs_of("tangents", n, scalar=scalar)

        def forward(z):
            return model.latent(z)

        def jvp(z, v):
            return torch.func.jvp(model.latent, (z,), (v,))

        def vjp(z, u):
            value, pull = torch.func.vjp(model.latent, z)
            return value, pull(u)[0]

        function = {"forward": forward, "jvp": jvp, "vjp": vjp}[op]
        arguments = (codes,) if op == "forward" else (codes, tangents)
        if variant.startswith("compile"):
            function = torch.compile(function, dynamic=False,
                                     options=COMPILER_OPTIONS.get(variant))

        # Inference mode has no forward derivatives, and freezing asks for no_grad.
        context = {"forward": torch.inference_mode}.get(op, contextlib.nullcontext)
        if variant == "compile_frozen":
            context = torch.no_grad

        def call():
            with context():
                return function(*arguments)
        return call

    def training(self, n, variant, scalar=torch.float32):
        """A function without arguments that takes one step, and its model."""
        model = self.model(variant, scalar)
        images = self.inputs_of("images", n, variant, scalar)
        optimiser = torch.optim.Adam(model.parameters(), lr=5e-4, weight_decay=1e-4, fused=True)

        def loss_of(images):
            return functional.mse_loss(model(images), images)
        if variant.startswith("compile"):
            loss_of = torch.compile(loss_of, dynamic=False)

        def call():
            optimiser.zero_grad()
            loss_of(images).backward()
            optimiser.step()
        return call, model

    def time(self, op, n, variant, repeat):
        """Seconds of one call, measured `repeat` times; the first request of a kind warms up."""
        key = (op, n, variant)
        if key not in self.ready:
            if variant not in VARIANTS[op]:
                raise ValueError(f"no variant {variant} of {op}")
            call = self.training(n, variant)[0] if op == "train" else self.evaluation(
                op, n, variant)
            for _ in range(3):
                call()
            count = 1
            while (seconds := count * seconds_each(call, count)) < LEAST:
                count = max(count + 1, round(1.2 * count * LEAST / seconds))
            self.ready[key] = call, count
        call, count = self.ready[key]
        call()  # the caches are someone else's by now
        return [seconds_each(call, count) for _ in range(repeat)]

    def answer(self, op, n, scalar):
        """The answer of an operation as an array, see the top of the file."""
        if op == "train":
            call, model = self.training(n, "nchw", scalar)
            call()
            return torch.cat([p.grad.flatten() for p in model.parameters()])[:, None].numpy()
        result = self.evaluation(op, n, "nchw", scalar)()
        return (result if op == "forward" else torch.cat(result, dim=1)).numpy().T

    def respond(self, request):
        """The answer to one request."""
        op = request["op"]
        if op == "info":
            return {"torch": torch.__version__, "numpy": numpy.__version__,
                    "threads": torch.get_num_threads(), "variants": VARIANTS,
                    "cpu": torch.backends.cpu.get_cpu_capability()}
        if op == "ceiling":
            return {"gflops": [2 * 2048 ** 3 / 1e9 / s for s in ceiling(request["repeat"])]}
        if "output" in request:
            scalar = torch.float64 if request.get("double") else torch.float32
            numpy.save(request["output"], self.answer(op, request["n"], scalar))
            return {"output": request["output"]}
        return {"seconds": self.time(op, request["n"], request["variant"], request["repeat"])}


def seconds_each(call, count):
    """Seconds of one of `count` calls."""
    begin = time.perf_counter()
    for _ in range(count):
        call()
    return (time.perf_counter() - begin) / count


def ceiling(repeat):
    """Seconds of a product of two 2048 x 2048 matrices, `repeat` times."""
    a, b, c = (torch.rand(2048, 2048) for _ in range(3))
    torch.mm(a, b, out=c)
    return [seconds_each(lambda: torch.mm(a, b, out=c), 1) for _ in range(repeat)]


def main():
    if OPTIONS.make:
        make(OPTIONS.folder)
        return
    torch.set_num_threads(OPTIONS.threads)
    torch._dynamo.config.recompile_limit = 64  # each variant and size is compiled for itself
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not look like an answer
    peer = Peer(OPTIONS.folder)
    for line in sys.stdin:
        try:
            answer = peer.respond(json.loads(line))
        except Exception as error:  # reported to whoever asked
            answer = {"error": f"{type(error).__name__}: {error}"[:2000]}
        print(json.dumps(answer), file=answers, flush=True)


main()
