#!/usr/bin/env python3
"""Time to the attractors of a latent map f = E(D(z)), from 1,000 starts at once.

solvers.py ROWS.json runs basin and loops in PyTorch in turn, on the same models, starts and
threads, in float32, until ||f(z) - z|| < 1e-3 or 3,000 iterations (the paper's rule), and writes

  solvers/time_to_attractors/PEER/STARTS/k=K/threads=T

with STARTS images (codes of images) or noise, and PEER

  pytorch            z = f(z) on the whole batch until every start has arrived
  pytorch_compacted  the same, rows that have arrived left out

each with contiguous or channels-last weights, whichever is the faster in a few evaluations
before. Ours is basin_preserving with its defaults; detail has automatic's, Picard's, Anderson's
and two other settings' times, evaluations, and the shares of starts that end at the centre which
Picard's end is nearest to. Further PEERs are

  torchdeq, jaxopt   Anderson's acceleration of window 5 and Broyden's method, 300 iterations

whose row compares the time for every start that is brought to its attractor (the faster of the
two methods; of jaxopt for the first 100 starts); detail has the shares of starts that are lost (no
fixed point is found) and misdirected.

It also writes solvers/basin_preserving/PROBLEM and solvers/automatic/PROBLEM: from a grid of
starts in the plane, the share of Picard's evaluations that is spent (slow_share: by the starts of
attractors whose rate is at least 0.9), and of starts that end where Picard's do, for Newton's
iteration for z^3 = 1, the same relaxed by 0.1, a damped oscillator in a double well (--grid x
--grid starts in [-2, 2]^2), and the model with k = 2 (--model-grid, over its codes).

The models and starts are those of the folder BASIN_DATA/reference, each with model.safetensors,
starts.npy (1,000 codes of images, then 1,000 noise draws) and centers.npy, and one with k = 128
that is trained on BASIN_DATA/mnist (examples/train, some minutes, once), whose starts are the
codes of the first 1,000 images and 1,000 normal draws, and whose centres are where Picard's
iteration from them ends at 1e-5; without BASIN_DATA only the problems in the plane are measured.
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
import torch
from safetensors.torch import load_file
from torchdeq.solver import get_solver

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "peers"))
from learning import read_images  # noqa: E402
from table3 import Autoencoder, table3  # noqa: E402

UNITS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}
OURS = ("basin_preserving", "automatic", "network", "bold", "picard", "anderson")
METHODS = ("anderson", "broyden")  # of torchdeq and jaxopt
OF_JAXOPT = 100  # of the starts: its transposed convolutions are slow on a CPU
TOLERANCE, ITERATIONS, OF_METHODS = 1e-3, 3000, 300


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
    else:
        ends[rows] = z
    return ends, evaluations


def fastest_layout(nets, z):
    """The name of the layout whose evaluation takes the least time, of five in turn."""
    seconds = {name: [] for name in nets}
    with torch.inference_mode():
        for _ in range(6):
            for name, net in nets.items():
                begin = time.perf_counter()
                net.latent(z)
                seconds[name].append(time.perf_counter() - begin)
    return min(nets, key=lambda name: statistics.median(seconds[name][1:]))


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
        self.centers = None  # until find_centers
        self.nets = {}
        for name, layout in (("nchw", torch.contiguous_format),
                             ("channels_last", torch.channels_last)):
            net = Autoencoder(*table3(self.k))
            net.load_state_dict(weights)
            self.nets[name] = net.to(memory_format=layout)
        self.folder = folder / source.name
        self.folder.mkdir(parents=True, exist_ok=True)
        self.weights = self.folder / "weights.safetensors"
        self.weights.write_bytes((source / "model.safetensors").read_bytes())

    def start_from(self, images, noise):
        """Takes the starts, as rows."""
        self.starts = {"images": images.astype(numpy.float32), "noise": noise.astype(numpy.float32)}
        for name, values in self.starts.items():
            numpy.save(self.folder / f"{name}.npy", numpy.asfortranarray(values.T))

    def find_centers(self, binary):
        """Takes for centres what Picard's iteration from every start ends at."""
        ends = []
        for starts in self.starts:
            path = self.folder / "answer.npy"
            run_ours(binary, self.folder, "--row", f"picard/{starts}/threads=2", "--output", path,
                     "--residual", 1e-5)
            answer = numpy.load(path)
            ends.append(answer[:self.k, answer[self.k + 1] == 1].T)
        ends = numpy.concatenate(ends)
        centers = []
        for end in ends:  # by leaders; what a residual of 1e-5 leaves is less than 0.01
            if not centers or numpy.linalg.norm(numpy.array(centers) - end, axis=1).min() > 0.1:
                centers.append(end)
        self.centers = numpy.array(centers)
        print(f"solvers: k={self.k}: {len(centers)} centres", flush=True)

    def residuals(self, states):
        """||f(z) - z|| of every row."""
        with torch.inference_mode():
            z = torch.from_numpy(numpy.ascontiguousarray(states, dtype=numpy.float32))
            return (self.nets["nchw"].latent(z) - z).norm(dim=1).numpy()


