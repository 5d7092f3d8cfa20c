/* metric/1: model + facts -> named measurements. */
#ifndef PALIMPSEST_KINDS_METRIC_H
#define PALIMPSEST_KINDS_METRIC_H

#include "palimpsest/types.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PALIMPSEST_KIND_METRIC "metric"
#define PALIMPSEST_METRIC_1 "metric/1"

/* When a metric runs; an or of: */
enum {
  PALIMPSEST_WHEN_BASE = 1,      /* the unedited model */
  PALIMPSEST_WHEN_EDITED = 2,    /* after a stage that edits (`edit`, `reapply`) */
  PALIMPSEST_WHEN_STEP = 4,      /* at the measuring steps of fine-tuning */
  PALIMPSEST_WHEN_FINETUNED = 8, /* after the last step */
  PALIMPSEST_WHEN_ALWAYS = 15
};

typedef struct palimpsest_measure_request {
  palimpsest_model* model;             /* current weights; base and edited weights are there too through model/1 */
  int64_t ordinal;                     /* of the stage in the cell: 0 base, 1 the first stage of the list, ... */
  palimpsest_text stage;               /* "base", "edited", "step" or "finetuned" */
  int64_t step;                        /* optimiser steps done so far; 0 outside fine-tuning */
  const palimpsest_fact* const* facts; /* edited facts first, then intrinsic; role by fact/1 */
  size_t fact_count;
  int64_t tokens_trained; /* of all fine-tuning before this point */
  int64_t edit_tokens; /* of all edit requests before this point, what augmenters added included: prompt and target */
} palimpsest_measure_request;

typedef struct palimpsest_metric_v1 {
  /* When to run: an or of PALIMPSEST_WHEN_*; may depend on parameters.
   * When: before the first measuring; the same every time. Ownership: nothing is passed.
   * Thread: instance. Errors: none; 0 and unknown bits are refused by the conformance test. */
  uint32_t (*when)(void* instance);
  /* The columns that every row of measure fills; the host summarises from these declarations alone.
   * When: at any time. Ownership: *columns is the plugin's and lives as long as the instance.
   * Thread: instance. Errors: any; nothing is measured. */
  palimpsest_status (*columns)(void* instance, const palimpsest_column** columns, size_t* count);
  /* Measures and emits rows. Must leave the model as it is.
   * When: once for each measuring point that `when` names, each of an instance of its own; gradients are off
   * (autograd/1 turns them on). Ownership: `request`, all that it points to, and `sink` live for the call. Thread:
   * instance. Errors: any; what the sink returned. NUMERIC where the model's outputs are NaN or infinite. */
  palimpsest_status (*measure)(void* instance, const palimpsest_measure_request* request,
                               const palimpsest_row_sink* sink);
} palimpsest_metric_v1;

#ifdef __cplusplus
}
#endif
#endif
