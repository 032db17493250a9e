#!/usr/bin/env python3
"""Trains Table 3's autoencoder on MNIST images in PyTorch, once per number of latents and seed.

The first 9,000 images of an IDX file train, the last 1,000 test; both are zero-padded to
32x32 and scaled to [0, 1]. Adam (5e-4, L2 1e-4), mean squared error over everything, batches
of 128 shuffled each epoch by the seed, the last one smaller; the learning rate is multiplied
by 0.3 before epochs floor(E/3) and floor(2E/3) of E. Each run is printed and added to a JSON
file, which is a list of runs. Runs that the file already holds are skipped.

--initial takes the initial weights from files, so that two programs are compared from the same
ones: with `--initial out/k{k}_s{seed}/model.safetensors`, those that
`examples/train --latent K --seed S --epochs 0 --out out/kK_sS` writes.
"""
import argparse
import gzip
import json
import os
import struct
import time

import torch
from safetensors.torch import load_file
from torch.nn import functional

from table3 import Autoencoder, table3

TRAINING, TEST = 9000, 1000
BATCH, RATE, DECAY, GAMMA = 128, 5e-4, 1e-4, 0.3


def read_images(path):
    """The images of a gzipped IDX file as N x 1 x 32 x 32 floats in [0, 1]."""
    with gzip.open(path) as file:
        data = file.read()
    magic, count, rows, columns = struct.unpack(">IIII", data[:16])
    if magic != 0x803 or len(data) != 16 + count * rows * columns:
        raise SystemExit(f"{path}: not an IDX file of images")
    images = torch.frombuffer(bytearray(data[16:]), dtype=torch.uint8)
    images = images.reshape(count, 1, rows, columns).float() / 255
    top, left = (32 - rows) // 2, (32 - columns) // 2
    return functional.pad(images, (left, 32 - columns - left, top, 32 - rows - top))


def test_error(model, images):
    """Mean squared error over all entries of all images."""
    with torch.inference_mode():
        total = sum(functional.mse_loss(model(part), part, reduction="sum").item()
                    for part in images.split(250))
    return total / images.numel()


def train(k, seed, epochs, training, test, layout, initial):
    """One run. Returns the test error after the last epoch and the seconds of training."""
    torch.manual_seed(seed)
    model = Autoencoder(*table3(k))
    if initial is not None:
        model.load_state_dict(load_file(initial.format(k=k, seed=seed)))
    model = model.to(memory_format=layout)
    order = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.Adam(model.parameters(), lr=RATE, weight_decay=DECAY)
    begin = time.perf_counter()
    for epoch in range(epochs):
        if epoch in (epochs // 3, 2 * epochs // 3):
            optimiser.param_groups[0]["lr"] *= GAMMA
        for indices in torch.randperm(len(training), generator=order).split(BATCH):
            images = training[indices].contiguous(memory_format=layout)
            optimiser.zero_grad()
            loss = functional.mse_loss(model(images), images)
            loss.backward()
            optimiser.step()
        print(f"k={k} seed={seed} epoch {epoch}: last loss {loss.item():.5f}, "
              f"{time.perf_counter() - begin:.0f} s", flush=True)
    seconds = time.perf_counter() - begin
    return test_error(model, test), seconds


def read_runs(path):
    """The list of runs in the file, empty if there is none."""
    if not os.path.exists(path):
        return []
    with open(path) as file:
        return json.load(file)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", help="IDX file of 10,000 images, gzipped")
    parser.add_argument("results", help="JSON file that each run is added to")
    parser.add_argument("--k", type=int, nargs="+", default=[2, 16])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--layout", choices=["nchw", "channels_last"], default="nchw")
    parser.add_argument("--initial", help="safetensors file of the initial weights, with {k} and "
                        "{seed} in its name; PyTorch's by its own generator if absent")
    options = parser.parse_args()

    torch.set_num_threads(options.threads)
    layout = {"nchw": torch.contiguous_format, "channels_last": torch.channels_last}
    images = read_images(options.images)
    training, test = images[:TRAINING], images[-TEST:]
    for seed in options.seeds:
        for k in options.k:
            runs = read_runs(options.results)
            same = {"k": k, "seed": seed, "epochs": options.epochs}
            if any(same.items() <= run.items() for run in runs):
                continue
            error, seconds = train(k, seed, options.epochs, training, test,
                                   layout[options.layout], options.initial)
            run = {**same, "test_mse": error, "seconds": seconds, "threads": options.threads,
                   "layout": options.layout, "initial": options.initial, "torch": torch.__version__}
            print(json.dumps(run), flush=True)
            runs = read_runs(options.results) + [run]
            with open(options.results + ".new", "w") as file:
                json.dump(runs, file, indent=1)
                file.write("\n")
            os.replace(options.results + ".new", options.results)


if __name__ == "__main__":
    main()
