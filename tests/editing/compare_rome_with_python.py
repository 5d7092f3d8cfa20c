"""ROME on a real model: the editor against the plain Python version, and how well its edits take.

    python tests/editing/compare_rome_with_python.py ROME_DUMP MODEL_FOLDER FACTS.jsonl TEXT.jsonl [--facts 20]
        [--compared 3]

Takes the first facts of the file that the model knows, and as C the second moment of the default layer's keys over the first
20,000 tokens of the text. ROME_DUMP (rome_dump.cpp) runs the editor with its default parameters on each fact. Checked:
- for the first facts, with contexts given here since a result does not tell which ones the editor sampled: u, v* and the update
  against the plain Python version, relative difference 1e-4;
- for every fact, with the contexts that the editor samples: efficacy 100 % (the new target more probable than the true one), and
  a neighbourhood score (share of prompts about other subjects whose own answer is more probable than the new target) at most 0.15
  below the unedited model's.
Printed beside them: whether the new target is what the edited model says, its mean probability, and the efficacy on the
paraphrases held out for tests. Exit status 1 on a failure.
"""

import argparse
import collections
import json
import math
import pathlib
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
MOMENT_TOKENS, BLOCK = 20000, 256
ROWS = 64  # of one forward
DIFFERENCE, EFFICACY, NEIGHBOURHOOD_LOSS = 1e-4, 1.0, 0.15

# A target after a prompt: log-probability (sum), number of tokens, whether greedy decoding gives it.
Answer = collections.namedtuple("Answer", "log_p tokens said")


def mean_log_p(answer):
    return answer.log_p / answer.tokens


def ask(model, tokenizer, pairs):
    """The Answer to each (prompt, target)."""
    answers = []
    for begin in range(0, len(pairs), ROWS):
        part = [(tokenizer(prompt)["input_ids"], reference.target_ids_of(tokenizer, target))
                for prompt, target in pairs[begin:begin + ROWS]]
        rows = [prompt + target[:-1] for prompt, target in part]
        width = max(map(len, rows))
        ids = torch.tensor([row + [0] * (width - len(row)) for row in rows])
        mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows])
        with torch.no_grad():
            hidden = model.model(input_ids=ids, attention_mask=mask).last_hidden_state
            for row, (prompt, target) in enumerate(part):
                first = len(prompt) - 1
                log_p = torch.log_softmax(model.lm_head(hidden[row, first:first + len(target)]).double(), dim=1)
                answers.append(Answer(log_p[range(len(target)), target].sum().item(), len(target),
                                      log_p.argmax(1).tolist() == target))
    return answers


def prompt_of(fact):
    return fact["prompt"].replace("{}", fact["subject"])


def probes_of(fact, kind, split=None):
    return [p for p in fact["probes"] if p["kind"] == kind and (split is None or p.get("split") == split)]


def known_facts(model, tokenizer, facts, count):
    """The first that the model knows, as framework/experiment/knowledge.cpp defines it: every token of the true target is the most
    probable one, and the target is at least twice as probable as, on the mean, after the other subjects of the relation."""
    subjects = collections.defaultdict(set)
    for fact in facts:
        subjects[fact["relation"]].add(fact["subject"])
    known = []
    for fact in facts:
        if not fact.get("target_true"):
            continue
        [own] = ask(model, tokenizer, [(prompt_of(fact), fact["target_true"])])
        if not own.said:
            continue
        others = ask(model, tokenizer, [(fact["prompt"].replace("{}", subject), fact["target_true"])
                                        for subject in sorted(subjects[fact["relation"]] - {fact["subject"]})])
        mean = sum(math.exp(other.log_p) for other in others) / max(len(others), 1)
        if math.exp(own.log_p) >= 2 * mean:
            known.append(fact)
            if len(known) == count:
                return known
    sys.exit(f"the model knows {len(known)} of the file's facts, {count} are needed")


def second_moment(model, tokenizer, path):
    """C over documents cut into blocks, in file order."""
    total, count = 0, 0
    for line in pathlib.Path(path).read_text(encoding="utf-8").splitlines():
        ids = tokenizer(json.loads(line)["text"], add_special_tokens=False)["input_ids"]
        for begin in range(0, len(ids), BLOCK):
            block = ids[begin:begin + BLOCK][:MOMENT_TOKENS - count]
            with reference.DownProjection(model, LAYER) as trace, torch.no_grad():
                model.model(input_ids=torch.tensor([block]))
            keys = trace.key[0].double()
            total, count = total + keys.T @ keys, count + len(keys)
            if count == MOMENT_TOKENS:
                return total / count
    sys.exit(f"{path} has {count} tokens, {MOMENT_TOKENS} are needed")


