"""Writes tests/golden/mechanism.safetensors: the metrics `mechanism` and `drift` in transformers and plain torch.

    python tests/golden/make_mechanism_golden.py [OUTPUT_FILE]

The tiny tied checkpoint and the two facts of tests/conformance/world.cpp. Two edits: `single`, rank 1 in layer 1 for the first fact;
`batch`, rank 2 in layers 0 and 1, column i for fact i. "Fine-tuning" is seeded noise on some weights. Keys, values and forced values
come from hooks on the down-projections. Per edit: the factors, the noise, and per fact addressing, storage, readout and probability;
and what drift says of every parameter of the noise. Written with torch 2.13, transformers 5.23, tokenizers 0.23.
"""

import copy
import pathlib
import sys

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from transformers import LlamaForCausalLM

FACTS = [("The friend of {} lives in", "Alma Dorn", "Oslo"), ("The city of {} is", "Ben Hill", "New Delhi")]
EDITS = {"single": ([1], 1, 0.3), "batch": ([0, 1], 2, 0.3)}
NOISE = {"model.layers.0.mlp.down_proj.weight": 0.02, "model.layers.1.mlp.down_proj.weight": 0.02,
         "model.layers.0.self_attn.q_proj.weight": 0.02, "model.layers.1.input_layernorm.weight": 0.02,
         "model.embed_tokens.weight": 0.004}


def down(layer):
    return f"model.layers.{layer}.mlp.down_proj.weight"


def rows(tokenizer):
    made = []
    for template, subject, target in FACTS:
        text = template.replace("{}", subject)
        encoded = tokenizer.encode(text)
        end = text.index(subject) + len(subject)
        lookup = max(i for i, (begin, stop) in enumerate(encoded.offsets) if begin < end <= stop)
        made.append((encoded.ids, lookup, tokenizer.encode(" " + target, add_special_tokens=False).ids))
    return made


def run(model, prompt, target, layers, lookup, force=None):
    """(keys, values) by layer at the lookup token, and p(target); `force`: values by layer."""
    keys, values, hooks = {}, {}, []
    for layer in layers:
        def hook(_, inputs, output, layer=layer):
            keys[layer] = inputs[0][0, lookup].double()
            if force is not None:
                output = output.clone()
                output[0, lookup] = force[layer]
            values[layer] = output[0, lookup].clone()
            return output
        hooks.append(model.model.layers[layer].mlp.down_proj.register_forward_hook(hook))
    ids = torch.tensor([prompt + target[:-1]])
    log_p = torch.log_softmax(model(input_ids=ids).logits[0].float(), -1)
    for hook in hooks:
        hook.remove()
    start = len(prompt) - 1
    return keys, values, torch.exp(sum(log_p[start + t, token] for t, token in enumerate(target)).double())


@torch.no_grad()
def main():
    here = pathlib.Path(__file__).parent
    output = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else here / "mechanism.safetensors"
    base = LlamaForCausalLM.from_pretrained(here / "models" / "llama_tied", dtype=torch.float32, attn_implementation="eager")
    tokens = rows(Tokenizer.from_file(str(here.parent / "conformance" / "data" / "tokenizer.json")))
    generator = torch.Generator().manual_seed(99)
    result = {}
    for name, (layers, rank, size) in EDITS.items():
        edited = copy.deepcopy(base)
        weights = dict(edited.named_parameters())
        factors = {}
        for layer in layers:
            out, width = weights[down(layer)].shape
            u, v = size * torch.randn(out, rank, generator=generator), size * torch.randn(width, rank, generator=generator)
            factors[layer] = (u, v)
            weights[down(layer)].copy_(torch.addmm(weights[down(layer)], u, v.T))
            result[f"{name}.u.{layer}"], result[f"{name}.v.{layer}"] = u, v
        current = copy.deepcopy(edited)
        for parameter, spread in NOISE.items():
            weight = dict(current.named_parameters())[parameter]
            weight.add_(spread * torch.randn(weight.shape, generator=generator))
            result[f"{name}.current.{parameter}"] = weight

        expected = []
        for i, (prompt, lookup, target) in enumerate(tokens[:rank]):
            k_0, stored, _ = run(edited, prompt, target, layers, lookup)
            k_t, _, probability = run(current, prompt, target, layers, lookup)
            _, _, readout = run(current, prompt, target, layers, lookup, force=stored)
            along_now = along_change = squares = 0.0
            for layer in layers:
                update = torch.outer(factors[layer][0][:, i].double(), factors[layer][1][:, i].double())
                change = (dict(current.named_parameters())[down(layer)].double() -
                          dict(edited.named_parameters())[down(layer)].double())
                then = update @ k_0[layer]
                along_now += (update @ k_t[layer]) @ then
                along_change += (change @ k_0[layer]) @ then
                squares += then @ then
            expected.append(torch.stack([along_now / squares, along_change / squares, readout, probability]))
        result[f"{name}.mechanism"] = torch.stack(expected).double()

        for parameter in NOISE:
            before = dict(edited.named_parameters())[parameter].double()
            change = dict(current.named_parameters())[parameter].double() - before
            row = [before.norm(), change.norm(), change.norm() / before.norm()]
            layer = next((one for one in layers if down(one) == parameter), None)
            if layer is not None:
                update = factors[layer][0].double() @ factors[layer][1].double().T
                left, values, right = torch.linalg.svd(update, full_matrices=False)
                left, right = left[:, :rank], right[:rank].T
                row += [update.norm(), (change * update).sum() / update.norm() ** 2,
                        (left.T @ change).norm() / change.norm(), torch.tensor((rank / left.shape[0]) ** 0.5),
                        (change @ right).norm() / change.norm(), torch.tensor((rank / right.shape[0]) ** 0.5)]
            result[f"{name}.drift.{parameter}"] = torch.stack([x.double() for x in row])
        print(name, result[f"{name}.mechanism"], result[f"{name}.drift.{down(1)}"])
    save_file({key: tensor.detach().contiguous().clone() for key, tensor in result.items()}, output)


if __name__ == "__main__":
    main()
