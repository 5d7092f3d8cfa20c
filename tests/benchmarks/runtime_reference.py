"""The plain ways of runtime_benchmark.cpp's figures, with transformers.

    PALIMPSEST_BENCH_MODEL=FOLDER PALIMPSEST_BENCH_TEXT=FILE python runtime_reference.py generation | second_moments

Prints one line of JSON: clock and processor seconds, and a float32 GEMM probe.
"""

import json
import os
import sys
import time

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from probe import gemm_rate

PROMPTS, MEASURED, NEW_TOKENS = 100, 10, 50
LAYERS, TOKENS, BLOCK = range(4, 9), 8000, 100


class Reached(Exception):
    """The hooked layer has its input: nothing above it is needed."""


def prompt(row):
    return [(7919 * (row * 17 + t * 31) + 13) % 40000 + 100 for t in range(4 + row % 13)]


def generation(model):
    """One prompt at a time; the time of `MEASURED` of them, scaled to all."""
    model.generation_config.eos_token_id = None
    for row in range(0, PROMPTS, PROMPTS // MEASURED):
        ids = torch.tensor([prompt(row)])
        with torch.no_grad():
            model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=NEW_TOKENS, do_sample=False,
                           pad_token_id=0)
    return PROMPTS / MEASURED


def second_moments(model):
    """As the authors of ROME do it: a pass over the text for each layer, ended at that layer; sums in float32."""
    tokenizer = AutoTokenizer.from_pretrained(os.environ["PALIMPSEST_BENCH_MODEL"])
    with open(os.environ["PALIMPSEST_BENCH_TEXT"], encoding="utf-8") as file:
        text = "\n".join(json.loads(row)["text"] for _, row in zip(range(400), file))
    stream = tokenizer(text, add_special_tokens=False).input_ids[:TOKENS]
    blocks = [stream[i:i + BLOCK] for i in range(0, len(stream), BLOCK)]
    for layer in LAYERS:
        total = torch.zeros(model.config.intermediate_size, model.config.intermediate_size)

        def take(_, inputs):
            keys = inputs[0].flatten(0, 1)
            total.add_(keys.t() @ keys)
            raise Reached

        hook = model.model.layers[layer].mlp.down_proj.register_forward_pre_hook(take)
        with torch.no_grad():
            for begin in range(0, len(blocks), 8):
                try:
                    model(input_ids=torch.tensor(blocks[begin:begin + 8]), use_cache=False)
                except Reached:
                    pass
        hook.remove()
    return 1


def main():
    model = AutoModelForCausalLM.from_pretrained(os.environ["PALIMPSEST_BENCH_MODEL"], dtype=torch.float32).eval()
    measured = {"generation": generation, "second_moments": second_moments}[sys.argv[1]]
    begin, cpu_begin = time.perf_counter(), time.process_time()
    factor = measured(model)
    print(json.dumps({"seconds": factor * (time.perf_counter() - begin),
                      "cpu_s": factor * (time.process_time() - cpu_begin), "gemm_gflops": gemm_rate() / 1e9}))


if __name__ == "__main__":
    main()