def run_editor(arguments, facts, contexts, mean):
    """What the editor made of each fact, under "PLACE.PART". No contexts: it samples its own."""
    with tempfile.TemporaryDirectory() as folder:
        scratch = pathlib.Path(folder)
        requests = [{"prompt": f["prompt"], "subject": f["subject"], "target": f["target_new"]} for f in facts]
        (scratch / "requests.json").write_text(json.dumps({"contexts": contexts, "requests": requests}))
        save_file({"mean": mean}, scratch / "moment.safetensors")
        subprocess.run([arguments.rome_dump, arguments.model, scratch / "requests.json", scratch / "moment.safetensors",
                        scratch / "made.safetensors"], check=True)
        return load_file(scratch / "made.safetensors")


def compare_numbers(model, tokenizer, facts, mean, made):
    """Whether all that the editor made equals the plain Python version's."""
    inverse, equal = torch.linalg.inv(mean), True
    for i, fact in enumerate(facts):
        wanted = reference.rome(model, tokenizer, fact["prompt"], fact["subject"], fact["target_new"], CONTEXTS,
                                reference.Parameters(), inverse)
        own = {part: made[f"{i}.{part}"] for part in ("left", "delta", "right")}
        for numbers in (own, wanted):
            numbers["update"] = torch.outer(numbers["right"], numbers["left"])
        differences = {part: ((own[part] - wanted[part]).norm() / wanted[part].norm()).item() for part in own}
        # As "every one is within the bound", which no NaN is.
        equal = equal and all(difference <= DIFFERENCE for difference in differences.values())
        print(fact["id"], {part: f"{difference:.1e}" for part, difference in differences.items()}, flush=True)
    return equal


def neighbourhood_score(answers):
    """Share of prompts whose own answer (even places) is more probable than the new target (odd places)."""
    own, new = answers[::2], answers[1::2]
    return sum(mean_log_p(a) > mean_log_p(b) for a, b in zip(own, new)) / len(own)


def judge_edit(model, tokenizer, fact, update):
    """Efficacy, whether the new target is said, its mean probability, efficacy on the test paraphrases, neighbourhood score before
    and after the update of the layer's weight."""
    held_out = [p["prompt"].replace("{}", fact["subject"]) for p in probes_of(fact, "paraphrase", "test")]
    taught = [(prompt, fact[target]) for prompt in [prompt_of(fact), *held_out] for target in ("target_new", "target_true")]
    near = [(p["prompt"], target) for p in probes_of(fact, "neighbourhood") for target in (p["target"], fact["target_new"])]
    before = neighbourhood_score(ask(model, tokenizer, near))
    weight = model.model.layers[LAYER].mlp.down_proj.weight
    original = weight.detach().clone()
    with torch.no_grad():
        weight.add_(update)
    answers = ask(model, tokenizer, taught + near)
    with torch.no_grad():
        weight.copy_(original)
    preferred = [mean_log_p(new) > mean_log_p(true)
                 for new, true in zip(answers[:len(taught):2], answers[1:len(taught):2])]
    return [float(preferred[0]), float(answers[0].said), math.exp(mean_log_p(answers[0])),
            sum(preferred[1:]) / max(len(held_out), 1), before, neighbourhood_score(answers[len(taught):])]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rome_dump")
    parser.add_argument("model")
    parser.add_argument("facts_file")
    parser.add_argument("text_file")
    parser.add_argument("--facts", type=int, default=20)
    parser.add_argument("--compared", type=int, default=3)
    arguments = parser.parse_args()
    model = AutoModelForCausalLM.from_pretrained(arguments.model, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(arguments.model)
    with open(arguments.facts_file, encoding="utf-8") as file:
        facts = [json.loads(line) for line in file]
    known = known_facts(model, tokenizer, facts, arguments.facts)
    mean = second_moment(model, tokenizer, arguments.text_file)

    compared = known[:arguments.compared]
    equal = compare_numbers(model, tokenizer, compared, mean, run_editor(arguments, compared, CONTEXTS, mean))

    made = run_editor(arguments, known, [], mean)
    judged = []
    for i, fact in enumerate(known):
        judged.append(judge_edit(model, tokenizer, fact, torch.outer(made[f"{i}.right"], made[f"{i}.left"])))
        print(f"{fact['id']}: {fact['target_true']} -> {fact['target_new']}", [round(x, 3) for x in judged[-1]], flush=True)
    efficacy, said, probability, paraphrases, before, after = (sum(column) / len(judged) for column in zip(*judged))
    print(f"new target said {said:.3f}, mean probability {probability:.3f}, paraphrases {paraphrases:.3f}")
    checks = [(equal, f"numbers of {len(compared)} facts equal plain Python's ({DIFFERENCE:.0e})"),
              (efficacy >= EFFICACY, f"efficacy {efficacy:.3f} of {len(known)} facts ({EFFICACY:.3f})"),
              (before - after <= NEIGHBOURHOOD_LOSS,
               f"neighbourhood score before {before:.3f}, after {after:.3f} (at most {NEIGHBOURHOOD_LOSS} less)")]
    for ok, text in checks:
        print(("ok    " if ok else "FAIL  ") + text)
    return 0 if all(ok for ok, _ in checks) else 1


if __name__ == "__main__":
    sys.exit(main())
