"""Writes tests/golden/training/{lora,dora}.safetensors: what PEFT's adapters do on a tiny checkpoint.

    python tests/golden/make_adapter_golden.py [OUTPUT_FOLDER]

A and B both start at given numbers (with B = 0 the gradient of A is 0, and nothing would be compared); DoRA's magnitude starts
where PEFT starts it. Each file holds the rows; A, B; logits, loss and the gradients of A, B and the magnitude at the start; the
losses of five steps of torch.optim.AdamW (weight decay on A and B, not on magnitudes), the adapters after them, and the merged
weights. Not a part of the tests: PEFT brings packages that nothing else here needs. Written with torch 2.13, transformers 5.23,
peft 0.21.2.
"""

import pathlib
import sys

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from transformers import LlamaForCausalLM

RANK = 3
ALPHA = 5.0
STEPS = 5
TARGETS = ["q_proj", "v_proj", "gate_proj", "down_proj"]
LENGTHS = [12, 7, 3, 9]


def reference(model, use_dora):
    generator = torch.Generator().manual_seed(77)
    ids = torch.randint(3, 256, (len(LENGTHS), max(LENGTHS)), generator=generator)
    mask = torch.arange(max(LENGTHS))[None, :] < torch.tensor(LENGTHS)[:, None]
    ids = torch.where(mask, ids, torch.zeros_like(ids))
    labels = torch.where(mask, ids, torch.full_like(ids, -100))
    labels[0, 1:5] = -100
    result = {"token_ids": ids, "labels": labels, "lengths": torch.tensor(LENGTHS)}

    tuned = get_peft_model(model, LoraConfig(r=RANK, lora_alpha=ALPHA, lora_dropout=0.0, target_modules=TARGETS,
                                             use_dora=use_dora, bias="none"))
    tuned.train()  # in evaluation PEFT keeps norms from one forward to the next
    adapters = {}
    for name, parameter in tuned.named_parameters():
        if not parameter.requires_grad:
            continue
        module, part = name.removeprefix("base_model.model.").split(".lora_")
        part = {"A.default.weight": "A", "B.default.weight": "B", "magnitude_vector.default.weight": "m"}[part]
        adapters[f"{part}.{module}.weight"] = parameter
    with torch.no_grad():
        for key, parameter in adapters.items():
            if key[0] != "m":
                parameter.copy_(0.2 * torch.randn(parameter.shape, generator=generator))
            result["start." + key] = parameter.detach().clone()

    def forward():
        return tuned(input_ids=ids, attention_mask=mask.long(), labels=labels)

    optimizer = torch.optim.AdamW(
        [dict(params=[p for p in adapters.values() if p.dim() >= 2], weight_decay=0.1),
         dict(params=[p for p in adapters.values() if p.dim() < 2], weight_decay=0.0)],
        lr=1e-2, betas=(0.9, 0.98), eps=1e-6, foreach=False, fused=False)
    losses = []
    for step in range(STEPS):
        optimizer.zero_grad()
        out = forward()
        out.loss.backward()
        if step == 0:
            result["logits"] = out.logits[mask]
            for key, parameter in adapters.items():
                result["gradient." + key] = parameter.grad.detach().clone()
        losses.append(out.loss.item())
        optimizer.step()
    result["losses"] = torch.tensor(losses)
    for key, parameter in adapters.items():
        result["end." + key] = parameter.detach().clone()
    merged = tuned.merge_and_unload()
    for name, parameter in merged.named_parameters():
        if name.removesuffix(".weight").rsplit(".", 1)[-1] in TARGETS:
            result["merged." + name] = parameter
    print("dora" if use_dora else "lora", losses, len(adapters))
    return {name: tensor.detach().contiguous().clone() for name, tensor in result.items()}


def main():
    here = pathlib.Path(__file__).parent
    output = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else here / "training"
    output.mkdir(parents=True, exist_ok=True)
    for name in ["lora", "dora"]:
        model = LlamaForCausalLM.from_pretrained(here / "models" / "llama_tied", dtype=torch.float32,
                                                 attn_implementation="eager")
        save_file(reference(model, name == "dora"), output / f"{name}.safetensors")


if __name__ == "__main__":
    main()
