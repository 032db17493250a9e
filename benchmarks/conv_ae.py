#!/usr/bin/env python3
"""Table 3's autoencoder (d = 32, k = 128, 32x32 images, float32): basin against PyTorch.

conv_ae.py ROWS.json runs basin's binary and the peer (peers/conv_ae.py) in turn, round by
round, on the same weights, inputs and number of threads, and writes one row for each of

  conv_ae/forward/N=512/threads=T    f = E(D(z)); likewise N=16 and N=1
  conv_ae/train/N=128/threads=T      one step of Adam on the mean squared error
  conv_ae/jvp/N=64/threads=T         f's value with J v; conv_ae/vjp likewise with J^T u

with the medians of ours and of the peer's fastest variant, ratio = peer_s / ours_s. Before
that it compares the answers, in float and double, and stops where they differ too much.

The binary, benchmark_conv_ae:

  benchmark_conv_ae FOLDER --benchmark_filter=REGEX ...
      Google Benchmark's program of the names NAME/ours, NAME as above, in real time. There is
      conv_ae/forward/N=64/threads=T/ours as well, which jvp and vjp are compared with.
  benchmark_conv_ae FOLDER --row NAME --output FILE.npy [--double]
      writes the answer of a row instead of timing it.

FOLDER has what the peer made: weights.safetensors (PyTorch's names, float32), codes.npy and
tangents.npy (k x 512) and images.npy (1024 x 128), float32 in column-major order, of which a
row uses the first N columns. Answers are float32, or float64 with --double (weights and inputs
converted first): forward k x N; jvp and vjp 2k x N with f's value above J v or J^T u, the
tangents being v and u; train the gradient of mean((F(x) - x)^2) over all parameters before the
step, one column in the order enc.0.weight, enc.0.bias, enc.2.weight, ..., dec.9.bias, each
tensor as it lies in the weights file. A training step is torch.optim.Adam's with lr 5e-4 and
weight_decay 1e-4 (added to the gradient).
"""
import argparse
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys

import numpy

HERE = pathlib.Path(__file__).resolve().parent
ROWS = (("forward", 512), ("forward", 16), ("forward", 1), ("train", 128), ("jvp", 64),
        ("vjp", 64))
UNITS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}
ALLOWED = {"float": 1e-5, "double": 1e-12}
K, D, SIZE = 128, 32, 32


def flops_of(op, n):
    """Floating point operations of a row, padded taps counted. Training is three times a
    reconstruction, less the gradient with respect to the image; J v and J^T u cost as much as
    f again."""
    widths = (1, D, 2 * D, 4 * D, 8 * D)
    small = [(SIZE >> i) ** 2 for i in range(1, 5)]  # positions on the small side of a layer
    layers = [2 * 9 * a * b * at for a, b, at in zip(widths, widths[1:], small)]
    half = sum(layers) + 2 * K * widths[-1] * small[-1]
    return n * {"forward": 2 * half, "jvp": 4 * half, "vjp": 4 * half,
                "train": 6 * half - layers[0]}[op]


def environment():
    """The environment of both sides: OPENBLAS_CORETYPE may pin a kernel for other programs."""
    return {key: value for key, value in os.environ.items() if key != "OPENBLAS_CORETYPE"}


