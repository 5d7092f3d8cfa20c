"""Writes tests/golden/models/: tiny random checkpoints of every family and what Hugging Face transformers computes with
them.

    python tests/golden/make_model_golden.py [--output FOLDER] [NAME ...]

Each folder is a Hugging Face model (under 300 kB) with a reference.safetensors beside it: logits at every position of a
right-padded batch, the loss and the gradient of every parameter, the values of the sites of layer 1, logits after
replacing values at two sites, and greedy continuations of ragged prompts. Norms and biases are random too, so that one
that is left out shows. Without names all are written. Written with torch 2.13, transformers 5.23.
"""

import argparse
import dataclasses
import json
import pathlib

import torch
from safetensors.torch import save_file
from transformers import (
    AutoModelForCausalLM, GPT2Config, GPT2LMHeadModel, GPTJConfig, GPTJForCausalLM, GPTNeoXConfig, GPTNeoXForCausalLM,
    LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM, Qwen2Config, Qwen2ForCausalLM, Qwen3Config,
    Qwen3ForCausalLM)

# Where transformers 5 calls a parameter otherwise than the file does.
STORED = {("gpt_neox", "lm_head.weight"): "embed_out.weight"}

LENGTHS = [12, 7, 3]
NEW_TOKENS = 10

IDS = dict(bos_token_id=1, eos_token_id=2, pad_token_id=0)
# By the names of Llama's config, and by GPT-2's.
SIZES = dict(vocab_size=256, hidden_size=32, intermediate_size=64, num_hidden_layers=3, num_attention_heads=4,
             max_position_embeddings=128, **IDS)
SHORT_SIZES = dict(vocab_size=256, n_embd=32, n_inner=64, n_layer=3, n_head=4, n_positions=128, **IDS)
LLAMA = dict(SIZES, num_key_value_heads=2, rms_norm_eps=1e-5, rope_theta=10000.0, tie_word_embeddings=True)
LLAMA3_SCALING = dict(rope_type="llama3", factor=4.0, low_freq_factor=1.0, high_freq_factor=4.0,
                      original_max_position_embeddings=16)


@dataclasses.dataclass
class Case:
    model: type
    config: type
    seed: int
    settings: dict
    dtype: torch.dtype = torch.float32
    shard: str = "1GB"
    # Fields of config.json written in an older form: to drop and to set.
    drop: tuple = ()
    old: dict = dataclasses.field(default_factory=dict)


CASES = {
    "llama_tied": Case(LlamaForCausalLM, LlamaConfig, 1, LLAMA),
    # Rotary settings as transformers 4 wrote them: most published checkpoints have this form.
    "llama_rope3": Case(LlamaForCausalLM, LlamaConfig, 2,
                        LLAMA | dict(tie_word_embeddings=False, intermediate_size=48, head_dim=8, rope_theta=500.0,
                                     rope_parameters=dict(rope_theta=500.0, **LLAMA3_SCALING)),
                        drop=("rope_parameters",), old=dict(rope_theta=500.0, rope_scaling=LLAMA3_SCALING)),
    "llama_bfloat16": Case(LlamaForCausalLM, LlamaConfig, 3,
                           LLAMA | dict(intermediate_size=40, attention_bias=True, mlp_bias=True,
                                        rope_parameters=dict(rope_type="linear", factor=2.0, rope_theta=10000.0)),
                           dtype=torch.bfloat16),
    "llama_sharded": Case(LlamaForCausalLM, LlamaConfig, 4,
                          LLAMA | dict(tie_word_embeddings=False, num_key_value_heads=4, num_hidden_layers=2,
                                       intermediate_size=32), dtype=torch.float16, shard="40KB"),
    "gpt2": Case(GPT2LMHeadModel, GPT2Config, 5, SHORT_SIZES),
    "gptj": Case(GPTJForCausalLM, GPTJConfig, 6, SHORT_SIZES | dict(rotary_dim=4)),
    "gpt_neox": Case(GPTNeoXForCausalLM, GPTNeoXConfig, 7,
                     SIZES | dict(rope_parameters=dict(rope_type="default", rope_theta=10000.0,
                                                       partial_rotary_factor=0.5)),
                     drop=("rope_parameters",), old=dict(rotary_pct=0.5, rotary_emb_base=10000)),
    "gpt_neox_serial": Case(GPTNeoXForCausalLM, GPTNeoXConfig, 8,
                            SIZES | dict(use_parallel_residual=False, attention_bias=False, intermediate_size=48,
                                         rope_parameters=dict(rope_type="linear", factor=2.0, rope_theta=500.0,
                                                              partial_rotary_factor=0.5))),
    "mistral": Case(MistralForCausalLM, MistralConfig, 9,
                    SIZES | dict(num_key_value_heads=2, head_dim=16, intermediate_size=48, sliding_window=96)),
    "qwen2": Case(Qwen2ForCausalLM, Qwen2Config, 10,
                  SIZES | dict(num_key_value_heads=2, tie_word_embeddings=True, sliding_window=None)),
    "qwen3": Case(Qwen3ForCausalLM, Qwen3Config, 11,
                  SIZES | dict(num_key_value_heads=2, head_dim=16, intermediate_size=48)),
}


