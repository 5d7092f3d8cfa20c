/* freeze-policy/1: which parameters, or directions in them, fine-tuning may change. */
#ifndef PALIMPSEST_KINDS_FREEZE_POLICY_H
#define PALIMPSEST_KINDS_FREEZE_POLICY_H

#include "palimpsest/types.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PALIMPSEST_KIND_FREEZE_POLICY "freeze-policy"
#define PALIMPSEST_FREEZE_POLICY_1 "freeze-policy/1"

typedef struct palimpsest_parameter_info {
  palimpsest_text name;  /* canonical, e.g. layers.5.mlp.down.weight */
  palimpsest_text role;  /* e.g. "embedding", "mlp_down", "attention_query", "final_norm", "head" */
  int64_t layer;         /* -1: belongs to no layer */
  int64_t rows, columns; /* [out, in]; columns is 1 for a vector */
  int32_t tied;          /* 1: embedding that is also the head */
  int32_t reserved;
} palimpsest_parameter_info;

/* A recorded update of the edit. `u`, `v` for low rank (rank > 0), else `dense`; the others are NULL. */
typedef struct palimpsest_recorded_update {
  palimpsest_text parameter;
  int64_t rank;
  palimpsest_tensor u, v, dense;
} palimpsest_recorded_update;

typedef int32_t palimpsest_side;
enum {
  PALIMPSEST_SIDE_OUT = 0, /* basis [out, r]: the displacement loses Q Q^T D */
  PALIMPSEST_SIDE_IN = 1   /* basis [in, r]: the displacement loses D Q Q^T */
};

typedef struct palimpsest_freeze_sink {
  void* context;
  /* Parameter `index` does not change: afterwards its bytes are what they were.
   * When: by decide, any number of times. Ownership: nothing is passed.
   * Thread: instance. Errors: OUT_OF_RANGE; then return the same status. */
  palimpsest_status (*freeze)(void* context, size_t index);
  /* Parameter `index` changes, but not along the orthonormal columns of `basis`: the displacement from the entering
   * weights is projected after each optimiser step.
   * When: by decide, any number of times. Ownership: `basis` stays the caller's; the host keeps a copy in float32.
   * Thread: instance. Errors: OUT_OF_RANGE, INVALID_ARGUMENT for a shape that does not fit, NUMERIC for columns that
   * are not orthonormal; then return the same status. */
  palimpsest_status (*project)(void* context, size_t index, palimpsest_side side, palimpsest_tensor basis);
} palimpsest_freeze_sink;

typedef struct palimpsest_freeze_policy_v1 {
  /* Decides what fine-tuning may change; a parameter that is not named to the sink stays trainable.
   * When: once, before step 0. Ownership: everything passed lives for the call.
   * Thread: instance. Errors: a policy that was meant to freeze something and finds nothing to freeze must return one,
   * as must one that would freeze everything. */
  palimpsest_status (*decide)(void* instance, const palimpsest_model_info* info,
                              const palimpsest_parameter_info* parameters, size_t parameter_count,
                              const palimpsest_recorded_update* updates, size_t update_count,
                              const palimpsest_freeze_sink* sink);
} palimpsest_freeze_policy_v1;

#ifdef __cplusplus
}
#endif
#endif
