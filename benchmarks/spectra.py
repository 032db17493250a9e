#!/usr/bin/env python3
"""Spectra of Jacobians, and clusters of the ends of many starts.

spectra.py ROWS.json runs basin and its peers in turn and writes

  spectra/leading6/k=128/threads=T   the six leading eigenvalues of J at 500 points of a model, in
                                     float: against PyTorch's vmap(jacrev) and eigvals
  spectra/products/k=512             products with J that the six leading values at 20 points take,
                                     to 1e-8 in double: against ARPACK (SciPy's eigs, 20 vectors)

  cluster/NAME/threads=T             clusters at a radius (peers/cluster.py names the points), against
                                     scikit-learn's DBSCAN with min_samples = 1

Models are trained here (examples/train on BASIN_DATA/mnist, once). The 500 points are codes
of images after 200 iterations. detail has what the values differ by.
"""
import argparse
import importlib.metadata
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

import numpy
import scipy.sparse.linalg
import torch
from safetensors.torch import load_file

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "peers"))
import cluster  # noqa: E402
from learning import read_images  # noqa: E402
from table3 import Autoencoder, table3  # noqa: E402

UNITS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}
LEADING = 6


def environment():
    """The environment of ours: OPENBLAS_CORETYPE may pin a kernel for other programs."""
    return {key: value for key, value in os.environ.items() if key != "OPENBLAS_CORETYPE"}


def run_ours(binary, *arguments):
    done = subprocess.run([binary, *map(str, arguments)], env=environment(), text=True,
                          capture_output=True)
    if done.returncode != 0:
        raise SystemExit(f"spectra: {binary}: {done.stdout}{done.stderr}")
    return done.stdout


def trained_model(train, mnist, folder, k, epochs, points):
    """A model in PyTorch; its folder gets `points` states near its attractors."""
    images = next(mnist.glob("*images*"))
    if not (folder / "model.safetensors").exists():
        for seed in range(8):
            print(f"spectra: training a model with k = {k}, seed {seed}", flush=True)
            done = subprocess.run([train, "--images", images, "--width", "32", "--latent", str(k),
                                   "--epochs", str(epochs), "--seed", str(seed), "--quiet",
                                   "--out", folder], env=environment(), check=True, text=True,
                                  capture_output=True)
            if "mean image" not in done.stdout + done.stderr:  # else its Jacobian is nearly 0
                break
        else:
            (folder / "model.safetensors").unlink()
            raise SystemExit(f"spectra: no seed gives a model with k = {k} in {epochs} epochs")
    net = Autoencoder(*table3(k))
    net.load_state_dict(load_file(folder / "model.safetensors"))
    with torch.inference_mode():
        z = net.enc(read_images(images)[:points])
        for _ in range(200):
            z = net.latent(z)
    numpy.save(folder / "points.npy", numpy.asfortranarray(z.numpy().T.astype(numpy.float64)))
    return net, z.clone()


def leading(values):
    """The leading six by modulus, of each row."""
    order = numpy.argsort(-numpy.abs(values), axis=1, kind="stable")
    return numpy.take_along_axis(values, order, axis=1)[:, :LEADING]


def of_pytorch(net, z):
    """All eigenvalues, in blocks of points that memory holds."""
    jacobian = torch.func.vmap(torch.func.jacrev(lambda code: net.latent(code[None])[0]))
    found = [torch.linalg.eigvals(jacobian(block)) for block in z.split(25)]
    return torch.cat(found).detach().numpy()


def time_spectra(binary, folder, net, z, threads, rounds):
    torch.set_num_threads(threads)
    ours, peer = [], []
    for _ in range(rounds):
        report = json.loads(run_ours(binary, folder,
                                     f"--benchmark_filter=^leading6/threads={threads}/real_time$",
                                     "--benchmark_format=json", "--benchmark_min_time=0.01"))
        run = report["benchmarks"][0]
        ours.append(run["real_time"] * UNITS[run["time_unit"]])
        begin = time.perf_counter()
        values = of_pytorch(net, z)
        peer.append(time.perf_counter() - begin)
    run_ours(binary, folder, "--values", folder / "values.npy")
    table = numpy.load(folder / "values.npy")
    apart = numpy.abs(numpy.abs(table[:, 0:2 * LEADING:2] + 1j * table[:, 1:2 * LEADING:2])
                      - numpy.abs(leading(values)))
    row = {"name": f"spectra/leading6/k={z.shape[1]}/threads={threads}",
           "ours_s": statistics.median(ours), "peer_s": statistics.median(peer),
           "peer": f"PyTorch {torch.__version__}, vmap(jacrev) and eigvals",
           "ratio": statistics.median(peer) / statistics.median(ours), "threads": threads,
           "detail": {"points": len(z), "largest_difference": float(apart.max()),
                      "median_products": float(numpy.median(table[:, 2 * LEADING])),
                      "rounds": rounds}}
    print(f"{row['name']}: ours {row['ours_s']:.3g} s, PyTorch {row['peer_s']:.4g} s, ratio "
          f"{row['ratio']:.2f}, {row['detail']}", flush=True)
    return row


