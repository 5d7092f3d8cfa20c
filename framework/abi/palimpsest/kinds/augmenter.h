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
  /* One more prompt: a template with one {} where the subject stands. Copied. Refused: no {}, more than one, a test
   * prompt of the fact. */
  palimpsest_status (*prompt)(void* context, palimpsest_text prompt);
} palimpsest_prompt_sink;

typedef struct palimpsest_augmenter_v1 {
  /* More prompts for one fact. Through fact/1 it sees the fact's `teach` prompts only. `model` is always the base
   * model. */
  palimpsest_status (*augment)(void* instance, palimpsest_model* model, const palimpsest_fact* fact,
                               const palimpsest_prompt_sink* sink);
} palimpsest_augmenter_v1;

#ifdef __cplusplus
}
#endif
#endif
