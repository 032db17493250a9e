#!/usr/bin/env python3
"""Sparse coding and scores: basin against scikit-learn and FAISS.

sparse.py ROWS.json runs both sides in turn and writes

  omp/paper/threads=T        4,096 x 4,096 Gaussian atoms, 500 targets, 205 atoms
  omp/small/threads=T        128 x 1,024, 2,000 targets, 32 atoms
  omp/coherent/threads=T     1,024 x 2,048 atoms of coherence near 0.5, 300 targets, 64 atoms
  omp/attractors/threads=T   what 1,000 images end at under BASIN_DATA/reference/table3_k16, decoded, most
                             of them near duplicates; 300 MNIST images as targets, 32 atoms

against scikit-learn's orthogonal_mp_gram, from the same Gram matrix (in column order, which it
copies for every target) and the same products of atoms and targets, in float. scikit-learn takes
so long that it is timed on fewer targets; times are per target. In detail: `plain_s`, batch pursuit
that brings all correlations up to date in every step, of ours; `with_products_s`, with the products
of atoms and targets; how many targets have other atoms than a pursuit in double by its definition
(`other_atoms`, over the first ones), and by how much the squared error of reconstruction
exceeds scikit-learn's, at most, relative to it (`worse_than_peer`).

The rows knn/sklearn, knn/faiss and trajectory_score are those of knn.py.
"""
import argparse
import gzip
import json
import os
import pathlib
import statistics
import subprocess
import time
import warnings

import numpy

UNITS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}


def environment():
    """The environment of ours: OPENBLAS_CORETYPE may pin a kernel for other programs."""
    return {key: value for key, value in os.environ.items() if key != "OPENBLAS_CORETYPE"}


def run_ours(binary, *arguments):
    done = subprocess.run([binary, *map(str, arguments)], env=environment(), text=True,
                          capture_output=True)
    if done.returncode != 0:
        raise SystemExit(f"sparse: {binary}: {done.stdout}{done.stderr}")
    return done.stdout


def seconds(binary, folder, atoms, what, threads):
    report = json.loads(run_ours(binary, folder, atoms,
                                 f"--benchmark_filter=^{what}/threads={threads}/real_time$",
                                 "--benchmark_format=json", "--benchmark_min_time=0.01"))
    run = report["benchmarks"][0]
    return run["real_time"] * UNITS[run["time_unit"]]


def unit(columns):
    return columns / numpy.linalg.norm(columns, axis=0)


def gaussian(rows, atoms, targets, alike=0.0):
    random = numpy.random.default_rng(3)
    own, common = random.standard_normal((rows, atoms)), random.standard_normal((rows, 1))
    return (unit(numpy.sqrt(1 - alike) * own + numpy.sqrt(alike) * common),
            random.standard_normal((rows, targets)))


def attractors(data, atoms, targets):
    """Decoded ends of images, and images."""
    import torch
    import solvers
    model = solvers.reference_model(data / "reference" / "table3_k16", pathlib.Path("build/bench/sparse"))
    net = model.nets["nchw"]
    with torch.inference_mode():
        z = torch.from_numpy(numpy.ascontiguousarray(model.starts["images"][:atoms]))
        active = torch.arange(len(z))
        for _ in range(3000):  # the paper's rule: a squared step below 1e-6
            f = net.latent(z[active])
            steps = ((f - z[active]) ** 2).sum(1)
            z[active] = f
            active = active[steps >= 1e-6]
            if len(active) == 0:
                break
        images = net.dec(z).flatten(1).numpy().T
    with gzip.open(data / "mnist" / "t10k-images-idx3-ubyte.gz") as file:
        grey = numpy.frombuffer(file.read(), numpy.uint8, offset=16).reshape(-1, 28, 28)
    aims = numpy.pad(grey[:targets] / 255, ((0, 0), (2, 2), (2, 2))).reshape(targets, -1).T
    return unit(images.astype(float)), aims


def make(folder, atoms, targets):
    folder.mkdir(parents=True, exist_ok=True)
    A = numpy.asfortranarray(atoms, dtype=numpy.float32)
    X = numpy.asfortranarray(targets, dtype=numpy.float32)
    G, B = numpy.asfortranarray(A.T @ A), numpy.asfortranarray(A.T @ X)
    for name, values in {"atoms": A, "targets": X, "gram": G, "products": B}.items():
        numpy.save(folder / f"{name}.npy", values)
    return A, X, G, B


def squared_errors(A, X, support, coefficients):
    errors = []
    for j in range(support.shape[1]):
        chosen = support[:, j] >= 0
        left = X[:, j].astype(float) - A[:, support[chosen, j]].astype(float) @ coefficients[
            chosen, j].astype(float)
        errors.append(left @ left)
    return numpy.array(errors)


