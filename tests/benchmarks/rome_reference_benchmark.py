"""Processor time of one ROME edit by the plain Python version: the other side of rome_benchmark.cpp, same weights, fact,
contexts, parameters and second moment, one thread.

    PALIMPSEST_BENCH_MODEL=FOLDER python tests/benchmarks/rome_reference_benchmark.py

Prints one line of JSON: clock and processor seconds of an edit, the best of three, its steps, and a GEMM probe.
"""

import json
import os
import pathlib
import sys
import time

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "golden"))
import rome_reference  # noqa: E402

from probe import gemm_rate  # noqa: E402

CONTEXTS = ["{}"] + [
    f"{opening} {rest}. {{}}"
    for opening in ("The", "Therefore", "Because", "I think that", "You know that")
    for rest in ("the weather in the north was cold last year", "people of the town went to the market again",
                 "a long road leads from here to the sea", "most of the old books were lost at night")]


def main():
    torch.set_num_threads(1)
    folder = os.environ["PALIMPSEST_BENCH_MODEL"]
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    width = model.config.intermediate_size
    ramp = (torch.arange(width, dtype=torch.float64) / width).sin()
    inverse = torch.linalg.inv(torch.eye(width, dtype=torch.float64) + torch.outer(ramp, ramp))
    p = rome_reference.Parameters(layer=5, v_num_grad_steps=20, v_lr=0.05, v_weight_decay=0.5)
    wall, processor = [], []
    for _ in range(3):
        begin, cpu_begin = time.perf_counter(), time.process_time()
        made = rome_reference.rome(
            model, tokenizer, "The mother tongue of {} is", "Danielle Darrieux", "English", CONTEXTS, p, inverse)
        wall.append(time.perf_counter() - begin)
        processor.append(time.process_time() - cpu_begin)
    print(json.dumps({"seconds": min(wall), "cpu_s": min(processor), "steps": len(made["steps"]),
                      "gemm_gflops": gemm_rate() / 1e9}))


if __name__ == "__main__":
    main()
