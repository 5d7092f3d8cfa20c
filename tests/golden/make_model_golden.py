"""Writes tests/golden/models/: tiny random Llama checkpoints and what Hugging Face transformers computes with them.

    python tests/golden/make_model_golden.py [OUTPUT_FOLDER]

Each folder is a Hugging Face model (under 300 kB) with a reference.safetensors beside it: logits at every position of a
right-padded batch, the loss and the gradient of every parameter, the values of the sites of layer 1, logits after
replacing values at two sites, and greedy continuations of ragged prompts. Written with torch 2.13, transformers 5.23.
"""

import json
import pathlib
import sys

import torch
from safetensors.torch import save_file
from transformers import LlamaConfig, LlamaForCausalLM

LENGTHS = [12, 7, 3]
NEW_TOKENS = 10


def make_model(seed, **changes):
    torch.manual_seed(seed)
    settings = dict(
        vocab_size=256, hidden_size=32, intermediate_size=64, num_hidden_layers=3, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=128, rms_norm_eps=1e-5, rope_theta=10000.0,
        tie_word_embeddings=True, bos_token_id=1, eos_token_id=2, pad_token_id=0)
    settings.update(changes)
    model = LlamaForCausalLM(LlamaConfig(**settings)).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name:
                parameter.copy_(1 + 0.2 * torch.randn_like(parameter))
            elif "bias" in name:
                parameter.copy_(0.2 * torch.randn_like(parameter))
            else:
                parameter.copy_(0.25 * torch.randn_like(parameter))
    return model


def padded_tokens(seed):
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(3, 256, (len(LENGTHS), max(LENGTHS)), generator=generator)
    mask = torch.arange(max(LENGTHS))[None, :] < torch.tensor(LENGTHS)[:, None]
    return torch.where(mask, ids, torch.zeros_like(ids)), mask.long()


def capture(model, ids, mask, layer):
    values, handles = {}, []
    block = model.model.layers[layer]

    def output_of(name):
        return lambda module, args, out: values.__setitem__(name, (out[0] if isinstance(out, tuple) else out).detach())

    points = {
        "embed.out": model.model.embed_tokens, f"layers.{layer}.attention.out": block.self_attn.o_proj,
        f"layers.{layer}.mlp.value": block.mlp.down_proj, f"layers.{layer}.out": block, "final.out": model.model.norm}
    for name, module in points.items():
        handles.append(module.register_forward_hook(output_of(name)))
    handles.append(block.mlp.down_proj.register_forward_pre_hook(
        lambda module, args: values.__setitem__(f"layers.{layer}.mlp.key", args[0].detach())))
    with torch.no_grad():
        model(input_ids=ids, attention_mask=mask)
    for handle in handles:
        handle.remove()
    return values


def logits_with_hook(model, ids, mask, module, change):
    def hook(_, args, out):
        changed = (out[0] if isinstance(out, tuple) else out).clone()
        change(changed)
        return (changed,) + out[1:] if isinstance(out, tuple) else changed

    handle = module.register_forward_hook(hook)
    with torch.no_grad():
        logits = model(input_ids=ids, attention_mask=mask).logits
    handle.remove()
    return logits


def reference(model, seed):
    model = model.float()
    ids, mask = padded_tokens(seed)
    result = {"token_ids": ids, "lengths": torch.tensor(LENGTHS)}
    with torch.no_grad():
        result["logits"] = model(input_ids=ids, attention_mask=mask).logits
    labels = torch.where(mask.bool(), ids, torch.full_like(ids, -100))
    labels[0, 5] = -100
    result["labels"] = labels
    model.zero_grad()
    loss = model(input_ids=ids, attention_mask=mask, labels=labels).loss
    loss.backward()
    result["loss"] = loss.detach()
    for name, parameter in model.named_parameters():
        result["grad." + name] = parameter.grad
    for name, value in capture(model, ids, mask, 1).items():
        result["site." + name] = value
    generator = torch.Generator().manual_seed(seed + 1)
    values = torch.randn(2, 32, generator=generator)
    result["replace.value"] = values

    def set_two(out):
        out[0, 4], out[1, 2] = values[0], values[1]

    def add_one(out):
        out[0, 3] += values[0]
        out[2, 1] += values[0]

    result["replace.set.logits"] = logits_with_hook(model, ids, mask, model.model.layers[1].mlp.down_proj, set_two)
    result["replace.add.logits"] = logits_with_hook(model, ids, mask, model.model.layers[0], add_one)
    for i, length in enumerate([5, 9, 2, 5]):
        prompt = torch.randint(3, 256, (1, length), generator=generator)
        with torch.no_grad():
            out = model.generate(prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=NEW_TOKENS,
                                 do_sample=False, eos_token_id=None, pad_token_id=0)
        result[f"generate.{i}.prompt"] = prompt[0]
        result[f"generate.{i}.continuation"] = out[0, length:]
    return {name: tensor.contiguous().clone() for name, tensor in result.items()}


def set_old_style_config(folder, **fields):
    """Rotary settings as transformers 4 wrote them: most published checkpoints have this form."""
    path = folder / "config.json"
    config = json.loads(path.read_text())
    config.pop("rope_parameters", None)
    config.update(fields)
    path.write_text(json.dumps(config, indent=2) + "\n")


def main():
    root = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).parent / "models"
    llama3 = dict(rope_type="llama3", factor=4.0, low_freq_factor=1.0, high_freq_factor=4.0,
                  original_max_position_embeddings=16)

    def write(name, model, seed, dtype=torch.float32, shard="1GB", old=None):
        folder = root / name
        folder.mkdir(parents=True, exist_ok=True)
        model.to(dtype).save_pretrained(folder, max_shard_size=shard)
        if old is not None:
            set_old_style_config(folder, **old)
        (folder / "generation_config.json").unlink(missing_ok=True)
        stored = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
        save_file(reference(stored, seed), folder / "reference.safetensors")

    write("llama_tied", make_model(1), 11)
    write("llama_rope3", make_model(2, tie_word_embeddings=False, intermediate_size=48, head_dim=8, rope_theta=500.0,
                                    rope_parameters=dict(rope_theta=500.0, **llama3)),
          12, old=dict(rope_theta=500.0, rope_scaling=llama3))
    write("llama_bfloat16", make_model(3, intermediate_size=40, attention_bias=True, mlp_bias=True,
                                       rope_parameters=dict(rope_type="linear", factor=2.0, rope_theta=10000.0)),
          13, dtype=torch.bfloat16)
    write("llama_sharded", make_model(4, tie_word_embeddings=False, num_key_value_heads=4, num_hidden_layers=2,
                                      vocab_size=256, intermediate_size=32),
          14, dtype=torch.float16, shard="40KB")


if __name__ == "__main__":
    main()
