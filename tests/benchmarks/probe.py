"""The machine's own rate of matrix products, as gemm_probe.hpp takes it."""

import time

import torch


def gemm_rate(dtype=torch.float32, size=1024, trials=8):
    """Flops per second of [size, size] x [size, size], the best of several."""
    a, b = torch.ones(size, size, dtype=dtype), torch.ones(size, size, dtype=dtype)
    out = torch.mm(a, b)
    best = float("inf")
    for _ in range(trials):
        begin = time.perf_counter()
        torch.mm(a, b, out=out)
        best = min(best, time.perf_counter() - begin)
    return 2 * size**3 / best
