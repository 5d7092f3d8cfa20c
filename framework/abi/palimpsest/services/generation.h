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
  /* Continuation of prompt `index`: text without the prompt, cut before a stop text, and its token ids. Called once a
   * prompt, in order; views for the call. */
  palimpsest_status (*continuation)(void* context, size_t index, palimpsest_text text, const int64_t* token_ids,
                                    size_t count);
} palimpsest_generation_sink;

typedef struct palimpsest_generation_v1 {
  palimpsest_status (*generate)(palimpsest_model* model, const palimpsest_generation_request* request,
                                const palimpsest_generation_sink* sink);
} palimpsest_generation_v1;

#ifdef __cplusplus
}
#endif
#endif
