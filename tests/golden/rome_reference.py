"""ROME in plain Python: what the editor `rome` is compared with, tensor by tensor, and timed against.

Written from the paper (Meng et al. 2022, arXiv 2202.05262, section 3.1) and from the conventions of the published code
that the paper does not state: full forwards of all rows in every step, hooks on the MLP's down-projection, Adam on delta
from zero, N steps of which the last only measures. Nothing is cached and nothing is cut short on purpose.
"""

import dataclasses

import torch
import torch.nn.functional as F


@dataclasses.dataclass
class Parameters:
    layer: int = 5
    v_num_grad_steps: int = 20
    v_lr: float = 0.5
    v_weight_decay: float = 0.5
    clamp_norm_factor: float = 4.0
    kl_factor: float = 0.0625
    mom2_adjustment: bool = True
    v_stop_probability: float = 1.0  # 1: never


def last_subject_token(tokenizer, template, subject):
    """Index, in the tokens of the filled template, of the token that holds the subject's last character."""
    begin = template.index("{}")
    end = begin + len(subject)
    offsets = tokenizer(template.replace("{}", subject, 1), return_offsets_mapping=True)["offset_mapping"]
    return next(i for i, (first, last) in enumerate(offsets) if first <= end - 1 < last)


def rows_of(tokenizer, texts):
    """Right-padded ids and attention mask [rows, tokens]."""
    rows = [tokenizer(text)["input_ids"] for text in texts]
    width = max(map(len, rows))
    ids = torch.tensor([row + [0] * (width - len(row)) for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows])
    return ids, mask


class DownProjection:
    """Records input and output of one layer's down-projection and adds `delta` at one token of every row."""

    def __init__(self, model, layer, lookups=(), delta=None):
        self.module = model.model.layers[layer].mlp.down_proj
        self.lookups, self.delta = list(lookups), delta
        self.key = self.value = None

    def __call__(self, module, inputs, output):
        self.key, self.value = inputs[0].detach(), output.detach().clone()
        if self.delta is None:
            return output
        changed = output.clone()
        for row, token in enumerate(self.lookups):
            changed[row, token] = changed[row, token] + self.delta
        return changed

    def __enter__(self):
        self.handle = self.module.register_forward_hook(self)
        return self

    def __exit__(self, *_):
        self.handle.remove()


def mean_key(model, tokenizer, templates, subject, layer):
    """k*: the mean over the templates of the down-projection's input at the subject's last token."""
    ids, mask = rows_of(tokenizer, [t.replace("{}", subject, 1) for t in templates])
    with DownProjection(model, layer) as trace, torch.no_grad():
        model(input_ids=ids, attention_mask=mask)
    lookups = [last_subject_token(tokenizer, t, subject) for t in templates]
    return torch.stack([trace.key[row, token] for row, token in enumerate(lookups)]).mean(0)


def target_ids_of(tokenizer, target):
    return tokenizer(" " + target.lstrip(" "), add_special_tokens=False)["input_ids"]


def rows_to_learn(tokenizer, templates, subject, target):
    """What a value is optimised over: ids and mask [rows, tokens] of the templates, each followed by the target without its
    last token, and of "{} is a" as the last row; the subject's last token of each row; `wanted` [rows - 1, tokens], a target
    token where the token before it stands, elsewhere -100; the number of target tokens."""
    target_ids = torch.tensor(target_ids_of(tokenizer, target))
    templates = [t + tokenizer.decode(target_ids[:-1]) for t in templates] + ["{} is a"]
    ids, mask = rows_of(tokenizer, [t.replace("{}", subject, 1) for t in templates])
    lookups = [last_subject_token(tokenizer, t, subject) for t in templates]
    wanted = torch.full((len(templates) - 1, ids.shape[1]), -100)
    for row in range(len(wanted)):
        length = int(mask[row].sum())
        wanted[row, length - len(target_ids):length] = target_ids
    return ids, mask, lookups, wanted, len(target_ids)


