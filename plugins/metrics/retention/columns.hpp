// The columns of `retention`, in the order of its rows.
#pragma once

#include "palimpsest/sdk/columns.hpp"

namespace palimpsest::retention {

// What is measured of one target. Numbers: all_top1, first_top1, generated, margin, logp, logp_mean, rank. The first
// rate and the first mean are the primary outcomes, which the host's contrasts are about.
inline constexpr int kOutcomes = 7;

#define PALIMPSEST_ALL_TOP1(of) \
  "Every token of " of " is the greedy one, its earlier tokens given (teacher-forced). The primary binary outcome."
#define PALIMPSEST_FIRST_TOP1(of) \
  "The first token of " of " is the greedy one. Missing where both targets share their first token."
#define PALIMPSEST_GENERATED(of)                                                                                    \
  of " stands as whole words, case-sensitive, in the greedy continuation of at most max_new_tokens tokens; one of " \
     "fewer than 4 characters only as its first word."
#define PALIMPSEST_LOGP(of) "Sum over the tokens of " of " of log p(token | prompt and earlier tokens)."
#define PALIMPSEST_LOGP_MEAN(of) "logp of " of " divided by its number of tokens."
#define PALIMPSEST_RANK(of)                                   \
  "Tokens that are more probable than the first token of " of \
  " (0: it is the greedy one). NaN where both targets "       \
  "share their first token."
#define PALIMPSEST_MARGIN(of)                                                            \
  "log p(first token of " of                                                             \
  ") - log p(best other token), both after the prompt. The primary continuous outcome. " \
  "NaN where both targets share their first token."

#define PALIMPSEST_OUTCOMES(suffix, of, baseline, gate)                       \
  rate_column("all_top1" suffix, PALIMPSEST_ALL_TOP1(of), baseline, gate),    \
      rate_column("first_top1" suffix, PALIMPSEST_FIRST_TOP1(of), baseline),  \
      rate_column("generated" suffix, PALIMPSEST_GENERATED(of), baseline),    \
      mean_column("margin" suffix, "nat", PALIMPSEST_MARGIN(of)),             \
      mean_column("logp" suffix, "nat", PALIMPSEST_LOGP(of)),                 \
      mean_column("logp_mean" suffix, "nat/token", PALIMPSEST_LOGP_MEAN(of)), \
      plain_column("rank" suffix, PALIMPSEST_FLOAT64, "token", PALIMPSEST_RANK(of))

// The fact's own target: what it is to be remembered for.
#define PALIMPSEST_OWN "the fact's own target (edited facts: target_new, intrinsic facts: target_true)"

using sdk::mean_column;
using sdk::plain_column;
using sdk::rate_column;

// For an edited fact `all_top1` is whether the edit succeeded, so a study without `edit_success` has its gate too.
inline constexpr palimpsest_column kColumns[] = {
    PALIMPSEST_OUTCOMES("", PALIMPSEST_OWN, PALIMPSEST_BASELINE_BOTH, PALIMPSEST_GATE_EFFICACY),
    rate_column(
        "generated_placebo",
        "The outcome `generated` for the placebo, a seeded random other target of the relation: what `generated` "
        "gives for another answer of its kind.",
        PALIMPSEST_BASELINE_NONE),
    rate_column("retention_mixed",
                "The retention paper's own scripts. Beware: its two probes differ. Edited facts: first_top1 of "
                "target_new. Intrinsic facts: target_true is a plain substring of prompt plus continuation of at most "
                "50 tokens, which is much easier."),
    rate_column("shared_first_token",
                "Both targets begin with the same token, so that first-token outcomes say nothing and are missing.",
                PALIMPSEST_BASELINE_NONE),
    PALIMPSEST_OUTCOMES("_new", "target_new", PALIMPSEST_BASELINE_NONE, PALIMPSEST_GATE_NONE),
    PALIMPSEST_OUTCOMES("_true", "target_true", PALIMPSEST_BASELINE_NONE, PALIMPSEST_GATE_NONE),
    plain_column("continuation", PALIMPSEST_TEXT, "", "The greedy continuation that `generated` was read from."),
};

#undef PALIMPSEST_OWN
#undef PALIMPSEST_OUTCOMES
#undef PALIMPSEST_MARGIN
#undef PALIMPSEST_RANK
#undef PALIMPSEST_LOGP_MEAN
#undef PALIMPSEST_LOGP
#undef PALIMPSEST_GENERATED
#undef PALIMPSEST_FIRST_TOP1
#undef PALIMPSEST_ALL_TOP1

}  // namespace palimpsest::retention