class Peer:
    """A process of peers/conv_ae.py."""

    def __init__(self, folder, threads, log):
        self.process = subprocess.Popen(
            [sys.executable, HERE / "peers" / "conv_ae.py", folder, "--threads", str(threads)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
            env=environment())

    def ask(self, **request):
        """The answer to a request."""
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("conv_ae: the peer ended; see its log beside the binary's inputs")
        return json.loads(line)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Ours:
    """The binary, run anew for each measurement."""

    def __init__(self, binary, folder, seconds):
        self.command = [binary, folder]
        self.seconds = seconds
        self.context = {}

    def run(self, *arguments):
        done = subprocess.run([*self.command, *arguments], env=environment(), text=True,
                              capture_output=True)
        if done.returncode != 0:
            raise SystemExit(f"conv_ae: {self.command[0]} {' '.join(map(str, arguments))}:\n"
                             f"{done.stdout}{done.stderr}")
        return done.stdout

    def time(self, name):
        """Seconds of one call of a row."""
        report = json.loads(self.run(
            f"--benchmark_filter=^{re.escape(name)}/ours(/real_time)?$",
            "--benchmark_format=json", f"--benchmark_min_time={self.seconds}"))
        if len(report["benchmarks"]) != 1 or report["benchmarks"][0].get("error_occurred"):
            raise SystemExit(f"conv_ae: no single result for {name}: {report['benchmarks']}")
        self.context = report["context"]
        run = report["benchmarks"][0]
        return run["real_time"] * UNITS[run["time_unit"]]

    def answer(self, name, path, double):
        """The answer of a row."""
        self.run("--row", name, "--output", path, *(["--double"] if double else []))
        return numpy.load(path)


def row_name(op, n, threads):
    return f"conv_ae/{op}/N={n}/threads={threads}"


def difference(ours, peer, op):
    """Norm-wise relative difference; for a value with a derivative the larger of the two."""
    if ours.shape != peer.shape or ours.dtype != peer.dtype:
        raise SystemExit(f"conv_ae: {op}: ours is {ours.dtype} {ours.shape}, "
                         f"the peer's {peer.dtype} {peer.shape}")
    parts = 2 if op in ("jvp", "vjp") else 1
    pairs = zip(numpy.split(ours, parts), numpy.split(peer, parts))
    return max(float(numpy.linalg.norm(a.astype(float) - b) / numpy.linalg.norm(b.astype(float)))
               for a, b in pairs)


def compare(ours, peer, folder, threads):
    """Differences of all answers: {(op, n): {"float": ..., "double": ...}}."""
    differences = {}
    for op, n in ROWS:
        found = {}
        for scalar, allowed in ALLOWED.items():
            paths = [folder / f"{op}_{n}_{who}.npy" for who in ("ours", "peer")]
            double = scalar == "double"
            reply = peer.ask(op=op, n=n, output=str(paths[1]), double=double)
            if "error" in reply:
                raise SystemExit(f"conv_ae: the peer on {op}: {reply['error']}")
            mine = ours.answer(row_name(op, n, threads), paths[0], double)
            found[scalar] = difference(mine, numpy.load(paths[1]), op)
            if not found[scalar] <= allowed:
                raise SystemExit(f"conv_ae: {row_name(op, n, threads)} differs from PyTorch by "
                                 f"{found[scalar]:.1e} in {scalar}, {allowed:.0e} is allowed")
        differences[op, n] = found
    return differences


def measure(ours, peer, threads, rounds, variants):
    """Times of ours and of each variant, and the ceiling in GFLOP/s, for every round."""
    times, ceilings, failed = {}, [], set()
    for done in range(rounds):
        ceilings += peer.ask(op="ceiling", repeat=3)["gflops"]
        for op, n in (*ROWS, ("forward", 64)):
            here = times.setdefault((op, n), {})
            here.setdefault("ours", []).append(ours.time(row_name(op, n, threads)))
            for variant in variants[op] if (op, n) in ROWS else ():
                if (op, variant) in failed:
                    continue
                reply = peer.ask(op=op, n=n, variant=variant, repeat=1)
                if "error" in reply:
                    print(f"conv_ae: left out: {op}, {variant}: {reply['error'][:200]}")
                    failed.add((op, variant))
                else:
                    here.setdefault(variant, []).extend(reply["seconds"])
        print(f"conv_ae: round {done + 1} of {rounds} on {threads} thread(s)", flush=True)
    return times, ceilings


def processor():
    """The processor's name where the system tells."""
    try:
        found = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    except OSError:
        found = None
    return found.group(1) if found else "unknown"


def make_row(op, n, threads, times, ceilings, differences, info, context):
    """One row of the results, and its line on the screen."""
    medians = {who: statistics.median(values) for who, values in times[op, n].items()}
    mine = medians.pop("ours")
    if not medians:
        raise SystemExit(f"conv_ae: no variant of the peer's {op} ran")
    fastest = min(medians, key=medians.get)
    ceiling = statistics.median(ceilings)
    share = flops_of(op, n) / (1e9 * ceiling)
    detail = {
        "share_of_ceiling": share / mine, "peer_share_of_ceiling": share / medians[fastest],
        "ceiling_gflops": ceiling, "mflop": flops_of(op, n) / 1e6,
        "max_difference": differences[op, n]["float"],
        "max_difference_double": differences[op, n]["double"],
        "peer_variants_s": medians, "rounds": len(times[op, n]["ours"]),
        "ours_range_s": [min(times[op, n]["ours"]), max(times[op, n]["ours"])],
        "peer_range_s": [min(times[op, n][fastest]), max(times[op, n][fastest])],
        "torch": info["torch"], "torch_cpu": info["cpu"], "processor": processor(),
    }
    if op in ("jvp", "vjp"):
        detail["forward_evaluations"] = mine / statistics.median(times["forward", n]["ours"])
    for key in ("date", "num_cpus", "compiler", "flags", "eigen", "simd", "basin", "load_avg"):
        if key in context:
            detail[key] = context[key]
    row = {"name": row_name(op, n, threads), "ours_s": mine, "peer_s": medians[fastest],
           "peer": f"PyTorch {info['torch']}, {fastest}", "ratio": medians[fastest] / mine,
           "threads": threads, "detail": detail}
    line = (f"{row['name']}: ours {mine:.4g} s, {row['peer']} {row['peer_s']:.4g} s, "
            f"ratio {row['ratio']:.3f}, {100 * detail['share_of_ceiling']:.0f} % of the ceiling")
    if "forward_evaluations" in detail:
        line += f", {detail['forward_evaluations']:.2f} forward evaluations"
    print(line, flush=True)
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", type=pathlib.Path, help="JSON file to write")
    parser.add_argument("--binary", type=pathlib.Path,
                        default="build/bench/benchmarks/benchmark_conv_ae")
    parser.add_argument("--folder", type=pathlib.Path, default="build/bench/conv_ae",
                        help="where inputs, answers and the peer's log are kept")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--seconds", type=float, default=0.1,
                        help="least duration of a measurement of ours")
    options = parser.parse_args()

    folder = options.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run([sys.executable, HERE / "peers" / "conv_ae.py", folder, "--make"], check=True,
                   env=environment())
    ours = Ours(options.binary.resolve(), folder, options.seconds)
    rows = []
    for threads in options.threads:
        if threads > (os.cpu_count() or 1):
            print(f"conv_ae: left out: {threads} threads, there are {os.cpu_count()} processors")
            continue
        with open(folder / f"peer_{threads}.log", "w") as log:
            peer = Peer(folder, threads, log)
            info = peer.ask(op="info")
            differences = compare(ours, peer, folder, threads)
            times, ceilings = measure(ours, peer, threads, options.rounds, info["variants"])
            peer.close()
        rows += [make_row(op, n, threads, times, ceilings, differences, info, ours.context)
                 for op, n in ROWS]
    options.rows.parent.mkdir(parents=True, exist_ok=True)
    with open(options.rows, "w") as file:
        json.dump(rows, file, indent=1)
        file.write("\n")


main()
