"""Processor time of one ROME edit by the plain Python version: the other side of rome_benchmark.cpp, same weights, fact,
contexts, parameters and second moment, one thread.

    PALIMPSEST_BENCH_MODEL=FOLDER python tests/benchmarks/rome_reference_benchmark.py [REPEATS]
"""

import os
import pathlib
import sys
import time

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "golden"))
import rome_reference  # noqa: E402

CONTEXTS = ["{}"] + [
    f"{opening} {rest}. {{}}"
    for opening in ("The", "Therefore", "Because", "I think that", "You know that")
    for rest in ("the weather in the north was cold last year", "people of the town went to the market again",
                 "a long road leads from here to the sea", "most of the old books were lost at night")]


def gemm_rate(size=1024, trials=8):
    a, b = torch.ones(size, size), torch.ones(size, size)
    best = float("inf")
    for _ in range(trials):
        begin = time.perf_counter()
        a @ b
        best = min(best, time.perf_counter() - begin)
    return 2 * size**3 / best


def main():
    torch.set_num_threads(1)
    folder = os.environ["PALIMPSEST_BENCH_MODEL"]
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    width = model.config.intermediate_size
    ramp = (torch.arange(width, dtype=torch.float64) / width).sin()
    inverse = torch.linalg.inv(torch.eye(width, dtype=torch.float64) + torch.outer(ramp, ramp))
    p = rome_reference.Parameters(layer=5, v_num_grad_steps=20, v_lr=0.05, v_weight_decay=0.5)
    times = []
    for _ in range(int(sys.argv[1]) if len(sys.argv) > 1 else 3):
        begin = time.process_time()
        made = rome_reference.rome(
            model, tokenizer, "The mother tongue of {} is", "Danielle Darrieux", "English", CONTEXTS, p, inverse)
        times.append(time.process_time() - begin)
    print(f"processor time per edit: best {min(times) * 1e3:.0f} ms of {[round(t * 1e3) for t in times]}; "
          f"{len(made['steps'])} steps; GEMM {gemm_rate() / 1e9:.1f} Gflop/s")


if __name__ == "__main__":
    main()
