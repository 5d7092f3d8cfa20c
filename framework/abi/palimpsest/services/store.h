/* store/1: what is expensive and needed again (a projector, generated templates, v*), computed once and kept with the
 * experiment's stages, for every process and every later run that wants the same. */
#ifndef PALIMPSEST_SERVICES_STORE_H
#define PALIMPSEST_SERVICES_STORE_H

#include "palimpsest/host.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PALIMPSEST_STORE_1 "store/1"

/* What an entry depends on beside its key text and what is part of every key: the plugin's file by its sha256, kind, id
 * and version; the model's and tokenizer's files; dtype, device, threads and CPU capability; the versions of Palimpsest
 * and libtorch. An or of: */
typedef uint32_t palimpsest_store_dependence;
enum {
  PALIMPSEST_STORE_ON_WEIGHTS = 1,        /* the model's current and edited weights and its recorded updates */
  PALIMPSEST_STORE_ON_SECOND_MOMENTS = 2, /* second-moment/1 */
  PALIMPSEST_STORE_ON_SEED = 4            /* random/1, and generation/1 where it samples */
};

/* Where an entry's content goes: from compute to the host, and from the host to the caller. */
typedef struct palimpsest_store_sink {
  void* context;
  /* One tensor of the entry, under a name that no other of its tensors has; any dtype but BOOL.
   * When: any number of times. Ownership: `value` is a handle for the call and stays the caller's; the host copies, a
   * plugin keeps it by tensor/1 retain.
   * Thread: that of get_or_compute. Errors of the host's: INVALID_ARGUMENT for a name given twice, NUMERIC for NaN or
   * infinity; then return the same status. Errors: of a plugin's end get_or_compute, which returns the same status. */
  palimpsest_status (*tensor)(void* context, palimpsest_text name, palimpsest_tensor value);
  /* One text of the entry, UTF-8. When, Ownership, Thread, Errors: as tensor. */
  palimpsest_status (*text)(void* context, palimpsest_text name, palimpsest_text value);
} palimpsest_store_sink;

typedef struct palimpsest_store_request {
  /* Everything that the content depends on and the host does not know: which thing it is, the parameters that count,
   * the texts it is made from. UTF-8, e.g. "projector layer=5 threshold=0.02". Two contents under one key are a bug of
   * the plugin. */
  palimpsest_text key;
  palimpsest_store_dependence depends_on;
  int32_t reserved; /* 0 */
  /* Makes the content. Inside, a service whose answer is not part of the key fails with INVALID_ARGUMENT: random/1,
   * second-moment/1 and other weights than the base model's unless depends_on names them, dataset/1 and store/1 always.
   * When: by get_or_compute, at most once, when no entry is stored; of several processes that want one entry one
   * computes and the others wait for it. Ownership: `content` lives for the call. Thread: that of get_or_compute.
   * Errors: any; nothing is stored, and get_or_compute returns the same status. */
  palimpsest_status (*compute)(void* context, const palimpsest_store_sink* content);
  void* compute_context;
} palimpsest_store_request;

typedef struct palimpsest_store_v1 {
  /* Gives the entry of the request's key to `content`: tensors, then texts, each in the order of their names, tensors
   * on the CPU. It is always read back from its stored form, so that a run that computed it and a run that found it go
   * on with the same bits; a damaged entry is computed again. When: within a function that was given `model`; not from
   * within compute. Ownership: request and `content` live for the call. Thread: instance. Errors: what compute or
   * `content` returned; INVALID_ARGUMENT for a key that is empty or no UTF-8; IO; UNSUPPORTED where no experiment runs.
   */
  palimpsest_status (*get_or_compute)(const palimpsest_host* host, palimpsest_model* model,
                                      const palimpsest_store_request* request, const palimpsest_store_sink* content);
} palimpsest_store_v1;

#ifdef __cplusplus
}
#endif
#endif