def minimise(forward, size, lookups, wanted, target_tokens, p, fixed_delta=None):
    """Adam on delta [size]; returns it, the losses of each step, and what it is added to in the first row. `forward(delta)`
    runs all rows and gives their logits, the logits that the target is read from (the rows of `wanted` first), and what
    delta was added to [rows, tokens, size]. `fixed_delta`: evaluate there and return the gradient in place of optimising."""
    delta = torch.zeros(size, requires_grad=True)
    optimiser = torch.optim.Adam([delta], lr=p.v_lr)
    init = initial = None
    steps = []
    for step in range(p.v_num_grad_steps):
        optimiser.zero_grad()
        logits, read, before = forward(delta)
        if init is None:
            init = before[0, lookups[0]].clone()
        kl_log_p = F.log_softmax(logits[-1:, lookups[-1], :], dim=1)
        if initial is None:
            initial = kl_log_p.detach().clone()
        if fixed_delta is not None and step == 0:
            with torch.no_grad():
                delta.copy_(fixed_delta)
            continue
        log_p = torch.log_softmax(read, dim=2)
        # A target token is read where the token before it stands: the mask marks that very position, because the rows
        # hold all target tokens but the last.
        chosen = log_p[:len(wanted)].gather(2, wanted.clamp(min=0).unsqueeze(2)).squeeze(2)
        row_nll = -(chosen * (wanted != -100)).sum(1) / target_tokens
        nll = row_nll.mean()
        kl = p.kl_factor * F.kl_div(initial, kl_log_p, log_target=True, reduction="batchmean")
        decay = p.v_weight_decay * delta.norm() / init.norm() ** 2
        loss = nll + kl + decay
        probability = torch.exp(-row_nll).mean()
        steps.append([loss.item(), nll.item(), kl.item(), decay.item(), probability.item()])
        if fixed_delta is not None:
            loss.backward()
            return loss.detach(), delta.grad.clone()
        stop = p.v_stop_probability < 1 and probability >= p.v_stop_probability
        if loss < 5e-2 or stop or step == p.v_num_grad_steps - 1:
            break
        loss.backward()
        optimiser.step()
        bound = p.clamp_norm_factor * init.norm()
        if delta.norm() > bound:
            with torch.no_grad():
                delta.mul_(bound / delta.norm())
    return delta.detach(), torch.tensor(steps, dtype=torch.float64), init


def optimise_value(model, tokenizer, templates, subject, target, p, fixed_delta=None):
    """delta = v* - W k, the losses of each step, and W k of the first template; `fixed_delta`: see minimise."""
    ids, mask, lookups, *target_of_rows = rows_to_learn(tokenizer, templates, subject, target)

    def forward(delta):
        with DownProjection(model, p.layer, lookups, delta) as trace:
            logits = model(input_ids=ids, attention_mask=mask).logits
        return logits, logits, trace.value
    return minimise(forward, model.config.hidden_size, lookups, *target_of_rows, p, fixed_delta)


def rome(model, tokenizer, prompt, subject, target, contexts, p, inverse_moment=None):
    """The update W += right left^T of layer p.layer's down-projection, and what led to it. `contexts`: templates with one
    {} for the prompt, the bare "{}" first. `inverse_moment`: C^-1 [mlp, mlp], where p.mom2_adjustment wants it."""
    model.requires_grad_(False)
    templates = [context.replace("{}", prompt, 1) for context in contexts]
    k_star = mean_key(model, tokenizer, templates, subject, p.layer)
    u = k_star
    if p.mom2_adjustment:
        u = (inverse_moment @ k_star.double()).float()
    u = u / u.norm()
    delta, steps, init = optimise_value(model, tokenizer, templates, subject, target, p)

    ids, mask = rows_of(tokenizer, [prompt.replace("{}", subject, 1)])
    with DownProjection(model, p.layer) as trace, torch.no_grad():
        model(input_ids=ids, attention_mask=mask)
    token = last_subject_token(tokenizer, prompt, subject)
    right = (init + delta - trace.value[0, token]) / torch.dot(trace.key[0, token], u)
    return {"k_star": k_star, "left": u, "delta": delta, "steps": steps, "init": init, "right": right}
