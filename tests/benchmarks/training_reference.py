"""The training step of training_benchmark.cpp with transformers and torch.optim.AdamW, for comparison.

    PALIMPSEST_BENCH_MODEL=FOLDER python training_reference.py [float32 | bfloat16_autocast]...

Prints for each: the least wall and processor time of a step of 8 blocks of 100 tokens, and a float32 GEMM probe.
"""

import os
import sys
import time

import torch
from transformers import AutoModelForCausalLM

BLOCK, ROWS, STEPS = 100, 8, 5


def gemm_rate(size=1024, trials=8):
    a, b = torch.ones(size, size), torch.ones(size, size)
    best = float("inf")
    for _ in range(trials + 1):
        begin = time.perf_counter()
        torch.mm(a, b)
        best = min(best, time.perf_counter() - begin)
    return 2 * size**3 / best


def run(precision):
    model = AutoModelForCausalLM.from_pretrained(os.environ["PALIMPSEST_BENCH_MODEL"], dtype=torch.float32).train()
    model.config.use_cache = False
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, weight_decay=0.01)
    torch.manual_seed(1)
    wall, processor = [], []
    for _ in range(STEPS + 1):
        ids = torch.randint(0, model.config.vocab_size, (ROWS, BLOCK))
        begin, cpu_begin = time.perf_counter(), time.process_time()
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bfloat16_autocast"):
            loss = model(input_ids=ids, labels=ids).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        loss.item()
        wall.append(time.perf_counter() - begin)
        processor.append(time.process_time() - cpu_begin)
    print(f"{precision}: {1000 * min(wall[1:]):.0f} ms, cpu {min(processor[1:]):.2f} s, "
          f"gemm {gemm_rate() / 1e9:.0f} GFLOP/s, threads {torch.get_num_threads()}", flush=True)


for chosen in sys.argv[1:] or ["float32", "bfloat16_autocast"]:
    run(chosen)