def count_products(binary, folder, net, tolerance=1e-8):
    """Products with J, in double, of ours and ARPACK's."""
    points = numpy.load(folder / "points.npy")
    k = len(points)
    run_ours(binary, folder, "--values", folder / "values.npy", "--tolerance", tolerance)
    table = numpy.load(folder / "values.npy")
    net = net.double()
    jacobian = torch.func.jacrev(lambda code: net.latent(code[None])[0])
    counts, errors = [], []
    for j in range(points.shape[1]):
        J = jacobian(torch.from_numpy(points[:, j].copy())).detach().numpy()
        used = 0

        def product(v):
            nonlocal used
            used += 1
            return J @ v
        operator = scipy.sparse.linalg.LinearOperator((k, k), matvec=product, dtype=float)
        start = numpy.random.default_rng(j).standard_normal(k)
        values = scipy.sparse.linalg.eigs(operator, k=LEADING, which="LM", tol=tolerance, ncv=20,
                                          v0=start, maxiter=1000)[0]
        counts.append(used)
        ours = table[j, 0:2 * LEADING:2] + 1j * table[j, 1:2 * LEADING:2]
        errors.append(float(numpy.abs(numpy.sort(numpy.abs(values))
                                      - numpy.sort(numpy.abs(ours))).max()))
    mine = float(table[:, 2 * LEADING].mean())
    row = {"name": f"spectra/products/k={k}", "ours_s": None, "peer_s": None,
           "peer": f"ARPACK, SciPy {importlib.metadata.version('scipy')}", "ratio": None,
           "threads": None,
           "detail": {"points": len(counts), "ours": mine, "peer": statistics.mean(counts),
                      "ours_over_peer": mine / statistics.mean(counts),
                      "largest_difference": max(errors),
                      "largest_backward_error": float(table[:, 2 * LEADING + 1].max())}}
    print(f"{row['name']}: {row['detail']}", flush=True)
    return row


def time_clusters(binary, folder, threads, rounds):
    """Rows of radius_clusters."""
    folder.mkdir(parents=True, exist_ok=True)
    cluster.make(folder)

    def seconds(name, count):
        pattern = f"^cluster/{name.replace('/', '_')}/threads={count}/ours/real_time$"
        report = json.loads(run_ours(binary, folder, "--clusters", f"--benchmark_filter={pattern}",
                                     "--benchmark_format=json"))
        run = report["benchmarks"][0]
        return run["real_time"] * UNITS[run["time_unit"]]

    def answer(name, count, path):
        run_ours(binary, folder, "--labels", name.replace("/", "_"), path, count)
    return cluster.rows(folder, seconds, answer, rounds, threads)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", type=pathlib.Path, help="JSON file to write")
    parser.add_argument("--binary", type=pathlib.Path,
                        default="build/bench/benchmarks/benchmark_spectra")
    parser.add_argument("--train", type=pathlib.Path, default="build/bench/examples/train")
    parser.add_argument("--data", type=pathlib.Path,
                        default=os.environ.get("BASIN_DATA"), help="BASIN_DATA")
    parser.add_argument("--folder", type=pathlib.Path, default="build/bench/spectra")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    options = parser.parse_args()
    binary, train, folder = (path.resolve() for path in
                             (options.binary, options.train, options.folder))
    rows = []
    if options.data is None or not (options.data / "mnist").is_dir():
        print("spectra: left out: BASIN_DATA does not name a folder with MNIST's images")
    else:
        mnist = options.data / "mnist"
        net, z = trained_model(train, mnist, folder / "k128", 128, 20, 500)
        rows += [time_spectra(binary, folder / "k128", net, z, threads, options.rounds)
                 for threads in options.threads]
        net, _ = trained_model(train, mnist, folder / "k512", 512, 20, 20)
        rows.append(count_products(binary, folder / "k512", net))
    rows += time_clusters(binary, folder / "cluster", options.threads, options.rounds)
    options.rows.parent.mkdir(parents=True, exist_ok=True)
    options.rows.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
