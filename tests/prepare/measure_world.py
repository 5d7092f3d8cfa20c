#!/usr/bin/env python3
"""How many facts of world.jsonl a model knows: a trial, not a test (minutes on a CPU; needs torch and transformers).

Known, as the project defines it: every token of the true target is the greedy choice, teacher-forced, and p(target |
subject) is at least twice its mean over other subjects of the relation (here: at most OTHERS of them, drawn by a seed;
the first token's probability, an upper bound, is used where that already settles it). Prints counts by relation, and
says which false targets begin with the true target's first token.
"""

import argparse
import collections
import json
import random
import time

import torch
import transformers

OTHERS = 20
BATCH = 32


class Model:
    def __init__(self, folder):
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        self.model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        self.cache = {}

    def ids(self, text):
        return self.tokenizer(text, add_special_tokens=False).input_ids

    @torch.no_grad()
    def score(self, pairs):
        """(prompt, target) -> (all target tokens greedy, p(target), p(first token)); rows of one length go together."""
        rows = collections.defaultdict(list)
        for pair in set(pairs) - set(self.cache):
            prompt, target = self.ids(pair[0]), self.ids(" " + pair[1])
            rows[len(prompt) + len(target)].append((pair, prompt, target))
        for group in rows.values():
            for start in range(0, len(group), BATCH):
                part = group[start : start + BATCH]
                hidden = self.model.model(
                    torch.tensor([prompt + target for _, prompt, target in part])
                ).last_hidden_state
                for row, (pair, prompt, target) in zip(hidden, part, strict=True):
                    logp = self.model.lm_head(row[len(prompt) - 1 : -1]).log_softmax(-1)
                    wanted = torch.tensor(target)
                    at_target = logp.gather(1, wanted[:, None])[:, 0]
                    greedy = bool((logp.argmax(-1) == wanted).all())
                    self.cache[pair] = (greedy, at_target.sum().exp().item(), at_target[0].exp().item())
        return [self.cache[pair] for pair in pairs]

    @torch.no_grad()
    def first_token(self, prompts):
        """{prompt: probabilities of the next token}, as float32 rows."""
        rows, result = collections.defaultdict(list), {}
        for prompt in prompts:
            ids = self.ids(prompt)
            rows[len(ids)].append((prompt, ids))
        for group in rows.values():
            for start in range(0, len(group), BATCH):
                part = group[start : start + BATCH]
                hidden = self.model.model(torch.tensor([ids for _, ids in part])).last_hidden_state[:, -1]
                for (prompt, _), row in zip(part, self.model.lm_head(hidden).softmax(-1), strict=True):
                    result[prompt] = row
        return result


def measure(model, facts, rng):
    """[(fact, greedy, p, known)] for the facts of one relation, all with one prompt template."""
    own = model.score([(fact["prompt"].replace("{}", fact["subject"]), fact["target_true"]) for fact in facts])
    candidates = [(fact, p) for fact, (greedy, p, _) in zip(facts, own, strict=True) if greedy]
    subjects = rng.sample([fact["subject"] for fact in facts], min(OTHERS + 1, len(facts)))
    first = model.first_token([facts[0]["prompt"].replace("{}", subject) for subject in subjects]) if candidates else {}
    specific = {}
    for fact, p in candidates:
        prompts = [prompt for prompt in first if prompt != fact["prompt"].replace("{}", fact["subject"])][:OTHERS]
        token = model.ids(" " + fact["target_true"])[0]
        mean = sum(first[prompt][token].item() for prompt in prompts) / len(prompts)
        if p < 2 * mean:
            scores = model.score([(prompt, fact["target_true"]) for prompt in prompts])
            mean = sum(score[1] for score in scores) / len(prompts)
        specific[fact["id"]] = p >= 2 * mean
    return [(fact, greedy, p, greedy and specific[fact["id"]]) for fact, (greedy, p, _) in zip(facts, own, strict=True)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="a Hugging Face folder")
    parser.add_argument("facts", help="world.jsonl, or a file like it")
    parser.add_argument("--output", help="write one JSON line per fact: id, greedy, p, known")
    parser.add_argument("--relation", action="append", help="only this relation (may be repeated)")
    parser.add_argument(
        "--frames", type=int, metavar="N", help="instead: try every prompt of the relation on N seeded facts"
    )
    options = parser.parse_args()
    model = Model(options.model)
    by_relation = collections.defaultdict(list)
    for line in open(options.facts, encoding="utf-8"):
        fact = json.loads(line)
        if not options.relation or fact["relation"] in options.relation:
            by_relation[fact["relation"]].append(fact)
    started, total, rows = time.monotonic(), collections.Counter(), []
    print(f"{'relation':20s} {'facts':>6s} {'greedy':>6s} {'known':>6s} {'p>=0.5':>6s}")
    for relation, facts in sorted(by_relation.items()):
        rng = random.Random(relation)
        if options.frames:
            sample = rng.sample(facts, min(options.frames, len(facts)))
            frames = [
                facts[0]["prompt"],
                *(probe["prompt"] for probe in facts[0]["probes"] if probe["kind"] == "paraphrase"),
            ]
            for frame in frames:
                found = measure(model, [{**fact, "prompt": frame} for fact in sample], random.Random(relation))
                known = [p for _, _, p, known in found if known]
                print(
                    f"{relation:20s} {len(found):6d} {sum(row[1] for row in found):6d} {len(known):6d} "
                    f"{sum(p >= 0.5 for p in known):6d}  {frame}",
                    flush=True,
                )
            continue
        found = measure(model, facts, rng)
        count = {
            "facts": len(found),
            "greedy": sum(row[1] for row in found),
            "known": sum(row[3] for row in found),
            "strong": sum(row[3] and row[2] >= 0.5 for row in found),
            "same first token": sum(
                model.ids(" " + fact["target_new"])[0] == model.ids(" " + fact["target_true"])[0] for fact in facts
            ),
        }
        total.update(count)
        print(
            f"{relation:20s} {count['facts']:6d} {count['greedy']:6d} {count['known']:6d} {count['strong']:6d}",
            flush=True,
        )
        rows += [{"id": fact["id"], "greedy": greedy, "p": p, "known": known} for fact, greedy, p, known in found]
    if not options.frames:
        print(f"{'all':20s} {total['facts']:6d} {total['greedy']:6d} {total['known']:6d} {total['strong']:6d}")
        print(f"false targets that share their first token with the true one: {total['same first token']}")
    print(f"{time.monotonic() - started:.0f} s")
    if options.output:
        with open(options.output, "w", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)


if __name__ == "__main__":
    main()
