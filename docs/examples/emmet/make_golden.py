"""Writes golden.txt beside this file: EMMET in plain Python on Palimpsest's tiny model, for emmet_test.cpp.

    python3 make_golden.py SOURCE     SOURCE: a checkout of Palimpsest, for its tiny model and its plain Python of k* and v*

Needs torch and transformers. Full forwards, hooks, dense matrices, C^-1 made in full: nothing of emmet.cpp's ways is shared.
A line of golden.txt is a name, a count, and so many numbers, row by row.
"""

import pathlib
import sys

import torch
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

SOURCE = pathlib.Path(sys.argv[1])
sys.path.insert(0, str(SOURCE / "tests" / "golden"))

from rome_reference import Parameters, mean_key, optimise_value  # noqa: E402

LAYER, STEPS = 1, 6
CONTEXTS = ["{}", "The rain is over. {}", "You. {}"]
REQUESTS = [("The capital of {} is", "France", "Rome"), ("The king of {} lives in", "the old castle of Vienna", "London by the river"),
            ("The river runs through {}", "Paris", "Italy")]


def emmet(model, tokenizer, c, requests, lam):
    """dW [hidden, mlp] in float64."""
    p = Parameters(layer=LAYER, v_num_grad_steps=STEPS)
    keys, residuals = [], []
    for prompt, subject, target in requests:
        templates = [context.replace("{}", prompt, 1) for context in CONTEXTS]
        keys.append(mean_key(model, tokenizer, templates, subject, LAYER))
        delta, _, _ = optimise_value(model, tokenizer, templates, subject, target, p)
        residuals.append(delta)
    k = torch.stack(keys, 1).double()
    r = torch.stack(residuals, 1).double()
    inverse = torch.linalg.inv(c)
    d = k.T @ inverse @ k
    if len(requests) > 1:
        d = d + lam * torch.eye(len(requests), dtype=torch.float64)
    return r @ torch.linalg.inv(d) @ k.T @ inverse


def main():
    folder = SOURCE / "tests" / "golden" / "rome" / "model"
    model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    model.requires_grad_(False)
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"))
    # The second moment that palimpsest::testing has where none is set.
    c = torch.diag(torch.linspace(1, 3, model.config.intermediate_size, dtype=torch.float64))
    made = {"batch": emmet(model, tokenizer, c, REQUESTS, 0), "softened": emmet(model, tokenizer, c, REQUESTS, 5),
            "single": emmet(model, tokenizer, c, REQUESTS[:1], 5)}
    with open(pathlib.Path(__file__).with_name("golden.txt"), "w", encoding="utf-8") as out:
        for name, update in made.items():
            numbers = update.flatten().tolist()
            out.write(f"{name} {len(numbers)} {' '.join(f'{x:.9g}' for x in numbers)}\n")
            print(name, tuple(update.shape), "norm", update.norm().item())


if __name__ == "__main__":
    main()
