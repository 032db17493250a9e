#!/usr/bin/env python3
"""Writes the golden files of training: PyTorch's parameters in double after 1, 10 and 100 steps.

make_training.py [FOLDER] writes into FOLDER (`training` beside this script by default):

data.safetensors (F64 but for `order`)
  images, noise, masks, mirrored   20 x 1 x 16 x 16; eps 20 x k: one of each for every image
  order                            I64, 100 x 8: the images of each step's batch
  p.NAME                           initial parameters, of Table 3's autoencoder with d = 2, k = 2

CASE.safetensors
  after_1.NAME, after_10.NAME, after_100.NAME   parameters after so many steps
  loss                                          100, the loss of each step before it is taken
  p.NAME                                        initial parameters that differ from data's

The metadata `options` is a JSON object: activation; optimiser ("adam": decay is added to the
gradient, "adamw": decoupled, "sgd"), rate, decay, momentum, beta1, beta2, eps; schedule
("constant", "step", "cosine") with its numbers; regulariser with its weight `lambda` and
options; tied. Decay acts on every parameter, biases too.

The rate of step t, counted from 0, of T:
  constant   rate
  step       rate * gamma^(number of milestones <= t)
  cosine     rate * (t + 1) / W for t < W (warm-up), then
             rate_min + (rate - rate_min) * (1 + cos(pi * (t - W) / (T - W))) / 2

The loss is mean((F(x) - x)^2) over batch and entries, plus lambda times:
  none            0
  contractive     mean over the batch of ||J_E(x)||_F^2
  r_contractive   mean over the batch of ||J_F(x)||_F^2
  sparse_kl       sum_i KL(rho || r_i) with r_i = mean over the batch of sigmoid(E_i(x)),
                  KL(a || b) = a log(a / b) + (1 - a) log((1 - a) / (1 - b));
                  the decoder receives sigmoid(E(x)), in F too
  sparse_l1       mean over the batch of ||E(x)||_1
  denoising       mean((x - F(x + noise))^2) over batch and entries
  masked          mean((M (x - F(M x)))^2) over batch and entries, M the masks
  variational     mean over the batch of KL(N(mu, exp(logvar)) || N(0, 1)), summed over the code;
                  the encoder gives mu, then logvar, and F decodes mu + exp(logvar / 2) eps
  augmented       mean((x - F(T x))^2) over batch and entries, T x the mirrored images
Tied: the decoder's weights are the encoder's: dec.0.weight is enc.9.weight transposed, and
dec.3, dec.5, dec.7, dec.9 use the tensors of enc.6, enc.4, enc.2, enc.0 as they are.
"""
import argparse
import json
import math
import pathlib

import torch
from torch import nn
from torch.func import functional_call, jacfwd, jacrev, vmap
from torch.nn.functional import mse_loss

from make import Autoencoder, enlarged, save, table3

D, K, SIZE, IMAGES, BATCH, STEPS = 2, 2, 16, 20, 8, 100
TIED = {"dec.3.weight": "enc.6.weight", "dec.5.weight": "enc.4.weight",
        "dec.7.weight": "enc.2.weight", "dec.9.weight": "enc.0.weight"}
ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "softplus": nn.Softplus}


