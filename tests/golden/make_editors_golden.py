"""Writes tests/golden/editors/: what the plain Python versions of r_rome, memit, alphaedit and ft compute with the tiny
model of tests/golden/rome (make_rome_golden.py).

    python tests/golden/make_editors_golden.py [OUTPUT_FOLDER] [--only EDITOR.CASE ...]

    cases.json              contexts and, by case, calls in sequence and parameters; a call is a list of requests, each
                            prompt, subject, target, and then prompts that are contexts of it
    reference.safetensors   moment.N [mlp, mlp] float64 of layer N (means) and, by case:
                            r_rome:    CASE.right, CASE.left, CASE.delta
                            memit:     CASE.z [hidden, n], CASE.steps.I [steps, 5], CASE.keys.N [mlp, n], CASE.update.N
                            alphaedit: the same under CASE.CALL, and CASE.rank.N
                            ft:        CASE.losses, CASE.update.PARAMETER

--only makes the named cases anew, or adds them, and leaves the bytes of all others, which another processor would round
otherwise.

Written with torch 2.13, transformers 5.23, tokenizers 0.23.
"""

import argparse
import copy
import json
import pathlib
import shutil
import sys

import torch
from safetensors.torch import load_file, save_file
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

import ft_reference
import rome_reference
import spread_reference
from make_rome_golden import CONTEXTS

HERE = pathlib.Path(__file__).resolve().parent
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
    # Prompts that are contexts of one of the requests, a third group of contexts beside the bare prompt and the others.
    "contexts": {"requests": [(*FRANCE, "The old castle of {} is in", "The queen of {} lives by the river in"), VIENNA],
                 "parameters": {"mom2_update_weight": 2.0}},
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


class World:
    """What all cases start from."""

    def __init__(self, moments=None):
        folder = HERE / "rome" / "model"
        self.tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"))
        self.model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        self.width = self.model.config.intermediate_size
        layers = range(self.model.config.num_hidden_layers)
        self.moments = moments or {layer: make_moment(self.width, layer) for layer in layers}


# Of each editor: the tensors of a case by name, behind the case's own, and its entry in cases.json.


def make_r_rome(world, case):
    made = r_rome(copy.deepcopy(world.model), world.tokenizer, case["request"], rome_reference.Parameters(**ROME),
                  torch.linalg.inv(world.moments[ROME["layer"]]))
    return {part: made[part].contiguous() for part in made}, {"calls": [[case["request"]]], "parameters": ROME}


def dump_spread(made):
    dumps = {"z": torch.stack(made["z"], dim=1).contiguous()}
    dumps |= {f"steps.{i}": steps for i, steps in enumerate(made["steps"])}
    for layer in made["update"]:
        dumps[f"keys.{layer}"] = made["keys"][layer].contiguous()
        dumps[f"update.{layer}"] = made["update"][layer].float().contiguous()
    print("  steps and probability", [(len(s), round(s[-1][4].item(), 3)) for s in made["steps"]], "updates",
          [round(u.norm().item(), 4) for u in made["update"].values()])
    return dumps


def make_memit(world, case):
    values = {**SPREAD, **case["parameters"]}
    made = spread_reference.memit(copy.deepcopy(world.model), world.tokenizer, case["requests"], GROUPS,
                                  spread_reference.Parameters(**values), world.moments)
    return dump_spread(made), {"calls": [case["requests"]], "parameters": values}


def make_alphaedit(world, case):
    values = {**SPREAD, **case["parameters"]}
    p = spread_reference.Parameters(**values)
    edited = copy.deepcopy(world.model)
    dumps, projectors, cache = {}, {}, {}
    for layer in p.layers:
        projectors[layer], rank = spread_reference.null_space(world.moments[layer], p)
        dumps[f"rank.{layer}"] = torch.tensor([float(rank)])
        cache[layer] = torch.zeros(world.width, world.width, dtype=torch.float64)
    for call, requests in enumerate(case["calls"]):
        made = spread_reference.alphaedit(edited, world.tokenizer, requests, GROUPS, p, projectors, cache)
        dumps |= {f"{call}.{name}": tensor for name, tensor in dump_spread(made).items()}
    return dumps, {"calls": case["calls"], "parameters": values}


def make_ft(world, case):
    updates, losses = ft_reference.ft(copy.deepcopy(world.model), world.tokenizer, case["requests"],
                                      ft_reference.Parameters(**case["parameters"]))
    print("  passes", len(losses), "loss", [round(losses[i].item(), 3) for i in (0, -1)])
    dumps = {f"update.{parameter}": update.contiguous() for parameter, update in updates.items()}
    return {"losses": losses, **dumps}, {"calls": [case["requests"]], "parameters": case["parameters"]}


EDITORS = {"r_rome": (R_ROME, make_r_rome), "memit": (MEMIT, make_memit), "alphaedit": (ALPHAEDIT, make_alphaedit),
           "ft": (FT, make_ft)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=pathlib.Path, default=HERE / "editors")
    parser.add_argument("--only", action="append", default=[], metavar="EDITOR.CASE")
    arguments = parser.parse_args()
    every = [f"{editor}.{name}" for editor, (cases, _) in EDITORS.items() for name in cases]
    unknown = set(arguments.only) - set(every)
    if unknown:
        sys.exit(f"no case {', '.join(sorted(unknown))}; the cases are {', '.join(every)}")

    reference, cases_file = arguments.folder / "reference.safetensors", arguments.folder / "cases.json"
    if arguments.only:
        dumps, cases = load_file(reference), json.loads(cases_file.read_text())
        world = World({int(name.removeprefix("moment.")): dumps[name] for name in dumps if name.startswith("moment.")})
    else:
        shutil.rmtree(arguments.folder, ignore_errors=True)
        arguments.folder.mkdir(parents=True)
        world = World()
        dumps = {f"moment.{layer}": moment for layer, moment in world.moments.items()}
        cases = {"contexts": CONTEXTS, **{editor: {} for editor in EDITORS}}

    for case in arguments.only or every:
        editor, name = case.split(".")
        print(case)
        of_editor, make = EDITORS[editor]
        made, cases[editor][name] = make(world, of_editor[name])
        dumps = {tensor: value for tensor, value in dumps.items() if not tensor.startswith(case + ".")}
        dumps |= {f"{case}.{tensor}": value for tensor, value in made.items()}

    save_file(dumps, reference)
    reference.chmod(0o644)
    cases_file.write_text(json.dumps(cases, indent=1) + "\n")


if __name__ == "__main__":
    main()
