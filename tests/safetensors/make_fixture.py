"""Writes data/reference.safetensors with the safetensors library (run once; the result is committed).

    python3 tests/safetensors/make_fixture.py

safetensors_test.cpp knows these names, shapes and values.
"""

import pathlib

import torch
from safetensors.torch import save_file

out = pathlib.Path(__file__).parent / "data" / "reference.safetensors"
save_file(
    {
        "float64": torch.tensor([0.1, -2.0], dtype=torch.float64),
        "float32": torch.arange(6, dtype=torch.float32).reshape(2, 3) / 4,
        "float16": torch.tensor([1.5, -0.25], dtype=torch.float16),
        "bfloat16": torch.tensor([[1.5], [-3.0]], dtype=torch.bfloat16),
        "int64": torch.tensor([-(2**40), 7], dtype=torch.int64),
        "int32": torch.tensor([-5], dtype=torch.int32),
        "int16": torch.tensor([300, -300, 1], dtype=torch.int16),
        "int8": torch.tensor([-1, 2, 3], dtype=torch.int8),
        "uint8": torch.tensor([255], dtype=torch.uint8),
        "bool": torch.tensor([True, False, True]),
        "scalar": torch.tensor(2.5, dtype=torch.float32),
        "empty": torch.zeros(0, 4, dtype=torch.float32),
        "näme": torch.tensor([9], dtype=torch.int64),
    },
    out,
    metadata={"format": "pt", "note": "écrit par Python"},
)
print(out.stat().st_size, "bytes")
