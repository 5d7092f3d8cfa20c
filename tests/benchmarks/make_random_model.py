#!/usr/bin/env python3
"""Writes a GPT-2 of any size with random weights as a Hugging Face folder: for trying memory and time at a published size where
the published weights are not at hand. What such a model says is noise; no figure about knowledge may come of it.

    make_random_model.py OUTPUT --tokenizer FOLDER [--shape gpt2-xl] [--dtype bfloat16] [--seed 1]

The tokenizer is that of another model's folder, byte-level BPE of at most the shape's vocabulary (SmolLM2's 49,152 tokens under
GPT-2 XL's 50,257): its files are copied, the embedding keeps the shape's rows. Matrices are normal with standard deviation 0.02,
those that write into the residual stream with 0.02 / sqrt(2 layers), as GPT-2 was initialised; norms are 1, biases 0. The head
is tied to the embedding. Every tensor begins at a multiple of 64 bytes, so that Palimpsest maps the file and copies nothing.

A tensor's numbers follow from the seed and its name. They are made and written a few million at a time: the program holds less
than 0.2 GB, whatever the size. Needs numpy.
"""

import argparse
import json
import math
import pathlib
import shutil
import struct
import sys
import zlib

import numpy as np

# layers, hidden, heads
SHAPES = {"gpt2": (12, 768, 12), "gpt2-medium": (24, 1024, 16), "gpt2-large": (36, 1280, 20), "gpt2-xl": (48, 1600, 25)}
VOCABULARY, POSITIONS = 50257, 1024
ALIGNMENT = 64
AT_ONCE = 1 << 22  # numbers
STORED = {"bfloat16": ("BF16", 2), "float32": ("F32", 4)}
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "generation_config.json")


def tensors(layers, hidden):
    """(name, shape, standard deviation or None, constant) in the order of the file."""
    spread, residual = 0.02, 0.02 / math.sqrt(2 * layers)
    yield "transformer.wte.weight", (VOCABULARY, hidden), spread, 0
    yield "transformer.wpe.weight", (POSITIONS, hidden), spread, 0
    for layer in range(layers):
        stem = f"transformer.h.{layer}."
        for norm in ("ln_1", "ln_2"):
            yield f"{stem}{norm}.weight", (hidden,), None, 1
            yield f"{stem}{norm}.bias", (hidden,), None, 0
        # Conv1D: [in, out].
        for name, shape, deviation in (("attn.c_attn", (hidden, 3 * hidden), spread), ("attn.c_proj", (hidden, hidden), residual),
                                       ("mlp.c_fc", (hidden, 4 * hidden), spread), ("mlp.c_proj", (4 * hidden, hidden), residual)):
            yield f"{stem}{name}.weight", shape, deviation, 0
            yield f"{stem}{name}.bias", shape[1:], None, 0
    yield "transformer.ln_f.weight", (hidden,), None, 1
    yield "transformer.ln_f.bias", (hidden,), None, 0


def header_of(listed, dtype):
    """The file's beginning: the length of the header, then the header, filled with spaces to the alignment."""
    name_of_dtype, width = STORED[dtype]
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    for name, shape, _, _ in listed:
        size = math.prod(shape) * width
        if size % ALIGNMENT:
            sys.exit(f"{name} of shape {list(shape)} takes {size} bytes; expected a multiple of {ALIGNMENT}")
        header[name] = {"dtype": name_of_dtype, "shape": list(shape), "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header, separators=(",", ":")).encode("ascii")
    text += b" " * (-(8 + len(text)) % ALIGNMENT)
    return struct.pack("<Q", len(text)) + text


def stored(values, dtype):
    """The bytes of float32 numbers, rounded to the nearest, of two equally near ones to the even one."""
    if dtype == "float32":
        return values.astype("<f4").tobytes()
    bits = values.astype("<f4").view("<u4")
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype("<u2").tobytes()


def write_weights(path, listed, dtype, seed):
    with open(path, "xb") as file:
        file.write(header_of(listed, dtype))
        for name, shape, deviation, constant in listed:
            numbers = np.random.default_rng([seed, zlib.crc32(name.encode("ascii"))])
            left = math.prod(shape)
            while left:
                count = min(left, AT_ONCE)
                if deviation is None:
                    values = np.full(count, constant, dtype=np.float32)
                else:
                    values = numbers.standard_normal(count, dtype=np.float32) * np.float32(deviation)
                file.write(stored(values, dtype))
                left -= count


def copy_tokenizer(source, output):
    document = json.loads((source / "tokenizer.json").read_text(encoding="utf-8"))
    ids = [*document["model"]["vocab"].values(), *(token["id"] for token in document.get("added_tokens", []))]
    if max(ids) >= VOCABULARY:
        sys.exit(f"the tokenizer of {source} has ids up to {max(ids)}; expected fewer than {VOCABULARY}")
    for name in TOKENIZER_FILES:
        if (source / name).exists():
            shutil.copyfile(source / name, output / name)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=pathlib.Path)
    parser.add_argument("--tokenizer", type=pathlib.Path, required=True, help="a model's folder")
    parser.add_argument("--shape", choices=list(SHAPES), default="gpt2-xl")
    parser.add_argument("--dtype", choices=list(STORED), default="bfloat16")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    layers, hidden, heads = SHAPES[arguments.shape]
    arguments.output.mkdir(parents=True)
    copy_tokenizer(arguments.tokenizer, arguments.output)
    config = {
        "model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "n_layer": layers, "n_embd": hidden, "n_head": heads,
        "n_positions": POSITIONS, "vocab_size": VOCABULARY, "activation_function": "gelu_new", "layer_norm_epsilon": 1e-5,
        "tie_word_embeddings": True, "torch_dtype": arguments.dtype,
    }
    listed = list(tensors(layers, hidden))
    write_weights(arguments.output / "model.safetensors", listed, arguments.dtype, arguments.seed)
    # Last, so that a folder that was not finished is no model.
    (arguments.output / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    count = sum(math.prod(shape) for _, shape, _, _ in listed)
    print(f"{arguments.output}: {count:,} weights in {arguments.dtype}, {layers} layers of {hidden}, {heads} heads")


if __name__ == "__main__":
    main()
