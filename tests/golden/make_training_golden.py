"""Writes tests/golden/training/: what torch.optim.AdamW makes of a tiny checkpoint in ten steps.

    python tests/golden/make_training_golden.py [OUTPUT_FOLDER]

Ragged rows, some labels ignored; linear schedule with two warm-up steps; weight decay on matrices only; the gradient clipped
at a norm that some steps exceed. Each file holds the rows, every step's loss, gradient norm and rate, the validation loss
before and after, and the tuned weights. Written with torch 2.13, transformers 5.23.
"""

import pathlib
import sys

import torch
from safetensors.torch import save_file
from transformers import LlamaForCausalLM

LENGTHS = [12, 7, 3, 9, 12, 5, 10, 8]
ROWS_PER_STEP = 4
STEPS = 10
WARMUP = 2
PEAK = 2e-3
CLIP = 5.0
# The order in which training::BatchOrder(8, 4, 7) takes the rows, epoch by epoch; the test checks that it still does.
ORDER = [
    [2, 3, 0, 1, 6, 4, 7, 5],
    [1, 5, 7, 4, 6, 3, 2, 0],
    [6, 1, 4, 3, 7, 5, 2, 0],
    [2, 5, 7, 0, 1, 6, 4, 3],
    [6, 2, 0, 1, 7, 3, 5, 4],
]


def make_rows(generator, lengths):
    ids = torch.randint(3, 256, (len(lengths), max(lengths)), generator=generator)
    mask = torch.arange(max(lengths))[None, :] < torch.tensor(lengths)[:, None]
    ids = torch.where(mask, ids, torch.zeros_like(ids))
    labels = torch.where(mask, ids, torch.full_like(ids, -100))
    labels[0, 1:5] = -100  # as a prompt is
    labels[3, 4] = -100
    return ids, mask.long(), labels


def rate(step):
    if step <= WARMUP:
        return PEAK * step / (WARMUP + 1)
    return PEAK * (STEPS + 1 - step) / (STEPS - WARMUP)


def reference(model):
    generator = torch.Generator().manual_seed(31)
    ids, mask, labels = make_rows(generator, LENGTHS)
    held_ids, held_mask, held_labels = make_rows(generator, [11, 6, 9, 12])
    result = {"token_ids": ids, "labels": labels, "lengths": torch.tensor(LENGTHS), "order": torch.tensor(ORDER),
              "held.token_ids": held_ids, "held.labels": held_labels, "held.lengths": held_mask.sum(1)}

    def held_loss():
        with torch.no_grad():
            return model(input_ids=held_ids, attention_mask=held_mask, labels=held_labels).loss

    result["held.before"] = held_loss()
    parameters = list(model.parameters())
    optimizer = torch.optim.AdamW(
        [dict(params=[p for p in parameters if p.dim() >= 2], weight_decay=0.1),
         dict(params=[p for p in parameters if p.dim() < 2], weight_decay=0.0)],
        lr=PEAK, betas=(0.9, 0.98), eps=1e-6, foreach=False, fused=False)
    rows = [row for epoch in ORDER for row in epoch]
    losses, norms = [], []
    for step in range(1, STEPS + 1):
        chosen = torch.tensor(rows[(step - 1) * ROWS_PER_STEP:step * ROWS_PER_STEP])
        optimizer.zero_grad()
        loss = model(input_ids=ids[chosen], attention_mask=mask[chosen], labels=labels[chosen]).loss
        loss.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(parameters, CLIP).item())
        losses.append(loss.item())
        for group in optimizer.param_groups:
            group["lr"] = rate(step)
        optimizer.step()
    result["losses"], result["norms"] = torch.tensor(losses), torch.tensor(norms)
    result["rates"] = torch.tensor([rate(step) for step in range(1, STEPS + 1)])
    result["held.after"] = held_loss()
    print(losses, norms, result["held.before"], result["held.after"])
    for name, parameter in model.named_parameters():
        result["tuned." + name] = parameter.detach()
    return {name: tensor.contiguous().clone() for name, tensor in result.items()}


def main():
    here = pathlib.Path(__file__).parent
    output = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else here / "training"
    output.mkdir(parents=True, exist_ok=True)
    for name in ["llama_tied", "llama_bfloat16"]:
        model = LlamaForCausalLM.from_pretrained(here / "models" / name, dtype=torch.float32, attn_implementation="eager")
        save_file(reference(model.eval()), output / f"{name}.safetensors")


if __name__ == "__main__":
    main()
