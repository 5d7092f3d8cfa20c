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
  PALIMPSEST_ENCODE_TEXT = 0,        /* ids of the text alone */
  PALIMPSEST_ENCODE_PROMPT = 1,      /* with BOS if the tokenizer's post-processor adds it */
  PALIMPSEST_ENCODE_TARGET = 2,      /* with a leading space where the tokenizer wants one, never BOS */
  PALIMPSEST_ENCODE_CONTINUATION = 3 /* as it stands behind other text: no space, no mark of one, no BOS before it */
};

typedef struct palimpsest_token_sink {
  void* context;
  /* All ids, and for each the byte range [begin, end) in the text it stands for (BOS: empty range).
   * When: by encode, exactly once. Ownership: views for the call.
   * Thread: that of encode. Errors: any; encode returns the same status. */
  palimpsest_status (*tokens)(void* context, const int64_t* ids, const size_t* begins, const size_t* ends,
                              size_t count);
} palimpsest_token_sink;

typedef struct palimpsest_text_sink {
  void* context;
  /* One text. When: by the function that was given the sink. Ownership: a view for the call.
   * Thread: that of the function. Errors: any; the function returns the same status. */
  palimpsest_status (*text)(void* context, palimpsest_text text);
} palimpsest_text_sink;

typedef struct palimpsest_tokenizer_v1 {
  /* The ids of a text.
   * When: at any time where a model is open. Ownership: text and sink live for the call.
   * Thread: instance. Errors: INVALID_ARGUMENT for text that is not UTF-8 and for another `as`, UNSUPPORTED where no
   * model is open, what the sink returned. */
  palimpsest_status (*encode)(const palimpsest_host* host, palimpsest_text text, palimpsest_encode_as as,
                              const palimpsest_token_sink* sink);
  /* The text of ids, special tokens written out.
   * When, Thread: as encode. Ownership: ids and sink live for the call. Errors: OUT_OF_RANGE for an id that the
   * vocabulary has not, and as encode. */
  palimpsest_status (*decode)(const palimpsest_host* host, const int64_t* ids, size_t count,
                              const palimpsest_text_sink* sink);
  /* Index, within the prompt's ids, of the last token of `subject` in the prompt made of `prompt_template` with {}
   * filled.
   * When, Thread: as encode. Ownership: *index is the caller's. Errors: INVALID_ARGUMENT for a template without {}, and
   * as encode. */
  palimpsest_status (*subject_last_token)(const palimpsest_host* host, palimpsest_text prompt_template,
                                          palimpsest_text subject, int64_t* index);
  /* Ids of special tokens, -1 where the tokenizer has none.
   * When, Thread: as encode. Ownership: the three numbers are the caller's. Errors: as encode. */
  palimpsest_status (*special_ids)(const palimpsest_host* host, int64_t* bos, int64_t* eos, int64_t* pad);
} palimpsest_tokenizer_v1;

#ifdef __cplusplus
}
#endif
#endif
