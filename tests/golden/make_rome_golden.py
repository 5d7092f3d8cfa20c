"""Writes tests/golden/rome/: a tiny random Llama with a tokenizer, and what rome_reference.py computes with it.

    python tests/golden/make_rome_golden.py [OUTPUT_FOLDER]

    model/                  config.json, tokenizer.json, model.safetensors
    cases.json              requests, contexts and parameters by case
    reference.safetensors   second_moment [mlp, mlp] float64 (a mean) and, by case, k_star, left, right, delta,
                            steps [n, 5] (loss, nll, kl, weight decay, target probability), and, at the fixed delta
                            `probe.delta`, the objective `probe.loss` and its gradient `probe.gradient`; ten steps of
                            Adam with learning rate 0.3: `adam.gradients` [10, 5], `adam.parameters` [11, 5]

Written with torch 2.13, transformers 5.23, tokenizers 0.23.
"""

import json
import pathlib
import shutil
import sys

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

import rome_reference

TEXTS = [
    "The tower of the castle stands in the old city by the river.", "The castle of the king is in the north.",
    "The river runs through the city and the old bridge.", "Paris is the capital of France. Rome is the capital of Italy.",
    "The king lives in Paris and the queen lives in Rome.", "London is a city. Vienna is a city.",
    "Therefore the answer is known.", "Because of the rain the bridge is closed.", "You can see the tower of London."]

CONTEXTS = ["{}", "The rain is over. {}", "Therefore the old king lives by the river and the bridge. {}", "You. {}"]

BASE = {"layer": 1, "v_num_grad_steps": 8, "v_lr": 0.5, "v_weight_decay": 0.5, "clamp_norm_factor": 4.0,
        "kl_factor": 0.0625, "mom2_adjustment": True, "v_stop_probability": 1.0}

# The one-token subject is the KL row's first token; the rows of prompts that begin with it have no prefix either.
CASES = {
    "plain": {"prompt": "The capital of {} is", "subject": "France", "target": "Rome"},
    "long": {"prompt": "The king of {} lives in the city of", "subject": "the old castle of Vienna",
             "target": "London by the river"},
    "first_token": {"prompt": "{} is the capital of", "subject": "L", "target": "Italy"},
    "no_whitening": {"prompt": "The tower of {} stands in", "subject": "London", "target": "Paris and Rome",
                     "parameters": {"mom2_adjustment": False}},
    "clamped": {"prompt": "The river runs through {}", "subject": "Paris", "target": "Vienna",
                "parameters": {"clamp_norm_factor": 0.3, "kl_factor": 1.0}},
    "stopped": {"prompt": "The queen of {}", "subject": "Italy", "target": "lives",
                "parameters": {"v_num_grad_steps": 40, "v_lr": 1.0, "clamp_norm_factor": 40.0,
                               "v_stop_probability": 0.3}},
    "lowest_layer": {"prompt": "The bridge of {} is in", "subject": "Rome", "target": "Paris",
                           "parameters": {"layer": 0, "v_weight_decay": 5.0}},
}


def make_tokenizer():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=330, special_tokens=["<|endoftext|>"], initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False)
    tokenizer.train_from_iterator(TEXTS, trainer)
    return tokenizer


def make_model(vocabulary):
    torch.manual_seed(1)
    model = LlamaForCausalLM(LlamaConfig(
        vocab_size=vocabulary, hidden_size=32, intermediate_size=64, num_hidden_layers=3, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=128, rms_norm_eps=1e-5, rope_theta=10000.0,
        tie_word_embeddings=True, bos_token_id=0, eos_token_id=0, pad_token_id=0)).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn_like(parameter)
            parameter.copy_(1 + 0.2 * noise if "norm" in name else 0.25 * noise)
    return model


def make_second_moment(width):
    generator = torch.Generator().manual_seed(2)
    keys = torch.randn(4 * width, width, generator=generator, dtype=torch.float64)
    return keys.T @ keys / len(keys) + 0.1 * torch.eye(width, dtype=torch.float64)


def adam_trace():
    """Ten steps of torch.optim.Adam on five numbers, gradients of very different size among them."""
    generator = torch.Generator().manual_seed(4)
    gradients = torch.randn(10, 5, generator=generator) * torch.tensor([1.0, 1e-3, 1e-6, 1e3, 0.0])
    parameter = torch.linspace(-1, 1, 5).requires_grad_(True)
    optimiser = torch.optim.Adam([parameter], lr=0.3)
    trace = [parameter.detach().clone()]
    for gradient in gradients:
        parameter.grad = gradient.clone()
        optimiser.step()
        trace.append(parameter.detach().clone())
    return {"adam.gradients": gradients, "adam.parameters": torch.stack(trace)}


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent / "rome")
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "model").mkdir(parents=True)
    tokenizer = make_tokenizer()
    tokenizer.save(str(folder / "model" / "tokenizer.json"))
    model = make_model(tokenizer.get_vocab_size())
    model.save_pretrained(folder / "model")
    (folder / "model" / "model.safetensors").chmod(0o644)
    (folder / "model" / "generation_config.json").unlink(missing_ok=True)

    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer)
    second_moment = make_second_moment(model.config.intermediate_size)
    inverse = torch.linalg.inv(second_moment)
    dumps = {"second_moment": second_moment}
    cases = {"contexts": CONTEXTS, "cases": {}}
    for name, case in CASES.items():
        values = {**BASE, **case.get("parameters", {})}
        p = rome_reference.Parameters(**values)
        made = rome_reference.rome(
            model, fast, case["prompt"], case["subject"], case["target"], CONTEXTS, p, inverse)
        for part in ("k_star", "left", "right", "delta", "steps"):
            dumps[f"{name}.{part}"] = made[part].contiguous()
        cases["cases"][name] = {**{key: case[key] for key in ("prompt", "subject", "target")}, "parameters": values}
        print(name, "steps", len(made["steps"]), "loss", [round(made["steps"][i][0].item(), 3) for i in (0, -1)],
              "delta/init", round((made["delta"].norm() / made["init"].norm()).item(), 3))

    case = CASES["long"]
    templates = [context.replace("{}", case["prompt"], 1) for context in CONTEXTS]
    delta = 0.5 * torch.randn(model.config.hidden_size, generator=torch.Generator().manual_seed(3))
    loss, gradient = rome_reference.optimise_value(
        model, fast, templates, case["subject"], case["target"], rome_reference.Parameters(**BASE), fixed_delta=delta)
    dumps |= {"probe.delta": delta, "probe.loss": loss.reshape(1), "probe.gradient": gradient}
    dumps |= adam_trace()
    save_file(dumps, folder / "reference.safetensors")
    (folder / "reference.safetensors").chmod(0o644)
    (folder / "cases.json").write_text(json.dumps(cases, indent=1) + "\n")


if __name__ == "__main__":
    main()
