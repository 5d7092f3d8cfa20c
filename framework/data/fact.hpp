// A fact and its probes, and what every fact must satisfy whichever file it came from.
//
// A checked fact: texts are UTF-8 without white space at the ends; the template holds exactly one `{}`; targets have at
// least two characters and no special token; teach and test share no prompt. Facts are plain values; nothing here has
// state.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/row_errors.hpp"

namespace palimpsest::data {

struct Probe {
  std::string kind;    // paraphrase, neighbourhood, portability, locality, or a user's own lower-case word
  std::string prompt;  // as the model reads it: the subject is written out
  std::string target;  // the probe's own answer; "" where it has none (docs/facts.md: what each kind then asks for)
  // "teach": augmenters see it; "test": metrics see it; "": belongs to neither side (not a paraphrase).
  std::string split;

  bool operator==(const Probe&) const = default;
};

struct Fact {
  std::string id;
  std::string relation;
  std::string subject;
  std::string prompt;  // template with one `{}` where the subject stands
  std::string target_new;
  std::string target_true;  // may be empty: an edit of something the file gives no true answer for
  std::vector<std::string> aliases;
  std::vector<Probe> probes;
  std::int64_t line = 0;  // of the file it came from, from 1

  bool operator==(const Fact&) const = default;
};

inline constexpr std::string_view kPortability = "portability";  // the consequences of a fact's answer
inline constexpr std::array<std::string_view, 4> kProbeKinds = {"paraphrase", "neighbourhood", kPortability,
                                                                "locality"};

// The template with the subject written out.
std::string expand(std::string_view prompt_template, std::string_view subject);
// The template's texts before and behind `{}`.
std::pair<std::string_view, std::string_view> literal_parts(std::string_view prompt_template);

// A special token that a target may not hold, found in `text`: one of `special_tokens`, one of the well-known names
// ("</s>", "<bos>", ...) or anything of the form <|...|>. "" when there is none.
std::string special_token_in(std::string_view text, std::span<const std::string> special_tokens);

// Adds to `errors`, under the fact's line, everything in which `fact` by itself breaks the rules above.
void check_fact(const Fact& fact, std::span<const std::string> special_tokens, RowErrors& errors);

// Adds what breaks the rules between facts: ids that stand twice, a prompt (case and spaces folded) that is taught by
// one fact's teach probe or own prompt and tested by the same fact, or taught and tested by probes of different facts.
void check_facts_together(std::span<const Fact> facts, RowErrors& errors);

}  // namespace palimpsest::data
