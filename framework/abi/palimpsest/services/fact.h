/* fact/1: facts are opaque and read by name, so that they can grow without changing a struct. */
#ifndef PALIMPSEST_SERVICES_FACT_H
#define PALIMPSEST_SERVICES_FACT_H

#include "palimpsest/host.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PALIMPSEST_FACT_1 "fact/1"

typedef struct palimpsest_probe {
  palimpsest_text kind;   /* "paraphrase", "neighbourhood", "portability", "locality", or a user's own */
  palimpsest_text prompt; /* as the model reads it, the subject written out */
  palimpsest_text target; /* the expected answer; "" where it is the fact's own */
} palimpsest_probe;

typedef struct palimpsest_fact_v1 {
  /* Named texts: "id", "relation", "role" ("edited" or "intrinsic"), "subject", "prompt" (template), "target_new",
   * "target_true" ("" where unknown), "placebo" (a seeded random other target of the relation).
   * When: while the fact lives. Ownership: *out is a view that lives as long as the fact.
   * Thread: instance. Errors: NOT_FOUND for other names, with those that there are. */
  palimpsest_status (*text)(const palimpsest_host* host, const palimpsest_fact* fact, const char* name,
                            palimpsest_text* out);
  /* Named lists: "aliases", "relation_targets" (every other target of the relation). index < 0 gives *count only; `out`
   * may then be NULL.
   * When, Ownership, Thread: as text. Errors: NOT_FOUND for other names, OUT_OF_RANGE for an index behind the last. */
  palimpsest_status (*list)(const palimpsest_host* host, const palimpsest_fact* fact, const char* name, int64_t index,
                            int64_t* count, palimpsest_text* out);
  /* Probes that the calling kind may see: augmenters `teach` paraphrases and no others, metrics everything but `teach`,
   * the other kinds none. index < 0 gives *count only; `out` may then be NULL.
   * When, Ownership, Thread: as text. Errors: OUT_OF_RANGE for an index behind the last. */
  palimpsest_status (*probe)(const palimpsest_host* host, const palimpsest_fact* fact, int64_t index, int64_t* count,
                             palimpsest_probe* out);
} palimpsest_fact_v1;

#ifdef __cplusplus
}
#endif
#endif