def make_data():
    """Images of one bright spot each, and what the regularisers need, one for every image."""
    torch.manual_seed(1)
    def uniform(low, high):
        return low + (high - low) * torch.rand(IMAGES, 1, 1, 1, dtype=torch.float64)
    grid = torch.arange(SIZE, dtype=torch.float64)
    across, down = grid.reshape(1, 1, 1, -1), grid.reshape(1, 1, -1, 1)
    squares = ((across - uniform(3, 12)) ** 2 + (down - uniform(3, 12)) ** 2)
    images = uniform(0.5, 1) * torch.exp(-squares / (2 * uniform(1.5, 3) ** 2))
    order = torch.cat([torch.randperm(IMAGES) for _ in range(-(-STEPS * BATCH // IMAGES))])
    return {"images": images, "noise": 0.1 * torch.randn_like(images),
            "masks": (torch.rand_like(images) < 0.7).double(), "mirrored": images.flip(-1),
            "eps": torch.randn(IMAGES, K, dtype=torch.float64),
            "order": order[:STEPS * BATCH].reshape(STEPS, BATCH)}


def make_model(activation, codes=K):
    """The small network, not yet with its initial parameters."""
    torch.manual_seed(5)
    return enlarged(Autoencoder(*table3(K, D, 1, SIZE, ACTIVATIONS[activation], codes)).double())


def with_tied(parameters):
    """All parameters, those of the decoder that are tied taken from the encoder."""
    return {**parameters, "dec.0.weight": parameters["enc.9.weight"].T,
            **{name: parameters[source] for name, source in TIED.items()}}


def squared_jacobians(model, parameters, images, which):
    """Mean over the batch of the squared Frobenius norm of the Jacobian of E or of F = D(E)."""
    def half(name):
        own = {key[len(name) + 1:]: p for key, p in parameters.items() if key.startswith(name)}
        return lambda x: functional_call(getattr(model, name), own, (x[None],))[0]
    encode, decode = half("enc"), half("dec")
    jacobian = vmap(jacrev(encode))(images).flatten(2)
    if which == "r_contractive":
        decoder = vmap(jacfwd(decode))(vmap(encode)(images))
        jacobian = decoder.flatten(1, -2) @ jacobian
    return (jacobian ** 2).sum() / len(images)


def loss_of(model, parameters, batch, options):
    """The loss of a batch, see the top of the file."""
    kind, weight = options["regulariser"], options["lambda"]
    if options["tied"]:
        parameters = with_tied(parameters)

    def half(name, x):
        own = {key[4:]: p for key, p in parameters.items() if key.startswith(name)}
        return functional_call(getattr(model, name), own, (x,))

    def reconstruct(x):
        code = half("enc", x)
        return half("dec", code.sigmoid() if kind == "sparse_kl" else code)

    x = batch["images"]
    if kind == "variational":
        mu, logvar = half("enc", x).split(K, dim=1)
        loss = mse_loss(half("dec", mu + torch.exp(logvar / 2) * batch["eps"]), x)
        divergence = (mu ** 2 + logvar.exp() - 1 - logvar).sum(1) / 2
        return loss + weight * divergence.mean()
    loss = mse_loss(reconstruct(x), x)
    if kind in ("contractive", "r_contractive"):
        loss = loss + weight * squared_jacobians(model, parameters, x, kind)
    elif kind == "sparse_kl":
        rho, mean = options["rho"], half("enc", x).sigmoid().mean(0)
        divergence = rho * torch.log(rho / mean) + (1 - rho) * torch.log((1 - rho) / (1 - mean))
        loss = loss + weight * divergence.sum()
    elif kind == "sparse_l1":
        loss = loss + weight * half("enc", x).abs().sum(1).mean()
    elif kind == "denoising":
        loss = loss + weight * mse_loss(reconstruct(x + batch["noise"]), x)
    elif kind == "masked":
        masks = batch["masks"]
        loss = loss + weight * ((masks * (x - reconstruct(masks * x))) ** 2).mean()
    elif kind == "augmented":
        loss = loss + weight * mse_loss(reconstruct(batch["mirrored"]), x)
    else:
        assert kind == "none", kind
    return loss


def rate_of(step, options):
    """The learning rate of a step, see the top of the file."""
    rate = options["rate"]
    if options["schedule"] == "step":
        return rate * options["gamma"] ** sum(m <= step for m in options["milestones"])
    if options["schedule"] == "cosine":
        warm, least = options["warm_up"], options["rate_min"]
        if step < warm:
            return rate * (step + 1) / warm
        angle = math.pi * (step - warm) / (STEPS - warm)
        return least + (rate - least) * (1 + math.cos(angle)) / 2
    return rate


def make_optimiser(parameters, options):
    """torch.optim's optimiser of the options."""
    shared = {"lr": options["rate"], "weight_decay": options["decay"]}
    if options["optimiser"] == "sgd":
        return torch.optim.SGD(parameters, momentum=options["momentum"], **shared)
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[options["optimiser"]]
    return kind(parameters, betas=(options["beta1"], options["beta2"]), eps=options["eps"],
                **shared)


def train(data, initial, model, options):
    """The tensors of a case: losses, and the parameters after 1, 10 and 100 steps."""
    parameters = {name: p.clone().requires_grad_() for name, p in initial.items()}
    optimiser = make_optimiser(parameters.values(), options)
    tensors, losses = {}, []
    for step, indices in enumerate(data["order"]):
        optimiser.param_groups[0]["lr"] = rate_of(step, options)
        batch = {name: data[name][indices] for name in data if name != "order"}
        optimiser.zero_grad()
        loss = loss_of(model, parameters, batch, options)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
        if step + 1 in (1, 10, STEPS):
            tensors.update({f"after_{step + 1}.{name}": p.detach().clone()
                            for name, p in parameters.items()})
    return {"loss": torch.tensor(losses, dtype=torch.float64), **tensors}


def distance(first, second):
    """Norm-wise relative difference of the last parameters of two runs."""
    def last(run):
        return torch.cat([t.flatten() for name, t in sorted(run.items())
                          if name.startswith("after_100.")])
    first, second = last(first), last(second)
    return ((first - second).norm() / second.norm()).item() if len(first) == len(second) else 1


def cases():
    """Names and options of all cases."""
    plain = {"activation": "relu", "optimiser": "adam", "rate": 5e-3, "decay": 0.0, "beta1": 0.9,
             "beta2": 0.999, "eps": 1e-8, "momentum": 0.0, "schedule": "constant",
             "regulariser": "none", "lambda": 0.0, "tied": False}
    changes = {
        "adam": {},
        "adam_decay": {"decay": 1e-2},
        "adamw": {"optimiser": "adamw", "decay": 1e-2},
        "sgd": {"optimiser": "sgd", "rate": 0.1, "momentum": 0.9},
        "sgd_decay": {"optimiser": "sgd", "rate": 0.1, "momentum": 0.9, "decay": 1e-2},
        "step": {"schedule": "step", "milestones": [33, 66], "gamma": 0.3},
        "cosine": {"optimiser": "adamw", "decay": 1e-2, "schedule": "cosine", "warm_up": 10,
                   "rate_min": 1e-5},
        "contractive": {"activation": "tanh", "regulariser": "contractive", "lambda": 0.1},
        "r_contractive": {"activation": "softplus", "regulariser": "r_contractive",
                          "lambda": 0.1},
        "sparse_kl": {"regulariser": "sparse_kl", "lambda": 0.1, "rho": 0.1},
        "sparse_l1": {"regulariser": "sparse_l1", "lambda": 0.01},
        "denoising": {"regulariser": "denoising", "lambda": 1.0},
        "masked": {"regulariser": "masked", "lambda": 1.0},
        "variational": {"regulariser": "variational", "lambda": 0.01},
        "augmented": {"regulariser": "augmented", "lambda": 1.0},
        "tied": {"tied": True},
    }
    return {name: {**plain, **change} for name, change in changes.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=pathlib.Path,
                        default=pathlib.Path(__file__).parent / "training")
    folder = parser.parse_args().folder
    folder.mkdir(exist_ok=True)
    torch.set_num_threads(1)
    data = make_data()
    shared = {name: p.detach() for name, p in make_model("relu").named_parameters()}
    save(folder / "data.safetensors",
         {**data, **{f"p.{name}": p for name, p in shared.items()}}, {"k": str(K), "d": str(D)})

    plain = {}
    for name, options in cases().items():
        codes = 2 * K if options["regulariser"] == "variational" else K
        model = make_model(options["activation"], codes)
        initial = dict(shared)
        own = {}
        if codes != K:
            own = {key: p.detach() for key, p in model.named_parameters()
                   if key.startswith("enc.9.")}
        initial.update(own)
        if options["tied"]:
            initial = {key: p for key, p in initial.items()
                       if key not in TIED and key != "dec.0.weight"}
        tensors = train(data, initial, model, options)

        # A nearby start must end nearby, or 1e-9 after 100 steps would ask for luck; and what
        # a case is about must show in its parameters.
        moved = {key: p * (1 + 1e-14 * torch.randn_like(p)) for key, p in initial.items()}
        drift = distance(train(data, moved, model, options), tensors)
        if name not in ("contractive", "r_contractive"):
            plain.setdefault(options["activation"], tensors)
        else:
            plain[options["activation"]] = train(
                data, initial, model, {**options, "regulariser": "none"})
        change = distance(tensors, plain[options["activation"]])
        assert drift < 1e-11, f"{name}: {drift}"
        assert name == "adam" or change > 1e-3, f"{name}: {change}"

        tensors.update({f"p.{key}": p for key, p in own.items()})
        path = folder / f"{name}.safetensors"
        save(path, tensors, {"options": json.dumps(options)})
        print(f"{name}: loss {tensors['loss'][0]:.4f} to {tensors['loss'][-1]:.4f}, drift "
              f"{drift:.1e}, change {change:.1e}, {path.stat().st_size} bytes", flush=True)


if __name__ == "__main__":
    main()
