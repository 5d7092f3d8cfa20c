"""Writes tests/golden/causal_trace.safetensors: the metric `causal_trace` in transformers with hooks, one run at a time.

    python tests/golden/make_causal_trace_golden.py [OUTPUT_FILE]

The tiny tied checkpoint and the two facts of framework/plugin/conformance/world.cpp. The authors' loop: for every token,
layer and kind of state, a run over all samples of the noise with a hook that puts the clean state back. The noise is drawn as
the program draws it (framework/base/rng.cpp: Philox keyed by seed and stream). Written with torch 2.13, transformers 5.23.
"""

import hashlib
import math
import pathlib
import sys

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from transformers import LlamaForCausalLM

FACTS = [("city/alma", "The friend of {} lives in", "Alma Dorn"), ("city/ben", "The city of {} is", "Ben Hill")]
SEED, SAMPLES, NOISE, WINDOW = 7, 4, 3.0, 2
MASK = 0xFFFFFFFF


class Rng:
    """Philox4x32-10 keyed by SHA-256 of seed and stream."""

    def __init__(self, seed, stream):
        digest = hashlib.sha256()
        for field in (str(seed).encode(), stream.encode()):
            digest.update(len(field).to_bytes(8, "little") + field)
        words = [int.from_bytes(digest.digest()[4 * i:4 * i + 4], "little") for i in range(4)]
        self.key, self.counter, self.block = words[:2], [0, 0, *words[2:]], []

    def word(self):
        if not self.block:
            x, key = list(self.counter), list(self.key)
            for _ in range(10):
                p0, p1 = 0xD2511F53 * x[0], 0xCD9E8D57 * x[2]
                x = [(p1 >> 32) ^ x[1] ^ key[0], p1 & MASK, (p0 >> 32) ^ x[3] ^ key[1], p0 & MASK]
                key = [(key[0] + 0x9E3779B9) & MASK, (key[1] + 0xBB67AE85) & MASK]
            self.counter[0] += 1
            self.block = x
        return self.block.pop(0)

    def uniform(self):
        high, low = self.word() >> 5, self.word() >> 6
        return float(high << 26 | low) * 2.0 ** -53

    def normal(self):
        radius = math.sqrt(-2.0 * math.log(1.0 - self.uniform()))
        return radius * math.cos(2.0 * math.pi * self.uniform())


def run(model, ids, samples, corrupt=None, restore=None, keep=None):
    """Log-probabilities at the last token of every sample. `corrupt`: (tokens, noise); `restore`: (module, token, state) each;
    `keep`: its "modules" are (name, module), whose states it gets."""
    hooks = []

    def on(module, change):
        def hook(_, __, output):
            state = output[0] if isinstance(output, tuple) else output
            state = change(state.clone())
            return (state, *output[1:]) if isinstance(output, tuple) else state
        hooks.append(module.register_forward_hook(hook))

    if corrupt:
        tokens, noise = corrupt

        def add(state):
            state[:, tokens] += noise
            return state
        on(model.model.embed_tokens, add)
    for module, token, clean in restore or []:
        def put(state, token=token, clean=clean):
            state[:, token] = clean
            return state
        on(module, put)
    for name, module in (keep or {}).get("modules", []):
        def save(state, name=name):
            keep[name] = state[0].clone()
            return state
        on(module, save)
    logits = model(input_ids=torch.tensor([ids]).repeat(samples, 1)).logits[:, -1].double()
    for hook in hooks:
        hook.remove()
    return torch.log_softmax(logits, -1)


@torch.no_grad()
def main():
    here = pathlib.Path(__file__).parent
    output = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else here / "causal_trace.safetensors"
    model = LlamaForCausalLM.from_pretrained(here / "models" / "llama_tied",
                                             dtype=torch.float32, attn_implementation="eager")
    tokenizer = Tokenizer.from_file(str(here.parent / "conformance" / "data" / "tokenizer.json"))
    layers = list(model.model.layers)
    kinds = {"hidden": [layer for layer in layers], "mlp": [layer.mlp for layer in layers],
             "attention": [layer.self_attn for layer in layers]}
    traced = []
    for fact, template, subject in FACTS:
        text = template.replace("{}", subject)
        encoded = tokenizer.encode(text)
        begin = text.index(subject)
        tokens = [i for i, (a, b) in enumerate(encoded.offsets) if a < begin + len(subject) and b > begin]
        traced.append((fact, encoded.ids, tokens))
    embeddings = model.model.embed_tokens.weight
    spread = torch.cat([embeddings[[ids[t] for t in tokens]] for _, ids, tokens in traced]).double().std().item()
    result = {}
    for fact, ids, tokens in traced:
        rng = Rng(SEED, f"metric causal_trace/{fact}")
        noise = torch.tensor([rng.normal() for _ in range(SAMPLES * len(tokens) * embeddings.shape[1])], dtype=torch.float64)
        noise = (NOISE * spread * noise).view(SAMPLES, len(tokens), -1)
        keep = {"modules": [((kind, i), module) for kind, modules in kinds.items() for i, module in enumerate(modules)]}
        clean = run(model, ids, 1, keep=keep)[0]
        answer = clean.argmax().item()
        corrupt = (tokens, noise.float())
        corrupted = run(model, ids, SAMPLES, corrupt)[:, answer].exp().mean()
        rows = []
        for kind, modules in kinds.items():
            for layer in range(len(layers)):
                window = [layer]
                if kind != "hidden":
                    window = range(max(0, layer - WINDOW // 2), min(len(layers), layer - (-WINDOW // 2)))
                for token in range(tokens[0], len(ids)):
                    restore = [(modules[i], token, keep[kind, i][token]) for i in window]
                    p = run(model, ids, SAMPLES, corrupt, restore)[:, answer].exp().mean()
                    rows.append([float(list(kinds).index(kind)), layer, token, (p - corrupted).item()])
        result[fact + ".rows"] = torch.tensor(rows, dtype=torch.float64)
        result[fact + ".totals"] = torch.stack([clean[answer].exp() - corrupted, clean[answer].exp()])
        result[fact + ".answer"] = torch.tensor([answer], dtype=torch.float64)
        print(fact, tokens, len(ids), tokenizer.decode([answer]), result[fact + ".totals"],
              result[fact + ".rows"][:, 3].abs().max())
    save_file({key: tensor.contiguous() for key, tensor in result.items()}, output)


if __name__ == "__main__":
    main()
