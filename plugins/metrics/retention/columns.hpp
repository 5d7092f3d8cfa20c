// The columns of `retention`, in the order of its rows.
#pragma once

#include "palimpsest/types.h"

namespace palimpsest::retention {

// What is measured of one target. Numbers: all_top1, first_top1, generated, logp, logp_mean, rank, margin.
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

#define PALIMPSEST_OUTCOMES(suffix, of, rate, rate_baseline, mean)                                                     \
  {"all_top1" suffix, PALIMPSEST_BOOL, "1", PALIMPSEST_ALL_TOP1(of), rate, rate_baseline},                             \
      {"first_top1" suffix, PALIMPSEST_BOOL, "1", PALIMPSEST_FIRST_TOP1(of), rate, rate_baseline},                     \
      {"generated" suffix, PALIMPSEST_BOOL, "1", PALIMPSEST_GENERATED(of), rate, rate_baseline},                       \
      {"logp" suffix, PALIMPSEST_FLOAT64, "nat", PALIMPSEST_LOGP(of), mean, PALIMPSEST_BASELINE_NONE},                 \
      {"logp_mean" suffix, PALIMPSEST_FLOAT64, "nat/token", PALIMPSEST_LOGP_MEAN(of), mean, PALIMPSEST_BASELINE_NONE}, \
      {"rank" suffix,       PALIMPSEST_FLOAT64,        "token",                                                        \
       PALIMPSEST_RANK(of), PALIMPSEST_AGGREGATE_NONE, PALIMPSEST_BASELINE_NONE},                                      \
  {                                                                                                                    \
    "margin" suffix, PALIMPSEST_FLOAT64, "nat", PALIMPSEST_MARGIN(of), mean, PALIMPSEST_BASELINE_NONE                  \
  }

// The fact's own target: what it is to be remembered for.
#define PALIMPSEST_OWN "the fact's own target (edited facts: target_new, intrinsic facts: target_true)"

inline constexpr palimpsest_column kColumns[] = {
    PALIMPSEST_OUTCOMES("", PALIMPSEST_OWN, PALIMPSEST_AGGREGATE_RATE, PALIMPSEST_BASELINE_BOTH,
                        PALIMPSEST_AGGREGATE_MEAN),
    {"generated_placebo", PALIMPSEST_BOOL, "1",
     "The outcome `generated` for the placebo, a seeded random other target of the relation: what `generated` gives "
     "for an answer that nobody taught.",
     PALIMPSEST_AGGREGATE_RATE, PALIMPSEST_BASELINE_NONE},
    {"retention_mixed", PALIMPSEST_BOOL, "1",
     "The retention paper's own scripts. Beware: its two probes differ. Edited facts: first_top1 of target_new. "
     "Intrinsic facts: target_true is a plain substring of prompt plus continuation of at most 50 tokens, which is "
     "much easier.",
     PALIMPSEST_AGGREGATE_RATE, PALIMPSEST_BASELINE_BOTH},
    {"shared_first_token", PALIMPSEST_BOOL, "1",
     "Both targets begin with the same token, so that first-token outcomes say nothing and are missing.",
     PALIMPSEST_AGGREGATE_RATE, PALIMPSEST_BASELINE_NONE},
    PALIMPSEST_OUTCOMES("_new", "target_new", PALIMPSEST_AGGREGATE_RATE, PALIMPSEST_BASELINE_NONE,
                        PALIMPSEST_AGGREGATE_MEAN),
    PALIMPSEST_OUTCOMES("_true", "target_true", PALIMPSEST_AGGREGATE_RATE, PALIMPSEST_BASELINE_NONE,
                        PALIMPSEST_AGGREGATE_MEAN),
    {"continuation", PALIMPSEST_TEXT, "", "The greedy continuation that `generated` was read from.",
     PALIMPSEST_AGGREGATE_NONE, PALIMPSEST_BASELINE_NONE},
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
