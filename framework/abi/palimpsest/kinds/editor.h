/* editor/1: edit requests -> weight updates. */
#ifndef PALIMPSEST_KINDS_EDITOR_H
#define PALIMPSEST_KINDS_EDITOR_H

#include "palimpsest/types.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PALIMPSEST_KIND_EDITOR "editor"
#define PALIMPSEST_EDITOR_1 "editor/1"
#define PALIMPSEST_EDITOR_NEEDS_1 "editor.needs/1"
#define PALIMPSEST_EDITOR_STATE_1 "editor.state/1"

/* Where a request's prompt comes from, and how it is to be used. */
typedef int32_t palimpsest_prompt_origin;
enum {
  PALIMPSEST_PROMPT_OWN = 0,        /* the fact's own */
  PALIMPSEST_PROMPT_AUGMENTED = 1,  /* an augmenter's; the editor uses it as its method prefers */
  PALIMPSEST_PROMPT_AS_REQUEST = 2, /* an augmenter's, to be one more key-value pair */
  PALIMPSEST_PROMPT_AS_CONTEXT = 3  /* an augmenter's, to be one more context of the fact's own key and value */
};

/* One thing to teach. The requests of a fact stand together, its own prompt first. */
typedef struct palimpsest_edit_request {
  const palimpsest_fact* fact; /* read through fact/1 */
  palimpsest_text prompt;      /* template with one {} where the subject stands */
  palimpsest_text subject;
  palimpsest_text target; /* the answer to be given, without leading space */
  palimpsest_prompt_origin origin;
  int32_t reserved;
} palimpsest_edit_request;

/* Where an editor's updates go. Each call commits W' = round(float32(W) + update) into the host's open transaction:
 * later calls of model/1 within the same apply see it. It refuses an unknown name, a wrong shape and a value
 * that is not finite (PALIMPSEST_NUMERIC). */
typedef struct palimpsest_update_sink {
  void* context;
  /* W += U V^T; U [out, r], V [in, r], float32 or float64. With as many columns as requests, or as facts, column i is
   * the share of request or fact i: see update-origin/1. When: by apply, any number of times; the order is kept, and
   * each is rounded once into the weight's dtype. Ownership: the tensors stay the caller's; the host keeps their values
   * in float32, as recorded. Thread: instance. Errors: NOT_FOUND for a name the model has not, INVALID_ARGUMENT for a
   * shape or dtype that does not fit, NUMERIC for NaN or infinity; then return the same status. */
  palimpsest_status (*low_rank)(void* context, palimpsest_text parameter, palimpsest_tensor u, palimpsest_tensor v);
  /* W += delta; delta [out, in] (or the parameter's own shape), float32 or float64. When, Ownership, Thread and Errors:
   * as low_rank. */
  palimpsest_status (*dense)(void* context, palimpsest_text parameter, palimpsest_tensor delta);
  /* A number worth keeping about one request (its index, or -1 for the whole call): loss at a step, norm of the update,
   * ... `step` is -1 for numbers without steps. Goes to the results as it is.
   * When: by apply, any number of times. Ownership: the host copies the name.
   * Thread: instance. Errors: OUT_OF_RANGE for a request that is not there, NUMERIC for NaN or infinity; then return
   * the same status. */
  palimpsest_status (*record)(void* context, int64_t request, palimpsest_text name, int64_t step, double value);
} palimpsest_update_sink;

typedef struct palimpsest_editor_v1 {
  /* Computes and emits the updates that make `model` answer the requests. What it emits is open until it returns: OK
   * commits and records, an error (or an exception) puts back the very bytes that the model had before, and nothing
   * that was emitted remains.
   * When: once per edit: with one fact's requests (isolated, sequential) or with all (batch); never re-entered.
   * Ownership: `model`, `requests`, their facts and texts, and `sink` live for the call.
   * Thread: instance; grad mode is on as the host had it, and is put back afterwards, as are the number of threads and
   * the state of libtorch's default generator.
   * Errors: any, with a sentence through error/1; the status of a sink that failed is returned as it is. What the
   * instance keeps from call to call (editor.state/1) must then be what it was before. */
  palimpsest_status (*apply)(void* instance, palimpsest_model* model, const palimpsest_edit_request* requests,
                             size_t count, const palimpsest_update_sink* sink);
} palimpsest_editor_v1;

