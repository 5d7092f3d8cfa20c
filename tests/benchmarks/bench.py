"""Everything that `palimpsest bench` measures, in one table: each figure beside its plain Python counterpart.

    python tests/benchmarks/bench.py --programs FOLDER --model FOLDER --text FILE [--rounds N] [NAME...]

Ours and theirs run one after the other, `--rounds` times, and the least time of each counts, so that what else the machine
does falls on both. "bound" is the share of the machine's own rate of matrix products that ours reaches, by a probe of the
same kind (dtype, library, threads) in the same process: the part of the time that the products alone would take. Clock times
are for two cores or more; one thread where the table says so.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent

# (what the table calls it, our program, our figure, their script, their figure); None: there is no counterpart.
ROWS = [
    ("training step, float32, MKL", "training", "float32_mkl", "training_reference.py", "float32"),
    ("training step, float32, oneDNN", "training", "float32_onednn", "training_reference.py", "float32"),
    ("training step, bfloat16 autocast, against float32", "training", "bfloat16_autocast", "training_reference.py",
     "float32"),
    ("training step, bfloat16 autocast", "training", "bfloat16_autocast", "training_reference.py", "bfloat16_autocast"),
    ("ROME edit, one thread", "rome", "rome_edit", "rome_reference_benchmark.py", "rome_edit"),
    ("MEMIT of 50 facts in one batch, one thread", "spread", "memit", "spread_reference_benchmark.py", "memit"),
    ("AlphaEdit of 50 facts in one batch, one thread", "spread", "alphaedit", "spread_reference_benchmark.py",
     "alphaedit"),
    ("retention probe, 100 facts x 50 tokens", "runtime", "generation", "runtime_reference.py", "generation"),
    ("second moments of 5 layers, 8,000 tokens", "runtime", "second_moments", "runtime_reference.py", "second_moments"),
    ("open to first logits of 10 tokens", "runtime", "open_to_first_logits", None, None),
]


def ours(programs, program, figure, environment):
    """Seconds, processor seconds and counters of one figure of a Google Benchmark program."""
    done = subprocess.run(
        [programs / f"{program}_benchmark", f"--benchmark_filter={figure}", "--benchmark_format=json"],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{program}_benchmark ended with status {done.returncode}\n{done.stderr}")
    run = json.loads(done.stdout)["benchmarks"][0]
    if run.get("error_occurred"):
        return {"refused": run["error_message"]}
    unit = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}[run["time_unit"]]
    return {"seconds": run["real_time"] * unit, **{k: v for k, v in run.items() if isinstance(v, float)}}


def theirs(script, figure, environment):
    done = subprocess.run([sys.executable, HERE / script, figure], env=environment,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{script} ended with status {done.returncode}\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def better(old, new):
    """The run with less processor time; the least clock time of both."""
    if old is None or "refused" in new:
        return new
    best = dict(min(old, new, key=lambda run: run["cpu_s"]))
    best["seconds"] = min(old["seconds"], new["seconds"])
    return best


def duration(seconds):
    return f"{seconds:.2f} s" if seconds >= 1 else f"{1000 * seconds:.0f} ms"


def line(what, mine, reference):
    if "refused" in mine:
        return f"{what:<50} not on this machine: {mine['refused']}"
    text = f"{what:<50} {duration(mine['seconds']):>9} {duration(mine['cpu_s']):>9}"
    if reference is None:
        text += f" {'':>9} {'':>9} {'':>7} {'':>7}"
    else:
        text += (f" {duration(reference['seconds']):>9} {duration(reference['cpu_s']):>9}"
                 f" {reference['seconds'] / mine['seconds']:>6.2f}x {reference['cpu_s'] / mine['cpu_s']:>6.2f}x")
    share = f"{100 * mine['share']:.0f} %" if "share" in mine else ""
    probes = f"{mine['gemm_gflops']:.0f}" + (f" / {reference['gemm_gflops']:.0f}" if reference else "")
    return f"{text} {share:>6} {probes:>10}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--programs", type=pathlib.Path, required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--text", required=True)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("names", nargs="*", help="figures to measure, e.g. rome_edit (default: all)")
    arguments = parser.parse_args()
    environment = {**os.environ, "PALIMPSEST_BENCH_MODEL": arguments.model, "PALIMPSEST_BENCH_TEXT": arguments.text,
                   "MKL_DYNAMIC": "FALSE", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    rows = [row for row in ROWS if not arguments.names or row[2] in arguments.names]
    if not rows:
        sys.exit(f"no such figure; there are {', '.join(dict.fromkeys(row[2] for row in ROWS))}")
    mine, reference = {}, {}
    for number in range(arguments.rounds):
        for what, program, figure, script, counterpart in rows:
            print(f"round {number + 1} of {arguments.rounds}: {what}", file=sys.stderr, flush=True)
            # A figure that stands in several rows is measured once a round.
            if (number, program, figure) not in mine:
                mine[number, program, figure] = ours(arguments.programs, program, figure, environment)
            if script and (number, script, counterpart) not in reference:
                reference[number, script, counterpart] = theirs(script, counterpart, environment)

    def best(runs, name):
        found = None
        for number in range(arguments.rounds):
            found = better(found, runs[(number, *name)])
        return found

    print(f"{'':<50} {'ours':>19} {'plain Python':>19} {'ratio':>15} {'bound':>6} {'probes,':>10}")
    print(f"{'':<50} {'clock':>9} {'processor':>9} {'clock':>9} {'processor':>9} {'clock':>7} {'proc.':>7} {'':>6} "
          f"{'Gflop/s':>10}")
    for what, program, figure, script, counterpart in rows:
        print(line(what, best(mine, (program, figure)), best(reference, (script, counterpart)) if script else None))
    print("plain Python: transformers with torch.optim.AdamW for training; tests/golden/*_reference.py for the edits; one "
          "prompt at a time\nfor the probe (10 of the 100 measured); one layer a pass for second moments. bound: the share of "
          "the probe's rate (first\nnumber) that ours reaches.")


if __name__ == "__main__":
    main()
