"""MEMIT and AlphaEdit in plain Python: what the editors `memit` and `alphaedit` are compared with, tensor by tensor, and
timed against.

Written from the papers (Meng et al. 2023, arXiv 2210.07229, algorithm 1; Fang et al. 2025, arXiv 2410.02355, section 3)
and from the conventions of the published code that they do not state: z* is optimised one request at a time by full
forwards of all its rows, keys and residuals are taken anew by full forwards at every layer. Nothing is cached and nothing
is cut short on purpose.
"""

import dataclasses

import torch

from rome_reference import last_subject_token, minimise, rows_of, rows_to_learn


@dataclasses.dataclass
class Parameters:
    layers: tuple = (4, 5, 6, 7, 8)
    v_loss_layer: int = -1  # -1: the last
    v_num_grad_steps: int = 25
    v_lr: float = 0.5
    v_weight_decay: float = 0.5
    clamp_norm_factor: float = 0.75
    kl_factor: float = 0.0625
    v_stop_probability: float = 1.0  # 1: never
    mom2_update_weight: float = 15000.0  # memit
    nullspace_threshold: float = 0.02  # alphaedit; 0: nullspace_energy counts
    nullspace_energy: float = 0.0
    l2: float = 10.0


class Trace:
    """Records the output of layers and the input of their down-projections; adds `delta` to the output of one layer at one
    token of every row."""

    def __init__(self, model, layers, delta_layer=None, lookups=(), delta=None):
        self.model, self.layers = model, layers
        self.delta_layer, self.lookups, self.delta = delta_layer, list(lookups), delta
        self.outputs, self.keys, self.handles = {}, {}, []

    def _layer(self, number):
        def hook(module, inputs, output):
            hidden = output[0] if isinstance(output, tuple) else output
            if number == self.delta_layer and self.delta is not None:
                self.before = hidden.detach().clone()
                hidden = hidden.clone()
                for row, token in enumerate(self.lookups):
                    hidden[row, token] = hidden[row, token] + self.delta
            self.outputs[number] = hidden
            return (hidden, *output[1:]) if isinstance(output, tuple) else hidden
        return hook

    def _key(self, number):
        def hook(module, inputs, output):
            self.keys[number] = inputs[0].detach()
        return hook

    def __enter__(self):
        for number in self.layers:
            layer = self.model.model.layers[number]
            self.handles.append(layer.register_forward_hook(self._layer(number)))
            self.handles.append(layer.mlp.down_proj.register_forward_hook(self._key(number)))
        return self

    def __exit__(self, *_):
        for handle in self.handles:
            handle.remove()


def compute_z(model, tokenizer, templates, subject, target, p):
    """z* of one request, the losses of each step, and what z* started from."""
    layer = p.layers[-1]
    last = model.config.num_hidden_layers - 1
    loss_layer = last if p.v_loss_layer < 0 else max(p.v_loss_layer, layer)
    ids, mask, lookups, wanted, target_tokens = rows_to_learn(tokenizer, templates, subject, target)

    def forward(delta):
        with Trace(model, {layer, loss_layer}, layer, lookups, delta) as trace:
            logits = model(input_ids=ids, attention_mask=mask).logits
        read = trace.outputs[loss_layer][:len(wanted)]
        return logits, model.lm_head(model.model.norm(read)), trace.before
    delta, steps, init = minimise(forward, model.config.hidden_size, lookups, wanted, target_tokens, p)
    return init + delta, steps, init


def at_lookups(model, tokenizer, prompts, layer, batch=128):
    """Of (template, subject) pairs: keys [n, mlp] and outputs [n, hidden] of a layer at the subject's last token."""
    keys, outputs = [], []
    for begin in range(0, len(prompts), batch):
        part = prompts[begin:begin + batch]
        ids, mask = rows_of(tokenizer, [t.replace("{}", s, 1) for t, s in part])
        with Trace(model, {layer}) as trace, torch.no_grad():
            model(input_ids=ids, attention_mask=mask)
        for row, (template, subject) in enumerate(part):
            token = last_subject_token(tokenizer, template, subject)
            keys.append(trace.keys[layer][row, token])
            outputs.append(trace.outputs[layer][row, token])
    return torch.stack(keys), torch.stack(outputs).detach()