/* Optional: what apply will need, known from parameters and the shape of the model, so that a plan shows and shares it.
 */
typedef struct palimpsest_needs_sink {
  void* context;
  /* apply will read the second moment of this layer's keys through second-moment/1.
   * When: by needs, once a layer. Ownership: nothing is passed. Thread: instance.
   * Errors: none yet; return what is not OK. A layer outside the model is refused when needs has returned. */
  palimpsest_status (*second_moment)(void* context, int64_t layer);
  /* apply may change this layer, or, by -1, weights that belong to none (embeddings, final norm, head). An editor that
   * names none says that it changes nothing; an edit that changes what was not named is refused.
   * When, Ownership, Thread, Errors: as second_moment. */
  palimpsest_status (*edits_layer)(void* context, int64_t layer);
  /* The largest number of facts that one apply takes; not called: any.
   * When: by needs, at most once. Ownership, Thread, Errors: as second_moment. */
  palimpsest_status (*largest_batch)(void* context, int64_t facts);
} palimpsest_needs_sink;

typedef struct palimpsest_editor_needs_v1 {
  /* Says what apply will need.
   * When: before any run, so that a plan shows and shares it, and of another instance than the one that applies: what
   * is worked out here is not there then. No model is open, and of the services only error/1 and log/1 are of use.
   * Ownership: everything passed lives for the call.
   * Thread: instance. Errors: OUT_OF_RANGE or INVALID_ARGUMENT for a parameter that does not fit the model, e.g. a
   * layer it has not. */
  palimpsest_status (*needs)(void* instance, const palimpsest_model_info* info, const palimpsest_needs_sink* sink);
} palimpsest_editor_needs_v1;

/* Optional: state that lives from one apply to the next (AlphaEdit's cache). It is part of the stage: reset before
 * every isolated edit, saved with the stage and loaded when a run resumes. */
typedef struct palimpsest_state_sink {
  void* context;
  /* One tensor of the state, under a name that no other has.
   * When: by save, any number of times. Ownership: the host copies; `value` stays the caller's.
   * Thread: instance. Errors: UNSUPPORTED for a dtype that is not stored; then return the same status. */
  palimpsest_status (*tensor)(void* context, palimpsest_text name, palimpsest_tensor value);
} palimpsest_state_sink;

typedef struct palimpsest_editor_state_v1 {
  /* Forgets everything that earlier calls of apply left.
   * When: before the first apply of a stage, and so before every isolated edit. Ownership: what the state held is
   * freed. Thread: instance. Errors: any; the edit does not take place. */
  palimpsest_status (*reset)(void* instance);
  /* Gives the whole state to the sink: after load of it, apply must do what it would do here.
   * When: after the last apply of a stage. Ownership: `sink` lives for the call.
   * Thread: instance. Errors: any; the stage is not stored. */
  palimpsest_status (*save)(void* instance, const palimpsest_state_sink* sink);
  /* Takes over a state that save gave, perhaps in another process.
   * When: after reset, before the first apply of a stage that goes on from another.
   * Ownership: names and tensors live for the call; keep a tensor by tensor/1 retain, and do not write to it.
   * Thread: instance. Errors: CORRUPT or INVALID_ARGUMENT for a state that it did not save. */
  palimpsest_status (*load)(void* instance, const palimpsest_text* names, const palimpsest_tensor* values,
                            size_t count);
} palimpsest_editor_state_v1;

#ifdef __cplusplus
}
#endif
#endif
