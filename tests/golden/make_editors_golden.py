"""Writes tests/golden/editors/: what the plain Python versions of r_rome, memit, alphaedit and ft compute with the tiny
model of tests/golden/rome (make_rome_golden.py).

    python tests/golden/make_editors_golden.py [OUTPUT_FOLDER]

    cases.json              requests, contexts and parameters by case; a case of alphaedit is a list of calls in sequence
    reference.safetensors   moment.N [mlp, mlp] float64 of layer N (means) and, by case:
                            r_rome:    CASE.right, CASE.left, CASE.delta
                            memit:     CASE.z [hidden, n], CASE.steps.I [steps, 5], CASE.keys.N [mlp, n], CASE.update.N
                            alphaedit: the same under CASE.CALL, and rank.CASE.N
                            ft:        CASE.losses, CASE.update.PARAMETER

Written with torch 2.13, transformers 5.23, tokenizers 0.23.
"""

import copy
import json
import pathlib
import shutil
import sys

import torch
from safetensors.torch import save_file
from transformers import PreTrainedTokenizerFast

import ft_reference
import rome_reference
import spread_reference
from make_rome_golden import CONTEXTS, make_model, make_tokenizer

GROUPS = [CONTEXTS[:1], CONTEXTS[1:]]

FRANCE = ("The capital of {} is", "France", "Rome")
VIENNA = ("The king of {} lives in the city of", "the old castle of Vienna", "London by the river")
L = ("{} is the capital of", "L", "Italy")
LONDON = ("The tower of {} stands in", "London", "Paris and Rome")
PARIS = ("The river runs through {}", "Paris", "Vienna")
ITALY = ("The queen of {}", "Italy", "lives")

SPREAD = {"layers": [0, 1], "v_loss_layer": -1, "v_num_grad_steps": 8, "v_lr": 0.5, "v_weight_decay": 0.5,
          "clamp_norm_factor": 0.75, "kl_factor": 0.0625, "v_stop_probability": 1.0}
MEMIT = {
    "plain": {"requests": [FRANCE, VIENNA, LONDON], "parameters": {"mom2_update_weight": 2.0}},
    "one_request": {"requests": [VIENNA], "parameters": {"layers": [1], "mom2_update_weight": 20.0}},
    # The loss is read below the last layer; and right where the change is made.
    "loss_layer": {"requests": [PARIS, L], "parameters": {"layers": [0], "v_loss_layer": 1, "mom2_update_weight": 2.0}},
    # Prompts that end with the subject: elsewhere a loss read at once, or after the last layer, does not see the change.
    "loss_at_once": {"requests": [PARIS, ITALY],
                     "parameters": {"layers": [0, 1], "v_loss_layer": 1, "mom2_update_weight": 5.0}},
    # Facts end at different steps; a row that begins with its lookup token.
    "stopped": {"requests": [ITALY, L, FRANCE, PARIS],
                "parameters": {"v_num_grad_steps": 12, "v_lr": 1.0, "clamp_norm_factor": 40.0, "v_stop_probability": 0.02,
                               "mom2_update_weight": 2.0}},
    "gap": {"requests": [ITALY, PARIS], "parameters": {"layers": [0, 2], "mom2_update_weight": 2.0}},
}
ALPHAEDIT = {
    "two_batches": {"calls": [[FRANCE, VIENNA], [LONDON, PARIS, L]],
                    "parameters": {"nullspace_threshold": 0.3, "nullspace_energy": 0.0, "l2": 0.5}},
    "energy": {"calls": [[ITALY]], "parameters": {"nullspace_threshold": 0.0, "nullspace_energy": 0.05, "l2": 2.0}},
}
FT = {
    "unconstrained": {"requests": [FRANCE, VIENNA, LONDON],
                      "parameters": {"layers": [1], "weights": ["mlp.down"], "loss": "prompt_last", "num_steps": 10,
                                     "lr": 0.01, "batch_size": 2}},
    "constrained": {"requests": [PARIS, VIENNA],
                    "parameters": {"layers": [0, 2], "weights": ["mlp.down", "attention.value"], "loss": "target",
                                   "num_steps": 8, "lr": 0.02, "norm_constraint": 0.03, "weight_decay": 0.1}},
    # Ends before its last pass.
    "stopped": {"requests": [ITALY, FRANCE],
                "parameters": {"layers": [2], "weights": ["mlp.down", "attention.out"], "loss": "prompt_last",
                               "num_steps": 60, "lr": 0.03, "stop_loss": 0.6, "batch_size": 1}},
}
R_ROME = {
    "plain": {"request": FRANCE},
    "long": {"request": VIENNA},
}
ROME = {"layer": 1, "v_num_grad_steps": 8, "v_lr": 0.5, "v_weight_decay": 0.5, "clamp_norm_factor": 4.0,
        "kl_factor": 0.0625, "mom2_adjustment": True, "v_stop_probability": 1.0}


