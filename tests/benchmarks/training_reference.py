"""The training step of training_benchmark.cpp with transformers and torch.optim.AdamW, for comparison.

    PALIMPSEST_BENCH_MODEL=FOLDER python training_reference.py float32 | bfloat16_autocast

Prints one line of JSON: the least clock and processor seconds of a step of 8 blocks of 100 tokens, and a GEMM probe in the
dtype of its products.
"""

import json
import os
import sys
import time

import torch
from transformers import AutoModelForCausalLM

from probe import gemm_rate

BLOCK, ROWS, STEPS = 100, 8, 5


def main():
    autocast = sys.argv[1] == "bfloat16_autocast"
    model = AutoModelForCausalLM.from_pretrained(os.environ["PALIMPSEST_BENCH_MODEL"], dtype=torch.float32).train()
    model.config.use_cache = False
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, weight_decay=0.01)
    torch.manual_seed(1)
    wall, processor = [], []
    for _ in range(STEPS + 1):
        ids = torch.randint(0, model.config.vocab_size, (ROWS, BLOCK))
        begin, cpu_begin = time.perf_counter(), time.process_time()
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
            loss = model(input_ids=ids, labels=ids).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        loss.item()
        wall.append(time.perf_counter() - begin)
        processor.append(time.process_time() - cpu_begin)
    probe = gemm_rate(torch.bfloat16 if autocast else torch.float32)
    print(json.dumps({"seconds": min(wall[1:]), "cpu_s": min(processor[1:]), "gemm_gflops": probe / 1e9}))


if __name__ == "__main__":
    main()