def reference_model(source, folder):
    """One of BASIN_DATA/reference."""
    model = Model(source, folder)
    model.centers = columns(numpy.load(source / "centers.npy"), model.k)
    starts = columns(numpy.load(source / "starts.npy"), model.k)
    model.start_from(starts[:1000], starts[1000:])
    return model


def trained_model(binary, train, mnist, folder):
    """One with k = 128, trained here unless an earlier run did."""
    source = folder / "trained_k128"
    images = next(mnist.glob("*images*"))
    if not (source / "model.safetensors").exists():
        print("solvers: training a model with k = 128", flush=True)
        subprocess.run([train, "--images", images, "--width", "32", "--latent", "128", "--epochs",
                        "20", "--seed", "0", "--quiet", "--out", source], env=environment(),
                       check=True)
    model = Model(source, folder)
    with torch.inference_mode():
        codes = model.nets["nchw"].enc(read_images(images)[:1000]).numpy()
    noise = numpy.random.default_rng(0).standard_normal((1000, model.k))
    model.start_from(codes, noise)
    model.find_centers(binary)
    return model


def by_torchdeq(model, method, starts, rounds):
    """Seconds of each round, and the ends."""
    solver = get_solver(method)
    settings = {"m": 5} if method == "anderson" else {}
    seconds = []
    net = model.nets[fastest_layout(model.nets, torch.from_numpy(model.starts[starts]))]
    for _ in range(rounds):
        with torch.inference_mode():
            begin = time.perf_counter()
            ends = solver(net.latent, torch.from_numpy(model.starts[starts]),
                          max_iter=OF_METHODS, tol=TOLERANCE, **settings)[0]
            seconds.append(time.perf_counter() - begin)
    return seconds, ends.numpy()


def by_jaxopt(model, method, starts, rounds, threads):
    """The same."""
    files = {name: model.folder / f"jax_{name}.npy" for name in ("starts", "values", "ends")}
    numpy.save(files["starts"], model.starts[starts][:OF_JAXOPT])
    with torch.inference_mode():
        z = torch.from_numpy(model.starts[starts][:OF_JAXOPT])
        numpy.save(files["values"], model.nets["nchw"].latent(z).numpy())
    script = pathlib.Path(__file__).resolve().parent / "peers" / "jax_solver.py"
    done = json.loads(subprocess.run(
        [sys.executable, script, model.weights, files["starts"], files["ends"], "--values",
         files["values"], "--solver", method, "--threads", str(threads), "--rounds", str(rounds),
         "--tolerance", str(TOLERANCE), "--iterations", str(OF_METHODS)], env=environment(),
        check=True, text=True, capture_output=True).stdout)
    if not done["apart"] < 1e-3 * numpy.abs(model.starts[starts]).max():
        raise SystemExit(f"solvers: JAX's f differs from PyTorch's by {done['apart']}")
    return done["seconds"], numpy.load(files["ends"])


def methods(model, starts, threads, rounds, ours, truth):
    """Rows of torchdeq and jaxopt. `ours`: seconds, and the starts brought to their attractor."""
    torch.set_num_threads(threads)
    rows = []
    for peer in ("torchdeq", "jaxopt"):
        detail = {}
        for method in METHODS:
            if peer == "torchdeq":
                seconds, ends = by_torchdeq(model, method, starts, rounds)
            else:
                seconds, ends = by_jaxopt(model, method, starts, rounds, threads)
            # The last step of the residual that was tested may be a plain one.
            arrived = model.residuals(ends) <= 1.01 * TOLERANCE
            right = arrived & (nearest(ends, model.centers) == truth[:len(ends)])
            detail[method] = {
                "seconds": statistics.median(seconds), "brought": int(right.sum()),
                "lost": float((~arrived).mean()), "misdirected": float((arrived & ~right).mean())}
        def cost(method):
            return detail[method]["seconds"] / max(1, detail[method]["brought"])
        best = min(METHODS, key=cost)
        rows.append({
            "name": f"solvers/time_to_attractors/{peer}/{starts}/k={model.k}/threads={threads}",
            "ours_s": ours[0] / ours[1], "peer_s": cost(best),
            "peer": f"{peer} {importlib.metadata.version(peer)}, {best}",
            "ratio": cost(best) * ours[1] / ours[0], "threads": threads,
            "detail": {**detail, "brought": ours[1], "rounds": rounds}})
        print(f"{rows[-1]['name']}: ratio {rows[-1]['ratio']:.2f}, {detail}", flush=True)
    return rows


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


