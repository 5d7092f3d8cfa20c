"""Processor time of MEMIT and AlphaEdit by the plain Python version: the other side of spread_benchmark.cpp, same weights,
facts, contexts, parameters and second moments, one thread.

    PALIMPSEST_BENCH_MODEL=FOLDER [PALIMPSEST_BENCH_FACTS=50] python tests/benchmarks/spread_reference_benchmark.py memit|alphaedit

Prints one line of JSON: clock and processor seconds of the batch, its steps, and a GEMM probe.
"""

import json
import os
import pathlib
import sys
import time

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

SOURCE = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(SOURCE / "tests" / "golden"))
import spread_reference  # noqa: E402

from probe import gemm_rate  # noqa: E402

GROUPS = [["{}"], ["The weather in the north was cold last year. {}", "Therefore people of the town went to the market. {}",
                   "Because a long road leads from here to the sea. {}", "I think that most of the old books were lost. {}",
                   "You know that the rain had stopped before noon. {}"]]


def main():
    torch.set_num_threads(1)
    folder = os.environ["PALIMPSEST_BENCH_MODEL"]
    count = int(os.environ.get("PALIMPSEST_BENCH_FACTS", "50"))
    with open(SOURCE / "configs" / "facts" / "world.jsonl", encoding="utf-8") as lines:
        facts = [json.loads(line) for line, _ in zip(lines, range(count))]
    requests = [(fact["prompt"], fact["subject"], fact["target_new"]) for fact in facts]
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    width = model.config.intermediate_size
    ramp = (torch.arange(width, dtype=torch.float64) / width).sin()
    moment = torch.diag(torch.logspace(-3, 1, width, dtype=torch.float64)) + 1e-4 * torch.outer(ramp, ramp)
    p = spread_reference.Parameters()
    begin, cpu_begin = time.perf_counter(), time.process_time()
    if sys.argv[1] == "memit":
        made = spread_reference.memit(model, tokenizer, requests, GROUPS, p, {layer: moment for layer in p.layers})
    else:
        projectors = {layer: spread_reference.null_space(moment, p)[0] for layer in p.layers}
        cache = {layer: torch.zeros(width, width, dtype=torch.float64) for layer in p.layers}
        made = spread_reference.alphaedit(model, tokenizer, requests, GROUPS, p, projectors, cache)
    print(json.dumps({"seconds": time.perf_counter() - begin, "cpu_s": time.process_time() - cpu_begin,
                      "steps": sum(map(len, made["steps"])), "gemm_gflops": gemm_rate() / 1e9}))


if __name__ == "__main__":
    main()
