"""Processor time of second moments in plain Python: the other side of moments_benchmark.cpp, same weights, text, blocks and
layers, one thread. As the published code does it: one layer at a time, each pass stopped behind its layer.

    PALIMPSEST_BENCH_MODEL=FOLDER PALIMPSEST_BENCH_TEXT=FILE.jsonl python tests/benchmarks/moments_reference_benchmark.py
"""

import json
import os
import time

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from rome_reference_benchmark import gemm_rate

LAYERS, TOKENS, BLOCK, BATCH = (4, 5, 6, 7, 8), 8192, 256, 8


class Stop(Exception):
    pass


def blocks(tokenizer, path):
    made, left = [], TOKENS
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            ids = tokenizer(json.loads(line)["text"])["input_ids"]
            for begin in range(0, len(ids), BLOCK):
                made.append(ids[begin:begin + min(BLOCK, left)])
                left -= len(made[-1])
                if left <= 0:
                    return made
    return made


def moment(model, rows, layer):
    total, count = 0, 0
    keys = []

    def hook(module, inputs, output):
        keys.append(inputs[0])
        raise Stop

    handle = model.model.layers[layer].mlp.down_proj.register_forward_hook(hook)
    for begin in range(0, len(rows), BATCH):
        part = rows[begin:begin + BATCH]
        width = max(map(len, part))
        ids = torch.tensor([row + [0] * (width - len(row)) for row in part])
        mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in part])
        try:
            model(input_ids=ids, attention_mask=mask)
        except Stop:
            pass
        k = keys.pop()[mask.bool()]
        total, count = total + k.T @ k, count + len(k)
    handle.remove()
    return total.double() / count


def main():
    torch.set_num_threads(1)
    model = AutoModelForCausalLM.from_pretrained(os.environ["PALIMPSEST_BENCH_MODEL"], dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(os.environ["PALIMPSEST_BENCH_MODEL"])
    rows = blocks(tokenizer, os.environ["PALIMPSEST_BENCH_TEXT"])
    begin = time.process_time()
    with torch.no_grad():
        for layer in LAYERS:
            moment(model, rows, layer)
    print(f"{time.process_time() - begin:.1f} s of processor time for {sum(map(len, rows))} tokens and {len(LAYERS)} layers; "
          f"GEMM {gemm_rate() / 1e9:.1f} Gflop/s")


if __name__ == "__main__":
    main()