def measure(binary, model, starts, threads, rounds, loops_only):
    """Rows of one model, kind of starts and number of threads."""
    torch.set_num_threads(threads)
    z = torch.from_numpy(model.starts[starts])
    layout = fastest_layout(model.nets, z)
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
            with torch.inference_mode():
                begin = time.perf_counter()
                reached, evaluations[peer] = loop(model.nets[layout].latent, z)
                took = time.perf_counter() - begin
            seconds.setdefault(peer, []).append(took)
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
        theirs, ours = medians[peer], medians["basin_preserving"]
        rows.append({
            "name": f"solvers/time_to_attractors/{peer}/{starts}/k={model.k}/threads={threads}",
            "ours_s": ours, "peer_s": theirs, "peer": f"PyTorch {torch.__version__}, {layout}",
            "ratio": theirs / ours, "threads": threads, "detail": detail})
        print(f"{rows[-1]['name']}: ours {ours:.3g} s (network {medians['network']:.3g}, Picard "
              f"{medians['picard']:.3g}, Anderson {medians['anderson']:.3g}), PyTorch "
              f"{theirs:.4g} s, ratio {theirs / ours:.2f}, network {theirs / medians['network']:.2f}; "
              f"same attractor {detail['same_attractor']}, evaluations {evaluations}", flush=True)
    if loops_only:
        return rows
    brought = int(((ends["basin_preserving"][0] == truth) & ends["basin_preserving"][1]).sum())
    return rows + methods(model, starts, threads, rounds, (medians["basin_preserving"], brought),
                          truth)


def basins(binary, folder, problem, size):
    """The rows of a problem in the plane."""
    report = json.loads(run_ours(binary, folder, "--basins", problem, "--grid", size))
    told = {name: {key: value for key, value in found.items() if key != "exceptions"}
            for name, found in report.items() if isinstance(found, dict)}
    print(f"solvers: {problem}, {report['starts']} starts: {told}", flush=True)
    rows = []
    for accelerator in ("basin_preserving", "automatic"):
        found = report[accelerator]
        rows.append({
            "name": f"solvers/{accelerator}/{problem}", "ours_s": None, "peer_s": None,
            "peer": "Picard", "ratio": None, "threads": None,
            "detail": {**report, "same_attractor": 1 - found["elsewhere"] / report["starts"],
                       "evaluations_share": found["evaluations"] / report["picard"]["evaluations"],
                       "slow_share": found["slow_share"]}})
    return rows


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
    parser.add_argument("--train", type=pathlib.Path, default="build/bench/examples/train")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--loops-only", action="store_true", help="without torchdeq and jaxopt")
    parser.add_argument("--grid", type=int, default=317)
    parser.add_argument("--model-grid", type=int, default=100, help="0: left out")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    options = parser.parse_args()
    binary = options.binary.resolve()
    rows = []
    for problem in ("newton", "relaxed_newton", "oscillator"):
        rows += basins(binary, options.folder, problem, options.grid)
    models = []
    folder = options.folder.resolve()
    if options.data is None or not (options.data / "reference").is_dir():
        print("solvers: left out: BASIN_DATA does not name a folder with reference models")
    else:
        models = [reference_model(source, folder)
                  for source in sorted((options.data / "reference").iterdir())
                  if (source / "centers.npy").exists()]
    if options.data is not None and (options.data / "mnist").is_dir():
        models.append(trained_model(binary, options.train.resolve(), options.data / "mnist", folder))
    for threads in options.threads:
        for model in sorted(models, key=lambda m: m.k):
            for starts in ("images", "noise"):
                rows += measure(binary, model, starts, threads, options.rounds,
                                options.loops_only)
                write(options.rows, rows)
    for model in models:
        if model.k == 2 and options.model_grid > 0:
            rows += basins(binary, model.folder, "model_k2", options.model_grid)
    write(options.rows, rows)


if __name__ == "__main__":
    main()
