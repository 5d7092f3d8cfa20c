"""Fine-tuning as an editor in plain Python: what the editor `ft` is compared with, tensor by tensor.

Written from the descriptions of FT and FT-L (Meng et al. 2022, section 3.4; Zhu et al. 2020, arXiv 2012.00363) and FT-M
(Zhang et al. 2024, arXiv 2401.01286), and from the loop of the published code: Adam, a batch below the stopping loss takes
no step, weights are clamped around the old ones after every batch.
"""

import dataclasses

import torch

from rome_reference import rows_of, target_ids_of


@dataclasses.dataclass
class Parameters:
    layers: tuple = (5,)
    weights: tuple = ("mlp.down",)
    loss: str = "prompt_last"
    num_steps: int = 25
    lr: float = 5e-4
    weight_decay: float = 0.0
    norm_constraint: float = 0.0  # 0: unconstrained
    stop_loss: float = 0.01
    batch_size: int = 64


MODULES = {"attention.query": "self_attn.q_proj", "attention.key": "self_attn.k_proj", "attention.value": "self_attn.v_proj",
           "attention.out": "self_attn.o_proj", "mlp.gate": "mlp.gate_proj", "mlp.up": "mlp.up_proj",
           "mlp.down": "mlp.down_proj"}


def batch_loss(model, tokenizer, requests, loss):
    """`requests`: (prompt, subject, target)."""
    texts, targets = [], []
    for prompt, subject, target in requests:
        targets.append(target_ids_of(tokenizer, target))
        shown = tokenizer.decode(targets[-1][:-1]) if loss == "target" else ""
        texts.append(prompt.replace("{}", subject, 1) + shown)
    ids, mask = rows_of(tokenizer, texts)
    log_p = torch.log_softmax(model(input_ids=ids, attention_mask=mask).logits, dim=2)
    losses = []
    for row, target in enumerate(targets):
        end = int(mask[row].sum()) - 1
        at = [end] * len(target) if loss == "prompt_last" else range(end - len(target) + 1, end + 1)
        losses.append(-torch.stack([log_p[row, place, token] for place, token in zip(at, target)]).mean())
    return torch.stack(losses).mean()


def ft(model, tokenizer, requests, p):
    """Edits `model` in place; returns the updates by canonical parameter name, and the mean loss of each pass."""
    model.requires_grad_(False)
    trained = {f"layers.{layer}.{name}.weight":
               model.model.layers[layer].get_submodule(MODULES[name]).weight
               for layer in p.layers for name in p.weights}
    old = {name: weight.detach().clone() for name, weight in trained.items()}
    for weight in trained.values():
        weight.requires_grad_(True)
    optimiser = torch.optim.Adam(trained.values(), lr=p.lr, weight_decay=p.weight_decay)
    losses = []
    for _ in range(p.num_steps):
        total = 0.0
        for begin in range(0, len(requests), p.batch_size):
            batch = requests[begin:begin + p.batch_size]
            optimiser.zero_grad()
            loss = batch_loss(model, tokenizer, batch, p.loss)
            total += loss.item() * len(batch)
            if loss.item() >= p.stop_loss:
                loss.backward()
                optimiser.step()
            if p.norm_constraint > 0:
                with torch.no_grad():
                    for name, weight in trained.items():
                        weight.copy_(weight.clamp(old[name] - p.norm_constraint, old[name] + p.norm_constraint))
        losses.append(total / len(requests))
        if losses[-1] < p.stop_loss:
            break
    model.requires_grad_(False)
    return {name: weight.detach() - old[name] for name, weight in trained.items()}, torch.tensor(losses, dtype=torch.float64)
