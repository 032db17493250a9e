#!/usr/bin/env python3
"""Turns Google Benchmark's JSON into rows of ours against a peer.

rows.py GOOGLE.json ROWS.json: pairs NAME/ours[/ARGUMENT...] with NAME/peer[/ARGUMENT...] and
writes the medians of the interleaved repetitions, ratio = peer_s / ours_s.
"""
import json
import statistics
import sys

PEERS = {
    "solver/overhead": "Eigen loop by hand that stops by every column's residual",
    "solver/work_saved": "Eigen loop by hand that waits for the slowest column",
    "solver/small_map": "per-point loop by hand in C++",
    "solvers/kinsol": "KINSOL, Anderson's acceleration with the same window",
}
UNITS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}
KNOWN = {"name", "run_name", "run_type", "repetitions", "repetition_index", "threads", "iterations",
         "real_time", "cpu_time", "time_unit", "family_index", "per_family_instance_index"}


def peer_of(name):
    """The peer of a row, or of the rows that it is one of."""
    return PEERS.get(name) or PEERS[name.rsplit("/", 1)[0]]


def main():
    source, target = sys.argv[1:3]
    with open(source) as file:
        report = json.load(file)
    times, details = {}, {}
    for run in report["benchmarks"]:
        if run["run_type"] != "iteration":
            continue
        parts = run["run_name"].removesuffix("/real_time").split("/")
        who = next(i for i, part in enumerate(parts) if part in ("ours", "peer"))
        key = ("/".join(parts[:who]), tuple(parts[who + 1:]))
        times.setdefault(key, {}).setdefault(parts[who], []).append(
            run["real_time"] * UNITS[run["time_unit"]])
        details.setdefault(key, {}).update({k: v for k, v in run.items() if k not in KNOWN})
    context = report["context"]
    machine = {k: context[k] for k in ("date", "num_cpus", "compiler", "flags", "eigen", "simd",
                                       "basin", "sundials", "load_avg") if k in context}
    rows = []
    for (name, _), pair in times.items():
        ours, peer = (statistics.median(pair[who]) for who in ("ours", "peer"))
        detail = details[name, _]
        threads = int(detail.pop("workers", 1))
        rows.append({"name": name, "ours_s": ours, "peer_s": peer, "peer": peer_of(name),
                     "ratio": peer / ours, "threads": threads,
                     "detail": {**detail, "repetitions": len(pair["ours"]),
                                "ours_range_s": [min(pair["ours"]), max(pair["ours"])],
                                "peer_range_s": [min(pair["peer"]), max(pair["peer"])], **machine}})
        print(f"{name} on {threads} thread(s): ours {ours:.4g} s, peer {peer:.4g} s, "
              f"ratio {peer / ours:.3f}, ours / peer {ours / peer:.3f}")
    with open(target, "w") as file:
        json.dump(rows, file, indent=1)
        file.write("\n")


main()
