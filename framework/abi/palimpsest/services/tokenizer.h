/* tokenizer/1: text <-> ids, with the one rule for prompts, targets and the subject's last token. */
#ifndef PALIMPSEST_SERVICES_TOKENIZER_H
#define PALIMPSEST_SERVICES_TOKENIZER_H

#include "palimpsest/host.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PALIMPSEST_TOKENIZER_1 "tokenizer/1"

typedef int32_t palimpsest_encode_as;
enum {
  PALIMPSEST_ENCODE_TEXT = 0,   /* ids of the text alone */
  PALIMPSEST_ENCODE_PROMPT = 1, /* with BOS if the tokenizer's post-processor adds it */
  PALIMPSEST_ENCODE_TARGET = 2  /* with a leading space where the tokenizer wants one, never BOS */
};

typedef struct palimpsest_token_sink {
  void* context;
  /* All ids, and for each the byte range [begin, end) in the text it stands for (BOS: empty range). Views for the call.
   */
  palimpsest_status (*tokens)(void* context, const int64_t* ids, const size_t* begins, const size_t* ends,
                              size_t count);
} palimpsest_token_sink;

typedef struct palimpsest_text_sink {
  void* context;
  palimpsest_status (*text)(void* context, palimpsest_text text);
} palimpsest_text_sink;

typedef struct palimpsest_tokenizer_v1 {
  palimpsest_status (*encode)(const palimpsest_host* host, palimpsest_text text, palimpsest_encode_as as,
                              const palimpsest_token_sink* sink);
  palimpsest_status (*decode)(const palimpsest_host* host, const int64_t* ids, size_t count,
                              const palimpsest_text_sink* sink);
  /* Index, within the prompt's ids, of the last token of `subject` in the prompt made of `prompt_template` with {}
   * filled. */
  palimpsest_status (*subject_last_token)(const palimpsest_host* host, palimpsest_text prompt_template,
                                          palimpsest_text subject, int64_t* index);
  /* Ids of special tokens, -1 where the tokenizer has none. */
  palimpsest_status (*special_ids)(const palimpsest_host* host, int64_t* bos, int64_t* eos, int64_t* pad);
} palimpsest_tokenizer_v1;

#ifdef __cplusplus
}
#endif
#endif
