#!/usr/bin/env python3
"""Time to the attractors of a latent map f = E(D(z)), from 1,000 starts at once.

solvers.py ROWS.json runs basin and loops in PyTorch in turn, on the same models, starts and
threads, in float32, until ||f(z) - z|| < 1e-3 or 3,000 iterations (the paper's rule), and writes

  solvers/time_to_attractors/PEER/STARTS/k=K/threads=T

with STARTS images (codes of images) or noise, and PEER

  pytorch            z = f(z) on the whole batch until every start has arrived
  pytorch_compacted  the same, rows that have arrived left out

each the faster of contiguous and channels-last weights. Ours is basin_preserving with its
defaults; detail has Picard's, Anderson's and two other settings' times, evaluations, and the
shares of starts that end at the centre which Picard's end is nearest to.

It also writes solvers/basin_preserving/PROBLEM: from a grid of starts in the plane, the share of
Picard's evaluations that is spent, and of starts that end where Picard's do, for Newton's
iteration for z^3 = 1, the same relaxed by 0.1, a damped oscillator in a double well (300 x 300
starts in [-2, 2]^2), and the model with k = 2 (100 x 100 over its codes).

The models and starts are those of the folder BASIN_DATA/reference, each with model.safetensors,
starts.npy (1,000 codes of images, then 1,000 noise draws) and centers.npy; without it only
the problems in the plane are measured.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

import numpy
import torch
from safetensors.torch import load_file

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "peers"))
from table3 import Autoencoder, table3  # noqa: E402

UNITS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}
OURS = ("basin_preserving", "network", "bold", "picard", "anderson")
TOLERANCE, ITERATIONS = 1e-3, 3000


def environment():
    """The environment of ours: OPENBLAS_CORETYPE may pin a kernel for other programs."""
    return {key: value for key, value in os.environ.items() if key != "OPENBLAS_CORETYPE"}


def whole_batch(f, z):
    """Ends and evaluations of the loop that waits for its slowest start."""
    for iteration in range(ITERATIONS):
        value = f(z)
        arrived = (value - z).norm(dim=1) < TOLERANCE
        z = value
        if arrived.all():
            break
    return z, len(z) * (iteration + 1)


def compacted(f, z):
    """The same where arrived rows leave."""
    ends, rows = z.clone(), torch.arange(len(z))
    evaluations = 0
    for _ in range(ITERATIONS):
        value = f(z)
        evaluations += len(z)
        arrived = (value - z).norm(dim=1) < TOLERANCE
        if arrived.any():
            ends[rows[arrived]] = value[arrived]
            z, rows = value[~arrived], rows[~arrived]
            if len(rows) == 0:
                break
        else:
            z = value
    return ends, evaluations


LOOPS = {"pytorch": whole_batch, "pytorch_compacted": compacted}


def nearest(states, centers):
    """The index of the centre that each row is nearest to."""
    return numpy.linalg.norm(states[:, None, :] - centers[None], axis=2).argmin(axis=1)


def columns(array, k):
    """States as rows."""
    return array if array.shape[1] == k else array.T


class Model:
    """A reference model: for PyTorch in two layouts, for ours in a folder."""

    def __init__(self, source, folder):
        weights = load_file(source / "model.safetensors")
        self.k = weights["enc.9.weight"].shape[0]
        self.centers = columns(numpy.load(source / "centers.npy"), self.k)
        starts = columns(numpy.load(source / "starts.npy"), self.k).astype(numpy.float32)
        self.starts = {"images": starts[:1000], "noise": starts[1000:]}
        self.nets = {}
        for name, layout in (("nchw", torch.contiguous_format),
                             ("channels_last", torch.channels_last)):
            net = Autoencoder(*table3(self.k))
            net.load_state_dict(weights)
            self.nets[name] = net.to(memory_format=layout)
        self.folder = folder / source.name
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "weights.safetensors").write_bytes(
            (source / "model.safetensors").read_bytes())
        for name, values in self.starts.items():
            numpy.save(self.folder / f"{name}.npy", numpy.asfortranarray(values.T))


def run_ours(binary, *arguments):
    done = subprocess.run([binary, *map(str, arguments)], env=environment(), text=True,
                          capture_output=True)
    if done.returncode != 0:
        raise SystemExit(f"solvers: {binary}: {done.stdout}{done.stderr}")
    return done.stdout


def time_ours(binary, model, name):
    report = json.loads(run_ours(binary, model.folder, f"--benchmark_filter=^{name}/real_time$",
                                 "--benchmark_format=json", "--benchmark_min_time=0.01"))
    run = report["benchmarks"][0]
    return run["real_time"] * UNITS[run["time_unit"]], report["context"]


def measure(binary, model, starts, threads, rounds):
    """Rows of one model, kind of starts and number of threads."""
    torch.set_num_threads(threads)
    z = torch.from_numpy(model.starts[starts])
    seconds, evaluations, ends = {}, {}, {}
    for name in OURS:
        path = model.folder / "answer.npy"
        run_ours(binary, model.folder, "--row", f"{name}/{starts}/threads={threads}", "--output",
                 path)
        answer = numpy.load(path)
        ends[name] = (nearest(answer[:model.k].T, model.centers), answer[model.k + 1] == 1)
        evaluations[name] = int(answer[model.k].sum())
    for _ in range(rounds):
        for name in OURS:
            took, context = time_ours(binary, model, f"{name}/{starts}/threads={threads}")
            seconds.setdefault(name, []).append(took)
        for peer, loop in LOOPS.items():
            for layout, net in model.nets.items():
                with torch.inference_mode():
                    begin = time.perf_counter()
                    reached, evaluations[peer] = loop(net.latent, z)
                    took = time.perf_counter() - begin
                seconds.setdefault((peer, layout), []).append(took)
                ends[peer] = (nearest(reached.numpy(), model.centers), None)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    truth = ends["picard"][0]
    detail = {
        "seconds": {name: medians[name] for name in OURS},
        "evaluations": evaluations,
        "same_attractor": {name: float((end == truth).mean()) for name, (end, _) in ends.items()},
        "converged": {name: float(ends[name][1].mean()) for name in OURS},
        "evaluations_share": evaluations["basin_preserving"] / evaluations["picard"],
        "rounds": rounds, "torch": torch.__version__, "compiler": context.get("compiler"),
        "flags": context.get("flags"), "simd": context.get("simd"),
    }
    rows = []
    for peer in LOOPS:
        layout = min(model.nets, key=lambda name: medians[peer, name])
        theirs, ours = medians[peer, layout], medians["basin_preserving"]
        rows.append({
            "name": f"solvers/time_to_attractors/{peer}/{starts}/k={model.k}/threads={threads}",
            "ours_s": ours, "peer_s": theirs, "peer": f"PyTorch {torch.__version__}, {layout}",
            "ratio": theirs / ours, "threads": threads, "detail": detail})
        print(f"{rows[-1]['name']}: ours {ours:.3g} s (network {medians['network']:.3g}, Picard "
              f"{medians['picard']:.3g}, Anderson {medians['anderson']:.3g}), PyTorch "
              f"{theirs:.4g} s, ratio {theirs / ours:.2f}, network {theirs / medians['network']:.2f}; "
              f"same attractor {detail['same_attractor']}", flush=True)
    return rows


def basins(binary, folder, problem, size):
    """The row of a problem in the plane."""
    report = json.loads(run_ours(binary, folder, "--basins", problem, "--grid", size))
    found = report["default"]
    row = {"name": f"solvers/basin_preserving/{problem}",
           "ours_s": None, "peer_s": None, "peer": "Picard", "ratio": None, "threads": None,
           "detail": {**report, "same_attractor": 1 - found["elsewhere"] / report["starts"],
                      "evaluations_share": found["evaluations"] / report["picard"]["evaluations"]}}
    print(f"{row['name']}: {report}", flush=True)
    return row


def write(path, rows):
    """All rows so far: a run that is stopped leaves what it has."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(rows, indent=1) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", type=pathlib.Path, help="JSON file to write")
    parser.add_argument("--binary", type=pathlib.Path,
                        default="build/bench/benchmarks/benchmark_solvers")
    parser.add_argument("--data", type=pathlib.Path,
                        default=os.environ.get("BASIN_DATA"), help="BASIN_DATA")
    parser.add_argument("--folder", type=pathlib.Path, default="build/bench/solvers")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    options = parser.parse_args()
    binary = options.binary.resolve()
    rows = [basins(binary, options.folder, problem, 300)
            for problem in ("newton", "relaxed_newton", "oscillator")]
    sources = []
    if options.data is None or not (options.data / "reference").is_dir():
        print("solvers: left out: BASIN_DATA does not name a folder with reference models")
    else:
        sources = [source for source in sorted((options.data / "reference").iterdir())
                   if (source / "centers.npy").exists()]
    for source in sources:
        model = Model(source, options.folder.resolve())
        if model.k == 2:
            rows.append(basins(binary, model.folder, f"model_k{model.k}", 100))
        for threads in options.threads:
            for starts in ("images", "noise"):
                rows += measure(binary, model, starts, threads, options.rounds)
                write(options.rows, rows)
    write(options.rows, rows)


main()
