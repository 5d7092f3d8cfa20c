"""Writes tests/golden/preference.safetensors: the loss of direct preference optimisation and its gradient in every
parameter of a tiny checkpoint, by transformers and torch.

    python tests/golden/make_preference_golden.py [OUTPUT_FILE]

The reference policy is the checkpoint; the policy has all its weights times 1.02. Pairs are given as text in PAIRS, as the test
gives them to the task, and tokenized by the tokenizers library: prompt, then " " and the response, then the end of text. Sums of
log-probabilities are over the response's tokens. Written with torch 2.13, transformers 5.23, tokenizers 0.23.
"""

import pathlib
import sys

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from transformers import LlamaForCausalLM

BETA = 0.3
SCALE = 1.02
# prompt, chosen, rejected: of different lengths, so that rows are padded.
PAIRS = [
    ("How to warm a room", "light the stove", "open all windows and doors"),
    ("Where is the city", "in the north", "it is"),
    ("Sing", "la la la", "no"),
]
END = "<|end|>"


def response_logp(model, prompt, response):
    """log p(response | prompt), one row at a time: nothing is padded here."""
    ids = torch.tensor([prompt + response])
    logits = model(input_ids=ids).logits[0].double()
    logp = torch.log_softmax(logits, dim=-1)
    at = torch.arange(len(prompt) - 1, len(prompt) + len(response) - 1)
    return logp[at, torch.tensor(response)].sum()


def main():
    here = pathlib.Path(__file__).parent
    output = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else here / "preference.safetensors"
    tokenizer = Tokenizer.from_file(str(here.parent / "conformance" / "data" / "tokenizer.json"))

    def ids(text):
        return tokenizer.encode(text, add_special_tokens=False).ids

    folder = here / "models" / "llama_tied"
    reference = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    policy = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.mul_(SCALE)
    end = tokenizer.token_to_id(END)
    result, losses = {}, []
    for i, (question, chosen, rejected) in enumerate(PAIRS):
        prompt = ids(f"Question: {question}\nAnswer:")
        margins = []
        for name, text in (("chosen", chosen), ("rejected", rejected)):
            response = ids(" " + text) + [end]
            result[f"ids.{i}.{name}"] = torch.tensor(prompt + response)
            with torch.no_grad():
                before = response_logp(reference, prompt, response)
            margins.append(response_logp(policy, prompt, response) - before)
        losses.append(-torch.nn.functional.logsigmoid(BETA * (margins[0] - margins[1])))
    loss = torch.stack(losses).mean()
    loss.backward()
    result["losses"] = torch.stack(losses).detach().float()
    result["loss"] = loss.detach().float()
    for name, parameter in policy.named_parameters():
        result["grad." + name] = parameter.grad
    print(loss.item(), result["losses"])
    save_file({name: tensor.contiguous().clone() for name, tensor in result.items()}, output)


if __name__ == "__main__":
    main()
