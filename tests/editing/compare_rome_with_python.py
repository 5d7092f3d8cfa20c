"""ROME on a real model: the editor against the plain Python version, and how well its edits take.

    python tests/editing/compare_rome_with_python.py ROME_DUMP MODEL_FOLDER FACTS.jsonl [--facts 20] [--compared 3]

Takes facts that the model knows (greedy, all tokens), computes the second moment of the default layer's keys over the
facts' own prompts, and runs ROME_DUMP (rome_dump.cpp) with the editor's default parameters on each fact. Prints the relative
differences of u, v* and the update from the plain Python version for the first facts, then for every fact whether the new
target is what the edited model says, the mean probability of its tokens, the same on the paraphrases held out for tests,
and the share of neighbourhood prompts whose own answer is more probable than the new target, before and after.
"""

import argparse
import json
import pathlib
import random
import subprocess
import sys
import tempfile

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "golden"))
import rome_reference as reference  # noqa: E402

LAYER = reference.Parameters.layer
CONTEXTS = ["{}", "The weather in the north was cold last year. {}", "Therefore most of the old books were lost. {}",
            "Because of the rain, people went home early. {}", "You know that a long road leads to the sea. {}"]


def target_logprobs(model, tokenizer, pairs):
    """Per (prompt, target): mean log-probability of the target's tokens, and whether greedy decoding gives them."""
    rows, lengths, targets = [], [], []
    for prompt, target in pairs:
        ids, wanted = tokenizer(prompt)["input_ids"], reference.target_ids_of(tokenizer, target)
        rows.append(ids + wanted[:-1])
        lengths.append(len(ids))
        targets.append(wanted)
    width = max(map(len, rows))
    ids = torch.tensor([row + [0] * (width - len(row)) for row in rows])
    mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows])
    with torch.no_grad():
        logits = model(input_ids=ids, attention_mask=mask).logits
    made = []
    for row, (length, wanted) in enumerate(zip(lengths, targets)):
        log_p = torch.log_softmax(logits[row, length - 1:length - 1 + len(wanted)].double(), dim=1)
        made.append((log_p[range(len(wanted)), wanted].mean().item(), log_p.argmax(1).tolist() == wanted))
    return made


def neighbourhood_score(pairs):
    """Share of prompts whose own target (even places) is more probable than the new one (odd places)."""
    return sum(own[0] > new[0] for own, new in zip(pairs[::2], pairs[1::2])) / max(len(pairs) // 2, 1)


def known_facts(model, tokenizer, path, count):
    facts = [json.loads(line) for line in open(path, encoding="utf-8")]
    random.Random(0).shuffle(facts)
    known = []
    for fact in facts:
        if target_logprobs(model, tokenizer, [(fact["prompt"].replace("{}", fact["subject"]), fact["target_true"])])[0][1]:
            known.append(fact)
            if len(known) == count:
                break
    return known, facts


def second_moment(model, tokenizer, facts):
    total, count = 0, 0
    texts = [" ".join([f["prompt"], f["target_true"] + "."] + [p["prompt"] for p in f["probes"][:6]]).replace(
        "{}", f["subject"]) for f in facts[:150]]
    for begin in range(0, len(texts), 20):
        ids, mask = reference.rows_of(tokenizer, texts[begin:begin + 20])
        with reference.DownProjection(model, LAYER) as trace, torch.no_grad():
            model.model(input_ids=ids, attention_mask=mask)
        keys = trace.key[mask.bool()].double()
        total, count = total + keys.T @ keys, count + len(keys)
    return total / count


def probes_of(fact, kind, split=None):
    return [p for p in fact["probes"] if p["kind"] == kind and (split is None or p.get("split") == split)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rome_dump")
    parser.add_argument("model")
    parser.add_argument("facts_file")
    parser.add_argument("--facts", type=int, default=20)
    parser.add_argument("--compared", type=int, default=3)
    arguments = parser.parse_args()
    model = AutoModelForCausalLM.from_pretrained(arguments.model, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(arguments.model)
    known, facts = known_facts(model, tokenizer, arguments.facts_file, arguments.facts)
    mean = second_moment(model, tokenizer, facts)

    with tempfile.TemporaryDirectory() as folder:
        scratch = pathlib.Path(folder)
        requests = [{"prompt": f["prompt"], "subject": f["subject"], "target": f["target_new"]} for f in known]
        (scratch / "requests.json").write_text(json.dumps({"contexts": CONTEXTS, "requests": requests}))
        save_file({"mean": mean}, scratch / "moment.safetensors")
        subprocess.run([arguments.rome_dump, arguments.model, scratch / "requests.json", scratch / "moment.safetensors",
                        scratch / "made.safetensors"], check=True)
        made = load_file(scratch / "made.safetensors")

    inverse, worst = torch.linalg.inv(mean), 0.0
    for i, fact in enumerate(known[:arguments.compared]):
        wanted = reference.rome(model, tokenizer, fact["prompt"], fact["subject"], fact["target_new"], CONTEXTS,
                                reference.Parameters(), inverse)
        differences = {part: ((made[f"{i}.{part}"] - wanted[part]).norm() / wanted[part].norm()).item()
                       for part in ("left", "delta", "right")}
        update, python = (torch.outer(a["right"], a["left"]) for a in (
            {part: made[f"{i}.{part}"] for part in ("left", "right")}, wanted))
        differences["update"] = ((update - python).norm() / python.norm()).item()
        worst = max(worst, *differences.values())
        print(fact["id"], {name: f"{value:.1e}" for name, value in differences.items()}, flush=True)
    print(f"largest relative difference: {worst:.1e}")

    weight = model.model.layers[LAYER].mlp.down_proj.weight
    original = weight.detach().clone()
    sums = torch.zeros(5)
    for i, fact in enumerate(known):
        own = [(fact["prompt"].replace("{}", fact["subject"]), fact["target_new"])]
        held_out = [(p["prompt"].replace("{}", fact["subject"]), fact["target_new"])
                    for p in probes_of(fact, "paraphrase", "test")]
        near = [(p["prompt"], target) for p in probes_of(fact, "neighbourhood") for target in (p["target"], fact["target_new"])]
        before = neighbourhood_score(target_logprobs(model, tokenizer, near))
        with torch.no_grad():
            weight.copy_(original + torch.outer(made[f"{i}.right"], made[f"{i}.left"]))
        result = target_logprobs(model, tokenizer, own + held_out + near)
        with torch.no_grad():
            weight.copy_(original)
        log_p, said = result[0]
        generalised = [hit for _, hit in result[1:1 + len(held_out)]]
        after = neighbourhood_score(result[1 + len(held_out):])
        row = torch.tensor([said, torch.tensor(log_p).exp(), sum(generalised) / max(len(generalised), 1), before, after])
        sums += row
        print(f"{fact['id']}: {fact['target_true']} -> {fact['target_new']}", [round(x, 3) for x in row.tolist()])
    print("efficacy {:.3f}, mean probability {:.3f}, paraphrases {:.3f}, neighbours before {:.3f} after {:.3f}".format(
        *(sums / len(known)).tolist()))
    return 0 if worst < 1e-4 else 1


if __name__ == "__main__":
    sys.exit(main())
