/* generation/1: continuations, greedy or sampled, batched over prompts of any length. */
#ifndef PALIMPSEST_SERVICES_GENERATION_H
#define PALIMPSEST_SERVICES_GENERATION_H

#include "palimpsest/services/model.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PALIMPSEST_GENERATION_1 "generation/1"

typedef struct palimpsest_generation_request {
  palimpsest_stage stage;
  int32_t max_new_tokens;
  const palimpsest_text* prompts; /* tokenized as prompts (BOS where the tokenizer adds it) */
  size_t prompt_count;
  const palimpsest_text* stop_texts; /* generation of a row ends when its continuation holds one of these */
  size_t stop_count;
  double temperature;     /* 0: greedy */
  double top_p;           /* 1: no nucleus; ignored when greedy */
  palimpsest_text stream; /* name of the random stream; ignored when greedy */
} palimpsest_generation_request;

typedef struct palimpsest_generation_sink {
  void* context;
  /* Continuation of prompt `index`: text without the prompt, cut before a stop text, and its token ids.
   * When: by generate, once a prompt, in order. Ownership: views for the call.
   * Thread: that of generate. Errors: any; generate ends and returns the same status. */
  palimpsest_status (*continuation)(void* context, size_t index, palimpsest_text text, const int64_t* token_ids,
                                    size_t count);
} palimpsest_generation_sink;

typedef struct palimpsest_generation_v1 {
  /* Continues every prompt of the request.
   * When: within a function that was given the model. Ownership: request and sink live for the call.
   * Thread: instance. Errors: INVALID_ARGUMENT or OUT_OF_RANGE for options or prompts that do not fit the model,
   * NUMERIC for logits that are not finite, what the sink returned. */
  palimpsest_status (*generate)(palimpsest_model* model, const palimpsest_generation_request* request,
                                const palimpsest_generation_sink* sink);
} palimpsest_generation_v1;

#ifdef __cplusplus
}
#endif
#endif