def measure(binary, name, folder, atoms, targets, sparsity, peer_targets, checked, threads, rounds):
    """The rows of one dictionary."""
    import sklearn
    from sklearn.linear_model import orthogonal_mp_gram
    from threadpoolctl import threadpool_limits
    A, X, G, B = make(folder, atoms, targets)
    # Ours against the definition in double, of the first targets.
    first = folder / "first"
    make(first, atoms, targets[:, :checked])
    run_ours(binary, first, sparsity, "--answer", first)
    support = {form: numpy.load(first / f"{form}_atoms.npy").astype(int)
               for form in ("products", "atoms", "double")}
    codes = {form: numpy.load(first / f"{form}_codes.npy") for form in ("products", "atoms")}
    other = {form: int((support[form] != support["double"]).any(0).sum()) for form in codes}
    warnings.filterwarnings("ignore")
    rows = []
    for count in threads:
        ours, plain, whole, peer = [], [], [], []
        for _ in range(rounds):
            ours.append(seconds(binary, folder, sparsity, "products", count) / X.shape[1])
            plain.append(seconds(binary, folder, sparsity, "plain", count) / X.shape[1])
            whole.append(seconds(binary, folder, sparsity, "atoms", count) / X.shape[1])
            with threadpool_limits(count):
                begin = time.perf_counter()
                answer = orthogonal_mp_gram(G, B[:, :peer_targets], n_nonzero_coefs=sparsity)
                peer.append((time.perf_counter() - begin) / peer_targets)
        compared = min(peer_targets, checked)
        left = X[:, :compared].astype(float) - A.astype(float) @ answer[:, :compared].astype(float)
        his = (left ** 2).sum(0)
        worse = {form: squared_errors(A, X, support[form][:, :compared],
                                      codes[form][:, :compared]) / his - 1 for form in codes}
        mine_s, his_s = statistics.median(ours), statistics.median(peer)
        rows.append({
            "name": f"omp/{name}/threads={count}", "ours_s": mine_s, "peer_s": his_s,
            "ratio": his_s / mine_s, "peer": f"scikit-learn {sklearn.__version__}",
            "threads": count,
            "detail": {"rows": A.shape[0], "dictionary": A.shape[1], "targets": X.shape[1],
                       "peer_targets": peer_targets, "atoms": sparsity,
                       "plain_s": statistics.median(plain),
                       "with_products_s": statistics.median(whole), "checked": checked,
                       "other_atoms": other["products"],
                       "other_atoms_with_products": other["atoms"],
                       "worse_than_peer": float(worse["products"].max()),
                       "worse_than_peer_with_products": float(worse["atoms"].max()),
                       "rounds": rounds,
                       "ours_range_s": [min(ours), max(ours)],
                       "peer_range_s": [min(peer), max(peer)]}})
        print(f"{rows[-1]['name']}: ours {mine_s * 1e3:.4g} ms a target, plain "
              f"{statistics.median(plain) * 1e3:.4g}, {rows[-1]['peer']} {his_s * 1e3:.4g}, ratio "
              f"{his_s / mine_s:.1f}, {rows[-1]['detail']}", flush=True)
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", type=pathlib.Path, help="JSON file to write")
    parser.add_argument("--binary", type=pathlib.Path,
                        default="build/bench/benchmarks/benchmark_sparse")
    parser.add_argument("--data", type=pathlib.Path, default=os.environ.get("BASIN_DATA"))
    parser.add_argument("--folder", type=pathlib.Path, default="build/bench/sparse")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--only", nargs="+", default=["paper", "small", "coherent", "attractors",
                                                      "knn", "trajectory_score"])
    options = parser.parse_args()
    binary, folder = options.binary.resolve(), options.folder.resolve()
    rows = []

    def write(more):
        rows.extend(more)
        options.rows.parent.mkdir(parents=True, exist_ok=True)
        options.rows.write_text(json.dumps(rows, indent=1) + "\n")

    problems = {"small": (lambda: gaussian(128, 1024, 2000), 32, 100, 200),
                "coherent": (lambda: gaussian(1024, 2048, 300, 0.5), 64, 10, 50),
                "paper": (lambda: gaussian(4096, 4096, 500), 205, 5, 40)}
    if options.data is not None and (options.data / "reference" / "table3_k16").is_dir():
        problems["attractors"] = (lambda: attractors(options.data, 1000, 300), 32, 30, 50)
    else:
        print("sparse: omp/attractors is left out: BASIN_DATA does not name reference models")
    for name, (problem, sparsity, peer_targets, checked) in problems.items():
        if name in options.only:
            write(measure(binary, name, folder / name, *problem(), sparsity, peer_targets, checked,
                          options.threads, options.rounds))
    program = binary.parent / "benchmark_knn"
    if program.exists():
        import knn
        if "knn" in options.only:
            write(knn.rows(program, folder.parent / "knn", options.threads))
        if "trajectory_score" in options.only:
            write(knn.trajectory_rows(program, options.threads))


if __name__ == "__main__":
    main()