def make_model(case):
    torch.manual_seed(case.seed)
    model = case.model(case.config(**case.settings)).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() == 1 and not name.endswith("bias"):  # a norm's scale
                parameter.copy_(1 + 0.2 * torch.randn_like(parameter))
            elif parameter.dim() == 1:
                parameter.copy_(0.2 * torch.randn_like(parameter))
            else:
                parameter.copy_(0.25 * torch.randn_like(parameter))
    return model


@dataclasses.dataclass
class Parts:
    """The modules whose outputs are the sites, whatever the family calls them."""
    embed: torch.nn.Module
    layers: torch.nn.ModuleList
    attention_out: torch.nn.Module  # of layer 1
    down: torch.nn.Module           # of layer 1
    final: torch.nn.Module


def parts(model):
    if hasattr(model, "transformer"):  # GPT-2, GPT-J; the first dropout sees tokens and positions added up
        inner, block = model.transformer, model.transformer.h[1]
        out = block.attn.c_proj if hasattr(block.attn, "c_proj") else block.attn.out_proj
        down = block.mlp.c_proj if hasattr(block.mlp, "c_proj") else block.mlp.fc_out
        return Parts(inner.drop, inner.h, out, down, inner.ln_f)
    if hasattr(model, "gpt_neox"):
        inner, block = model.gpt_neox, model.gpt_neox.layers[1]
        return Parts(inner.embed_in, inner.layers, block.attention.dense, block.mlp.dense_4h_to_h,
                     inner.final_layer_norm)
    inner, block = model.model, model.model.layers[1]
    return Parts(inner.embed_tokens, inner.layers, block.self_attn.o_proj, block.mlp.down_proj, inner.norm)


def padded_tokens(seed):
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(3, 256, (len(LENGTHS), max(LENGTHS)), generator=generator)
    mask = torch.arange(max(LENGTHS))[None, :] < torch.tensor(LENGTHS)[:, None]
    return torch.where(mask, ids, torch.zeros_like(ids)), mask.long()


def capture(model, ids, mask):
    values, handles = {}, []
    of = parts(model)

    def output_of(name):
        return lambda module, args, out: values.__setitem__(name, (out[0] if isinstance(out, tuple) else out).detach())

    points = {"embed.out": of.embed, "layers.1.attention.out": of.attention_out, "layers.1.mlp.value": of.down,
              "layers.1.out": of.layers[1], "final.out": of.final}
    for name, module in points.items():
        handles.append(module.register_forward_hook(output_of(name)))
    handles.append(of.down.register_forward_pre_hook(
        lambda module, args: values.__setitem__("layers.1.mlp.key", args[0].detach())))
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
        result["grad." + STORED.get((model.config.model_type, name), name)] = parameter.grad
    for name, value in capture(model, ids, mask).items():
        result["site." + name] = value
    generator = torch.Generator().manual_seed(seed + 1)
    values = torch.randn(2, 32, generator=generator)
    result["replace.value"] = values

    def set_two(out):
        out[0, 4], out[1, 2] = values[0], values[1]

    def add_one(out):
        out[0, 3] += values[0]
        out[2, 1] += values[0]

    of = parts(model)
    result["replace.set.logits"] = logits_with_hook(model, ids, mask, of.down, set_two)
    result["replace.add.logits"] = logits_with_hook(model, ids, mask, of.layers[0], add_one)
    for i, length in enumerate([5, 9, 2, 5]):
        prompt = torch.randint(3, 256, (1, length), generator=generator)
        with torch.no_grad():
            out = model.generate(prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=NEW_TOKENS,
                                 do_sample=False, eos_token_id=None, pad_token_id=0)
        result[f"generate.{i}.prompt"] = prompt[0]
        result[f"generate.{i}.continuation"] = out[0, length:]
    return {name: tensor.contiguous().clone() for name, tensor in result.items()}


def rewrite_config(folder, case):
    path = folder / "config.json"
    config = json.loads(path.read_text())
    for name in case.drop:
        config.pop(name, None)
    config.update(case.old)
    path.write_text(json.dumps(config, indent=2) + "\n")


def write(root, name):
    case, folder = CASES[name], root / name
    folder.mkdir(parents=True, exist_ok=True)
    make_model(case).to(case.dtype).save_pretrained(folder, max_shard_size=case.shard)
    if case.old:
        rewrite_config(folder, case)
    (folder / "generation_config.json").unlink(missing_ok=True)
    stored = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    save_file(reference(stored, 10 + case.seed), folder / "reference.safetensors")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=pathlib.Path, default=pathlib.Path(__file__).parent / "models")
    parser.add_argument("names", nargs="*", metavar="NAME", help="of " + ", ".join(CASES))
    arguments = parser.parse_args()
    for name in arguments.names or CASES:
        write(arguments.output, name)


if __name__ == "__main__":
    main()
