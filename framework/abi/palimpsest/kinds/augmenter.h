/* augmenter/1: a fact -> more prompts that teach the same fact. Text in, text out. */
#ifndef PALIMPSEST_KINDS_AUGMENTER_H
#define PALIMPSEST_KINDS_AUGMENTER_H

#include "palimpsest/types.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PALIMPSEST_KIND_AUGMENTER "augmenter"
#define PALIMPSEST_AUGMENTER_1 "augmenter/1"

typedef struct palimpsest_prompt_sink {
  void* context;
  /* One more prompt: a template with one {} where the subject stands.
   * When: by augment, any number of times; the order is kept.
   * Ownership: the text is the caller's; the host copies.
   * Thread: instance. Errors: INVALID_ARGUMENT for no {} or more than one; return the same status. UNSUPPORTED for a
   * test prompt of the fact (case and spaces aside), which is not taken; the augmenter may go on. */
  palimpsest_status (*prompt)(void* context, palimpsest_text prompt);
  /* A number about this fact's prompts that is worth keeping with the results, e.g. how many candidates were dropped.
   * When: by augment, any number of times. Ownership: the host copies the name.
   * Thread: instance. Errors: NUMERIC for NaN or infinity; then return the same status. */
  palimpsest_status (*record)(void* context, palimpsest_text name, double value);
} palimpsest_prompt_sink;

typedef struct palimpsest_augmenter_v1 {
  /* More prompts for one fact. Through fact/1 it sees the fact's `teach` paraphrases only. `model` is always the base
   * model, so that what is taught does not depend on what was edited before.
   * When: once for each edited fact, before its edit.
   * Ownership: everything passed lives for the call.
   * Thread: instance. Errors: any; the edit does not take place. */
  palimpsest_status (*augment)(void* instance, palimpsest_model* model, const palimpsest_fact* fact,
                               const palimpsest_prompt_sink* sink);
} palimpsest_augmenter_v1;

#ifdef __cplusplus
}
#endif
#endif
