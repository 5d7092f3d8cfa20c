/* model/1: the model runtime. One forward serves keys, values, generation and evaluation: a key/value cache, a starting
 * layer, a stopping layer, sites to capture and to replace, and only the head rows that are asked for. */
#ifndef PALIMPSEST_SERVICES_MODEL_H
#define PALIMPSEST_SERVICES_MODEL_H

#include "palimpsest/host.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PALIMPSEST_MODEL_1 "model/1"

typedef int32_t palimpsest_stage;
enum {
  PALIMPSEST_STAGE_CURRENT = 0, /* the weights as they are now, open transaction included */
  PALIMPSEST_STAGE_BASE = 1,    /* the unedited model */
  PALIMPSEST_STAGE_EDITED = 2   /* as the last stage that edits left them; base when there was none */
};

typedef int32_t palimpsest_replace_mode;
enum { PALIMPSEST_REPLACE_SET = 0, PALIMPSEST_REPLACE_ADD = 1 };

/* A token of the request: row of the batch, position within the row's own tokens (a cached prefix is not counted). */
typedef struct palimpsest_position {
  int64_t row;
  int64_t position;
} palimpsest_position;

/* Changes a site during forward; differentiable in what is given. */
typedef struct palimpsest_replacement {
  palimpsest_text site;
  palimpsest_replace_mode mode;
  int32_t reserved;
  const palimpsest_position* at; /* where, with `value` */
  size_t at_count;
  palimpsest_tensor value; /* [at_count, D] or [D]; NULL when callback is given */
  /* Sees the site as [rows, tokens, D] and returns another of the same shape and dtype.
   * When: during forward, once, when the site is reached. Ownership: `site` is a handle for the call; *replaced is the
   * host's to release.
   * Thread: that of forward. Errors: any; forward unwinds and returns the same status. */
  palimpsest_status (*callback)(void* context, palimpsest_tensor site, palimpsest_tensor* replaced);
  void* callback_context;
} palimpsest_replacement;

/* A parameter used in place of the model's own, without writing it: `dense` of the parameter's shape, or W + U V^T with
 * u [out, r] and v [in, r]. Differentiable in what is given. */
typedef struct palimpsest_override {
  palimpsest_text parameter;
  palimpsest_tensor dense;
  palimpsest_tensor u, v;
} palimpsest_override;

typedef struct palimpsest_forward_request {
  palimpsest_stage stage;   /* whose weights */
  int32_t return_cache;     /* 1: the result has a cache that later requests can continue */
  const int64_t* token_ids; /* [rows, tokens], row-major, right-padded (any id may pad) */
  int64_t rows, tokens;
  const int64_t* lengths;         /* [rows], valid tokens of each row, >= 1 */
  const palimpsest_cache* cache;  /* prefix of every row, or NULL */
  const int64_t* cache_rows;      /* [rows] row of the cache that each row continues, or NULL: row i continues i */
  int64_t first_layer;            /* 0, or the layer to start at, with `hidden` as its input */
  int64_t last_layer;             /* the last layer to run, inclusive, whose output logits read; -1: all */
  palimpsest_tensor hidden;       /* [rows, tokens, hidden] for first_layer > 0, else NULL */
  const palimpsest_text* capture; /* sites whose values are wanted */
  size_t capture_count;
  const palimpsest_replacement* replace;
  size_t replace_count;
  const palimpsest_position* logits; /* where all logits are wanted */
  size_t logit_count;
  /* Where log p(target) is wanted: fused, differentiable, never all logits. target_ids[i] is predicted at logprobs[i].
   */
  const palimpsest_position* logprobs;
  const int64_t* target_ids;
  size_t logprob_count;
  const palimpsest_override* overrides;
  size_t override_count;
} palimpsest_forward_request;

/* Every handle here is the receiver's to release (cache: by release_cache). NULL where nothing was asked. */
typedef struct palimpsest_forward_result {
  palimpsest_tensor* captured; /* the caller's array of capture_count handles; each filled with [rows, tokens, D] */
  palimpsest_tensor logits;    /* [logit_count, vocabulary], float32 */
  palimpsest_tensor logprobs;  /* [logprob_count], float32, natural logarithm */
  palimpsest_tensor hidden;    /* [rows, tokens, hidden]: output of the last layer run, never normed; 0 at padding */
  palimpsest_cache* cache;
} palimpsest_forward_result;

typedef struct palimpsest_model_v1 {
  /* The shape of the model.
   * When: while the model lives, which is the call that it was passed to; so for all below. Ownership: *out is the
   * caller's. Thread: instance. Errors: none known. */
  palimpsest_status (*info)(palimpsest_model* model, palimpsest_model_info* out);
  /* The weight by canonical name, in the model's dtype, with the strides that its file gives it (GPT-2's matrices lie
   * column by column). It must not be written to: what was given stays what it was, also when the model changes later.
   * When: as info. Ownership: *out is the caller's to release. Thread: instance.
   * Errors: NOT_FOUND, with the nearest names. */
  palimpsest_status (*parameter)(palimpsest_model* model, palimpsest_stage stage, palimpsest_text name,
                                 palimpsest_tensor* out);
  /* The updates recorded by the stages that edit, in order; u, v or dense as in an editor's sink, the others NULL.
   * index < 0 gives *count only; the rest may then be NULL.
   * When: as info. Ownership: the tensors are the caller's to release; the name is valid until the next call.
   * Thread: instance. Errors: OUT_OF_RANGE for an index behind the last. */
  palimpsest_status (*update)(palimpsest_model* model, int64_t index, int64_t* count, palimpsest_text* parameter,
                              palimpsest_tensor* u, palimpsest_tensor* v, palimpsest_tensor* dense);
  /* Runs the request. The graph is kept only when something given requires grad and grad mode is on.
   * When: as info, as often as wanted; not from within a callback of another forward.
   * Ownership: the request and all that it points to live for the call; what *result receives is the caller's to
   * release. On failure nothing in *result is the caller's. Thread: instance; callbacks run on it. Errors:
   * INVALID_ARGUMENT for shapes, sites or combinations that do not fit, OUT_OF_RANGE for layers, positions and ids,
   * NOT_FOUND for an overridden parameter, what a callback returned. */
  palimpsest_status (*forward)(palimpsest_model* model, const palimpsest_forward_request* request,
                               palimpsest_forward_result* result);
  /* Ends a cache that forward returned.
   * When: once for every such cache, before the call that the model lives for returns. Ownership: takes it; NULL is
   * allowed.
   * Thread: instance. Errors: none. */
  void (*release_cache)(palimpsest_model* model, palimpsest_cache* cache);
} palimpsest_model_v1;

#ifdef __cplusplus
}
#endif
#endif
