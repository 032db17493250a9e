#!/usr/bin/env python3
"""jaxopt's solvers on the latent map of Table 3's autoencoder, as a program of its own, because
JAX takes its number of threads from the processors that it finds when it starts.

jax_solver.py WEIGHTS STARTS.npy ENDS.npy --solver anderson|broyden --threads T runs the solver
from every row of STARTS at once (vmap, compiled before it is timed), writes the ends, and prints
JSON: the seconds of each round, and how far f is from the values of another program.
"""
import argparse
import importlib.metadata
import json
import os
import time

PARSER = argparse.ArgumentParser(description=__doc__,
                                 formatter_class=argparse.RawDescriptionHelpFormatter)
PARSER.add_argument("weights")
PARSER.add_argument("starts")
PARSER.add_argument("ends")
PARSER.add_argument("--values", help="f(starts) of another program, to compare with")
PARSER.add_argument("--solver", choices=("anderson", "broyden"), default="anderson")
PARSER.add_argument("--threads", type=int, default=1)
PARSER.add_argument("--rounds", type=int, default=1)
PARSER.add_argument("--tolerance", type=float, default=1e-3)
PARSER.add_argument("--iterations", type=int, default=300)
OPTIONS = PARSER.parse_args()
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:OPTIONS.threads])
os.environ["JAX_PLATFORMS"] = "cpu"

import jax  # noqa: E402
import jaxopt  # noqa: E402
import numpy  # noqa: E402
from jax import numpy as jnp  # noqa: E402
from safetensors.numpy import load_file  # noqa: E402

LAYOUT = ("NCHW", "OIHW", "NCHW")


def convolution(x, weight, bias):
    x = jax.lax.conv_general_dilated(x, weight, (2, 2), ((1, 1), (1, 1)),
                                     dimension_numbers=LAYOUT)
    return x + bias[:, None, None]


def transposed(x, weight, bias):
    weight = jnp.flip(weight, (2, 3)).swapaxes(0, 1)
    x = jax.lax.conv_general_dilated(x, weight, (1, 1), ((1, 2), (1, 2)), lhs_dilation=(2, 2),
                                     dimension_numbers=LAYOUT)
    return x + bias[:, None, None]


def latent_map(weights):
    """f = E∘D for rows of codes."""
    def f(z):
        x = z @ weights["dec.0.weight"].T + weights["dec.0.bias"]
        channels = weights["dec.3.weight"].shape[0]
        side = int((x.shape[1] // channels) ** 0.5)
        x = x.reshape(-1, channels, side, side)
        for layer in (3, 5, 7, 9):
            x = transposed(jax.nn.relu(x), weights[f"dec.{layer}.weight"],
                           weights[f"dec.{layer}.bias"])
        for layer in (0, 2, 4, 6):
            x = jax.nn.relu(convolution(x, weights[f"enc.{layer}.weight"],
                                        weights[f"enc.{layer}.bias"]))
        return x.reshape(len(x), -1) @ weights["enc.9.weight"].T + weights["enc.9.bias"]
    return f


def main():
    weights = {name: jnp.asarray(value) for name, value in load_file(OPTIONS.weights).items()}
    f = latent_map(weights)
    starts = jnp.asarray(numpy.load(OPTIONS.starts))

    def one(z):
        return f(z[None])[0]

    settings = {"maxiter": OPTIONS.iterations, "tol": OPTIONS.tolerance, "implicit_diff": False}
    if OPTIONS.solver == "anderson":
        solver = jaxopt.AndersonAcceleration(one, history_size=5, **settings)
    else:  # its line search would need the map's gradient
        solver = jaxopt.Broyden(lambda z: one(z) - z, stepsize=1.0, gamma=-1.0,
                                history_size=20, **settings)
    run = jax.jit(jax.vmap(lambda z: solver.run(z).params)).lower(starts).compile()
    apart = None
    if OPTIONS.values:
        apart = float(jnp.abs(jax.jit(f)(starts) - numpy.load(OPTIONS.values)).max())
    seconds = []
    for _ in range(OPTIONS.rounds):
        begin = time.perf_counter()
        ends = run(starts).block_until_ready()
        seconds.append(time.perf_counter() - begin)
    numpy.save(OPTIONS.ends, numpy.asarray(ends))
    print(json.dumps({"seconds": seconds, "apart": apart, "jax": jax.__version__,
                      "jaxopt": importlib.metadata.version("jaxopt")}))


main()