def make_moment(width, layer):
    """A spectrum that falls over several magnitudes, as that of real keys does."""
    generator = torch.Generator().manual_seed(10 + layer)
    keys = torch.randn(4 * width, width, generator=generator, dtype=torch.float64)
    mixing = torch.linalg.qr(torch.randn(width, width, generator=generator, dtype=torch.float64))[0]
    keys = keys * torch.logspace(0.5, -2, width, dtype=torch.float64) @ mixing
    return keys.T @ keys / len(keys)


def r_rome(model, tokenizer, request, p, inverse):
    """ROME's parts with the mean key and the mean value in Lambda (Gupta et al. 2024, arXiv 2403.07175)."""
    prompt, subject, target = request
    made = rome_reference.rome(model, tokenizer, prompt, subject, target, CONTEXTS, p, inverse)
    templates = [context.replace("{}", prompt, 1) for context in CONTEXTS]
    ids, mask = rome_reference.rows_of(tokenizer, [t.replace("{}", subject, 1) for t in templates])
    with rome_reference.DownProjection(model, p.layer) as trace, torch.no_grad():
        model(input_ids=ids, attention_mask=mask)
    lookups = [rome_reference.last_subject_token(tokenizer, t, subject) for t in templates]
    value = torch.stack([trace.value[row, token] for row, token in enumerate(lookups)]).mean(0)
    right = (made["init"] + made["delta"] - value) / torch.dot(made["k_star"], made["left"])
    return {"left": made["left"], "right": right, "delta": made["delta"]}


def dump_spread(dumps, name, made, layers):
    dumps[f"{name}.z"] = torch.stack(made["z"], dim=1).contiguous()
    for i, steps in enumerate(made["steps"]):
        dumps[f"{name}.steps.{i}"] = steps
    for layer in layers:
        dumps[f"{name}.keys.{layer}"] = made["keys"][layer].contiguous()
        dumps[f"{name}.update.{layer}"] = made["update"][layer].float().contiguous()


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent / "editors")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=make_tokenizer())
    model = make_model(len(tokenizer))
    width, layers = model.config.intermediate_size, model.config.num_hidden_layers
    moments = {layer: make_moment(width, layer) for layer in range(layers)}
    dumps = {f"moment.{layer}": moment for layer, moment in moments.items()}
    cases = {"contexts": CONTEXTS, "r_rome": {}, "memit": {}, "alphaedit": {}, "ft": {}}

    for name, case in R_ROME.items():
        made = r_rome(copy.deepcopy(model), tokenizer, case["request"], rome_reference.Parameters(**ROME),
                      torch.linalg.inv(moments[ROME["layer"]]))
        dumps |= {f"r_rome.{name}.{part}": made[part].contiguous() for part in made}
        cases["r_rome"][name] = {"calls": [[case["request"]]], "parameters": ROME}
    for name, case in MEMIT.items():
        values = {**SPREAD, **case["parameters"]}
        p = spread_reference.Parameters(**values)
        made = spread_reference.memit(copy.deepcopy(model), tokenizer, case["requests"], GROUPS, p, moments)
        dump_spread(dumps, f"memit.{name}", made, p.layers)
        cases["memit"][name] = {"calls": [case["requests"]], "parameters": values}
        print("memit", name, [(len(s), round(s[-1][4].item(), 3)) for s in made["steps"]],
              [round(u.norm().item(), 4) for u in made["update"].values()])
    for name, case in ALPHAEDIT.items():
        values = {**SPREAD, **case["parameters"]}
        p = spread_reference.Parameters(**values)
        edited = copy.deepcopy(model)
        projectors, cache = {}, {}
        for layer in p.layers:
            projectors[layer], rank = spread_reference.null_space(moments[layer], p)
            dumps[f"alphaedit.{name}.rank.{layer}"] = torch.tensor([float(rank)])
            cache[layer] = torch.zeros(width, width, dtype=torch.float64)
        for call, requests in enumerate(case["calls"]):
            made = spread_reference.alphaedit(edited, tokenizer, requests, GROUPS, p, projectors, cache)
            dump_spread(dumps, f"alphaedit.{name}.{call}", made, p.layers)
            print("alphaedit", name, call, [dumps[f"alphaedit.{name}.rank.{layer}"].item() for layer in p.layers],
                  [round(u.norm().item(), 4) for u in made["update"].values()])
        cases["alphaedit"][name] = {"calls": case["calls"], "parameters": values}
    for name, case in FT.items():
        p = ft_reference.Parameters(**case["parameters"])
        updates, losses = ft_reference.ft(copy.deepcopy(model), tokenizer, case["requests"], p)
        dumps[f"ft.{name}.losses"] = losses
        dumps |= {f"ft.{name}.update.{parameter}": update.contiguous() for parameter, update in updates.items()}
        cases["ft"][name] = {"calls": [case["requests"]], "parameters": case["parameters"]}
        print("ft", name, len(losses), [round(losses[i].item(), 3) for i in (0, -1)])

    save_file(dumps, folder / "reference.safetensors")
    (folder / "reference.safetensors").chmod(0o644)
    (folder / "cases.json").write_text(json.dumps(cases, indent=1) + "\n")


if __name__ == "__main__":
    main()