def templates_of(request, groups):
    """A request's prompt in every context, by group; prompts that are contexts of it are a last group, as they are."""
    prompt, _, _, *augmented = request
    templates = [[context.replace("{}", prompt, 1) for context in group] for group in groups]
    return templates + [augmented] if augmented else templates


def mean_keys(model, tokenizer, requests, groups, layer):
    """K [mlp, n]: mean within each group of contexts, then over the groups."""
    grouped = [templates_of(request, groups) for request in requests]
    prompts = [(template, request[1]) for request, own in zip(requests, grouped) for group in own for template in group]
    keys, _ = at_lookups(model, tokenizer, prompts, layer)
    columns, begin = [], 0
    for own in grouped:
        means = []
        for group in own:
            means.append(keys[begin:begin + len(group)].mean(0))
            begin += len(group)
        columns.append(torch.stack(means).mean(0))
    return torch.stack(columns).T


def null_space(moment, p):
    """P, and its rank."""
    values, vectors = torch.linalg.eigh(moment)
    if p.nullspace_energy > 0:
        chosen = values.cumsum(0) <= p.nullspace_energy * values.sum()
    else:
        chosen = values < p.nullspace_threshold
    basis = vectors[:, chosen]
    return basis @ basis.T, int(chosen.sum())


def spread(model, tokenizer, requests, groups, p, solve):
    """Edits `model` in place and returns the update and what led to it, by layer. `requests`: (prompt, subject, target),
    and behind them prompts that are contexts of it; `groups`: lists of context templates; solve(layer, K, R) -> dW, all
    float64."""
    model.requires_grad_(False)
    made = {"z": [], "steps": [], "update": {}, "keys": {}}
    for request in requests:
        templates = [template for group in templates_of(request, groups) for template in group]
        z, steps, _ = compute_z(model, tokenizer, templates, request[1], request[2], p)
        made["z"].append(z)
        made["steps"].append(steps)
    z = torch.stack(made["z"], dim=1)
    for i, layer in enumerate(p.layers):
        keys = mean_keys(model, tokenizer, requests, groups, layer).double()
        _, current = at_lookups(model, tokenizer, [request[:2] for request in requests], p.layers[-1])
        residual = (z - current.T).double() / (len(p.layers) - i)
        update = solve(layer, keys, residual)
        made["keys"][layer], made["update"][layer] = keys, update
        weight = model.model.layers[layer].mlp.down_proj.weight
        with torch.no_grad():
            weight.add_(update.float())
    return made


def memit(model, tokenizer, requests, groups, p, moments):
    """`moments`: second moment [mlp, mlp] float64 by layer."""
    def solve(layer, keys, residual):
        left = torch.linalg.solve(p.mom2_update_weight * moments[layer] + keys @ keys.T, keys)
        return residual @ left.T
    return spread(model, tokenizer, requests, groups, p, solve)


def alphaedit(model, tokenizer, requests, groups, p, projectors, cache):
    """`projectors`: P [mlp, mlp] by layer; `cache` [mlp, mlp] by layer, which gains this batch's K K^T."""
    def solve(layer, keys, residual):
        projector = projectors[layer]
        left = projector @ (keys @ keys.T + cache[layer]) + p.l2 * torch.eye(len(keys), dtype=torch.float64)
        return torch.linalg.solve(left, projector @ keys @ residual.T).T
    made = spread(model, tokenizer, requests, groups, p, solve)
    for layer in p.layers:
        cache[layer] = cache[layer] + made["keys"][layer] @ made["keys"][layer].T
    return made
