/* A metric in pure C that calls every function of every service, on the tiny world of the tests, and emits one row a
 * service: its id, how many of its functions were called and answered as they must, and a number that it gave.
 *
 * A function that answers wrongly ends measure with a sentence naming it. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "palimpsest/palimpsest.h"

typedef struct every_service {
  const palimpsest_host* host;
  const palimpsest_measure_request* request;
  const palimpsest_row_sink* rows;
  const palimpsest_tensor_v1* tensors;
  const palimpsest_model_v1* models;
  const palimpsest_error_v1* errors;
} every_service;

static palimpsest_text text(const char* chars) {
  palimpsest_text made = {chars, strlen(chars)};
  return made;
}
static int is(palimpsest_text found, const char* expected) {
  return found.size == strlen(expected) && memcmp(found.data, expected, found.size) == 0;
}

static palimpsest_status wrong(const every_service* self, const char* format, ...) {
  char sentence[512], whole[1024];
  va_list arguments;
  const palimpsest_text said = self->errors->last(self->host);
  va_start(arguments, format);
  vsnprintf(sentence, sizeof sentence, format, arguments);
  va_end(arguments);
  snprintf(whole, sizeof whole, "%s (the host's last sentence: %.*s)", sentence, (int)said.size, said.data);
  self->errors->set(self->host, text(whole));
  return PALIMPSEST_INTERNAL;
}

#define TRY(call)                                                                                   \
  do {                                                                                              \
    const palimpsest_status status_ = (call);                                                       \
    if (status_ != PALIMPSEST_OK) return wrong(self, "%s gave the status %d", #call, (int)status_); \
  } while (0)
#define EXPECT(condition)                                                         \
  do {                                                                            \
    if (!(condition)) return wrong(self, "expected of the host: %s", #condition); \
  } while (0)

/* The row of one service. */
static palimpsest_status emit(const every_service* self, const char* service, int64_t functions, double number) {
  palimpsest_cell_value values[3];
  memset(values, 0, sizeof values);
  values[0].text = text(service);
  values[1].integer = functions;
  values[2].number = number;
  return self->rows->row(self->rows->context, -1, values, 3);
}

static palimpsest_status use_error(every_service* self) {
  self->errors->set(self->host, text("a sentence of the plugin's own"));
  EXPECT(is(self->errors->last(self->host), "a sentence of the plugin's own"));
  return emit(self, PALIMPSEST_ERROR_1, 2, 0);
}

static palimpsest_status use_tensor(every_service* self) {
  const double numbers[] = {1, 2, 3, 4, 5, 6};
  const int64_t shape[] = {2, 3};
  double back[6];
  palimpsest_tensor made = NULL, second = NULL;
  palimpsest_tensor_info info;
  palimpsest_tensor_data data;
  TRY(self->tensors->wrap(self->host, numbers, PALIMPSEST_FLOAT64, shape, 2, &made));
  TRY(self->tensors->retain(self->host, made, &second));
  self->tensors->release(self->host, made);
  TRY(self->tensors->info(self->host, second, &info));
  EXPECT(info.dtype == PALIMPSEST_FLOAT64 && info.dimensions == 2 && info.shape[1] == 3 && info.on_cpu == 1);
  TRY(self->tensors->data(self->host, second, &data));
  EXPECT(data.strides[0] == 3 && data.strides[1] == 1 && ((const double*)data.data)[4] == 5);
  EXPECT(data.data != (const void*)numbers); /* wrap copies */
  EXPECT(self->tensors->read(self->host, second, back, 5) == PALIMPSEST_OUT_OF_RANGE);
  TRY(self->tensors->read(self->host, second, back, 6));
  self->tensors->release(self->host, second);
  self->tensors->release(self->host, NULL);
  EXPECT(self->tensors->wrap(self->host, numbers, PALIMPSEST_TEXT, shape, 2, &made) == PALIMPSEST_UNSUPPORTED);
  return emit(self, PALIMPSEST_TENSOR_1, 6, back[5]);
}

static palimpsest_status doubled(void* context, palimpsest_tensor site, palimpsest_tensor* replaced) {
  const every_service* self = context;
  palimpsest_tensor_info info;
  size_t count = 1, i;
  double* numbers = NULL;
  palimpsest_status status = self->tensors->info(self->host, site, &info);
  if (status != PALIMPSEST_OK) return status;
  for (i = 0; i < (size_t)info.dimensions; ++i) count *= (size_t)info.shape[i];
  numbers = malloc(count * sizeof *numbers);
  if (numbers == NULL) return PALIMPSEST_OUT_OF_MEMORY;
  status = self->tensors->read(self->host, site, numbers, count);
  for (i = 0; i < count; ++i) numbers[i] *= 2;
  /* In the site's own dtype, which is float32 in the tiny world. */
  if (status == PALIMPSEST_OK) {
    float* narrow = malloc(count * sizeof *narrow);
    for (i = 0; narrow != NULL && i < count; ++i) narrow[i] = (float)numbers[i];
    status = narrow == NULL
                 ? PALIMPSEST_OUT_OF_MEMORY
                 : self->tensors->wrap(self->host, narrow, PALIMPSEST_FLOAT32, info.shape, info.dimensions, replaced);
    free(narrow);
  }
  free(numbers);
  return status;
}

static palimpsest_status refusing(void* context, palimpsest_tensor site, palimpsest_tensor* replaced) {
  (void)context, (void)site, (void)replaced;
  return PALIMPSEST_CANCELLED;
}

static palimpsest_status use_model(every_service* self) {
  palimpsest_model* model = self->request->model;
  const int64_t ids[] = {10, 11, 12}, lengths[] = {3}, target[] = {13};
  const palimpsest_text site = text("layers.1.mlp.value");
  const palimpsest_position last = {0, 2};
  palimpsest_tensor captured = NULL, weight = NULL, u = NULL, v = NULL, dense = NULL, continued = NULL;
  palimpsest_forward_request forward;
  palimpsest_forward_result result, again;
  palimpsest_replacement replace;
  palimpsest_model_info info;
  palimpsest_text parameter;
  int64_t updates = 0;
  double plain = 0, changed = 0;
  TRY(self->models->info(model, &info));
  EXPECT(info.layers == 3);
  TRY(self->models->parameter(model, PALIMPSEST_STAGE_BASE, text("layers.1.mlp.down.weight"), &weight));
  self->tensors->release(self->host, weight);
  EXPECT(self->models->parameter(model, PALIMPSEST_STAGE_BASE, text("layers.9.mlp"), &weight) == PALIMPSEST_NOT_FOUND);
  EXPECT(self->errors->last(self->host).size > 20);
  TRY(self->models->update(model, -1, &updates, NULL, NULL, NULL, NULL));
  EXPECT(updates == 1);
  TRY(self->models->update(model, 0, &updates, &parameter, &u, &v, &dense));
  EXPECT(is(parameter, "layers.1.mlp.down.weight") && u != NULL && v != NULL && dense == NULL);
  self->tensors->release(self->host, u);
  self->tensors->release(self->host, v);

  memset(&forward, 0, sizeof forward);
  memset(&result, 0, sizeof result);
  memset(&replace, 0, sizeof replace);
  forward.stage = PALIMPSEST_STAGE_CURRENT;
  forward.return_cache = 1;
  forward.token_ids = ids;
  forward.rows = 1;
  forward.tokens = 3;
  forward.lengths = lengths;
  forward.last_layer = -1;
  forward.capture = &site;
  forward.capture_count = 1;
  forward.logits = &last;
  forward.logit_count = 1;
  forward.logprobs = &last;
  forward.target_ids = target;
  forward.logprob_count = 1;
  result.captured = &captured;
  TRY(self->models->forward(model, &forward, &result));
  EXPECT(captured != NULL && result.logits != NULL && result.hidden != NULL && result.cache != NULL);
  TRY(self->tensors->read(self->host, result.logprobs, &plain, 1));
  EXPECT(plain < 0);
  self->tensors->release(self->host, captured);
  self->tensors->release(self->host, result.logits);
  self->tensors->release(self->host, result.logprobs);
  self->tensors->release(self->host, result.hidden);

  /* The same token again, behind the cache, with a site changed by a callback. */
  replace.site = site;
  replace.callback = doubled;
  replace.callback_context = self;
  forward.cache = result.cache;
  forward.tokens = 1;
  forward.return_cache = 0;
  forward.capture_count = 0;
  forward.logit_count = 0;
  forward.replace = &replace;
  forward.replace_count = 1;
  {
    const int64_t one[] = {1};
    const palimpsest_position first = {0, 0};
    forward.lengths = one;
    forward.logprobs = &first;
    memset(&again, 0, sizeof again);
    again.captured = &continued;
    TRY(self->models->forward(model, &forward, &again));
    TRY(self->tensors->read(self->host, again.logprobs, &changed, 1));
    self->tensors->release(self->host, again.logprobs);
    self->tensors->release(self->host, again.hidden);
    replace.callback = refusing;
    EXPECT(self->models->forward(model, &forward, &again) == PALIMPSEST_CANCELLED);
  }
  self->models->release_cache(model, result.cache);
  EXPECT(changed != plain);
  return emit(self, PALIMPSEST_MODEL_1, 5, plain);
}

static palimpsest_status use_autograd(every_service* self) {
  const palimpsest_autograd_v1* autograd = self->host->get_service(self->host, PALIMPSEST_AUTOGRAD_1);
  const int64_t ids[] = {10, 11}, lengths[] = {2}, target[] = {12};
  const palimpsest_position last = {0, 1};
  palimpsest_tensor weight = NULL, own = NULL, gradient = NULL;
  palimpsest_forward_request forward;
  palimpsest_forward_result result;
  palimpsest_override override;
  palimpsest_tensor_info info;
  double* numbers = NULL;
  float* narrow = NULL;
  double norm = 0;
  int32_t former = 0, ignored = 0;
  size_t count = 1, i;
  EXPECT(autograd != NULL);
  /* A leaf of our own in place of a weight: FT, LoRA and hypernetworks need nothing else. */
  TRY(self->models->parameter(self->request->model, PALIMPSEST_STAGE_CURRENT, text("final_norm.weight"), &weight));
  TRY(self->tensors->info(self->host, weight, &info));
  for (i = 0; i < (size_t)info.dimensions; ++i) count *= (size_t)info.shape[i];
  numbers = malloc(count * sizeof *numbers);
  narrow = malloc(count * sizeof *narrow);
  if (numbers == NULL || narrow == NULL) return PALIMPSEST_OUT_OF_MEMORY;
  TRY(self->tensors->read(self->host, weight, numbers, count));
  for (i = 0; i < count; ++i) narrow[i] = (float)numbers[i];
  TRY(self->tensors->wrap(self->host, narrow, PALIMPSEST_FLOAT32, info.shape, info.dimensions, &own));
  TRY(autograd->set_grad_enabled(self->host, 1, &former));
  TRY(autograd->require_grad(self->host, own));
  memset(&forward, 0, sizeof forward);
  memset(&result, 0, sizeof result);
  memset(&override, 0, sizeof override);
  override.parameter = text("final_norm.weight");
  override.dense = own;
  forward.token_ids = ids;
  forward.rows = 1;
  forward.tokens = 2;
  forward.lengths = lengths;
  forward.last_layer = -1;
  forward.logprobs = &last;
  forward.target_ids = target;
  forward.logprob_count = 1;
  forward.overrides = &override;
  forward.override_count = 1;
  TRY(self->models->forward(self->request->model, &forward, &result));
  TRY(autograd->grad(self->host, result.logprobs, &own, 1, &gradient));
  TRY(self->tensors->read(self->host, gradient, numbers, count));
  for (i = 0; i < count; ++i) norm += numbers[i] * numbers[i];
  TRY(autograd->set_grad_enabled(self->host, former, &ignored));
  EXPECT(ignored == 1 && norm > 0);
  self->tensors->release(self->host, gradient);
  self->tensors->release(self->host, result.logprobs);
  self->tensors->release(self->host, result.hidden);
  self->tensors->release(self->host, own);
  self->tensors->release(self->host, weight);
  free(narrow);
  free(numbers);
  return emit(self, PALIMPSEST_AUTOGRAD_1, 3, norm);
}

static palimpsest_status count_continuation(void* context, size_t index, palimpsest_text continuation,
                                            const int64_t* token_ids, size_t count) {
  size_t* tokens = context;
  (void)index, (void)continuation, (void)token_ids;
  *tokens += count;
  return PALIMPSEST_OK;
}

static palimpsest_status use_generation(every_service* self) {
  const palimpsest_generation_v1* generation = self->host->get_service(self->host, PALIMPSEST_GENERATION_1);
  const palimpsest_text prompts[] = {text("The city of"), text("The sun")};
  palimpsest_generation_request request;
  size_t tokens = 0;
  const palimpsest_generation_sink sink = {&tokens, count_continuation};
  EXPECT(generation != NULL);
  memset(&request, 0, sizeof request);
  request.max_new_tokens = 2;
  request.prompts = prompts;
  request.prompt_count = 2;
  request.top_p = 1;
  TRY(generation->generate(self->request->model, &request, &sink));
  EXPECT(tokens >= 2 && tokens <= 4);
  return emit(self, PALIMPSEST_GENERATION_1, 1, (double)tokens);
}

typedef struct encoded {
  int64_t ids[64];
  size_t count;
} encoded;
static palimpsest_status keep_tokens(void* context, const int64_t* ids, const size_t* begins, const size_t* ends,
                                     size_t count) {
  encoded* kept = context;
  if (count == 0 || count > 64 || begins[0] > ends[0]) return PALIMPSEST_OUT_OF_RANGE;
  memcpy(kept->ids, ids, count * sizeof *ids);
  kept->count = count;
  return PALIMPSEST_OK;
}
static palimpsest_status same_text(void* context, palimpsest_text decoded) {
  return is(decoded, context) ? PALIMPSEST_OK : PALIMPSEST_CORRUPT;
}

static palimpsest_status use_tokenizer(every_service* self) {
  const palimpsest_tokenizer_v1* tokenizer = self->host->get_service(self->host, PALIMPSEST_TOKENIZER_1);
  char sentence[] = "Alma Dorn lives in Oslo";
  encoded kept;
  const palimpsest_token_sink tokens = {&kept, keep_tokens};
  const palimpsest_text_sink decoded = {sentence, same_text};
  int64_t index = 0, bos = 0, eos = 0, pad = 0;
  EXPECT(tokenizer != NULL);
  TRY(tokenizer->encode(self->host, text(sentence), PALIMPSEST_ENCODE_TEXT, &tokens));
  TRY(tokenizer->decode(self->host, kept.ids, kept.count, &decoded));
  TRY(tokenizer->encode(self->host, text(sentence), PALIMPSEST_ENCODE_CONTINUATION, &tokens));
  TRY(tokenizer->decode(self->host, kept.ids, kept.count, &decoded));
  EXPECT(tokenizer->encode(self->host, text(sentence), 4, &tokens) == PALIMPSEST_INVALID_ARGUMENT);
  TRY(tokenizer->subject_last_token(self->host, text("{} lives in"), text("Alma Dorn"), &index));
  EXPECT(index > 0 && index < (int64_t)kept.count);
  TRY(tokenizer->special_ids(self->host, &bos, &eos, &pad));
  EXPECT(bos >= -1 && eos >= -1 && pad >= -1);
  return emit(self, PALIMPSEST_TOKENIZER_1, 4, (double)index);
}

static palimpsest_status use_fact(every_service* self) {
  const palimpsest_fact_v1* facts = self->host->get_service(self->host, PALIMPSEST_FACT_1);
  const palimpsest_fact* fact = self->request->facts[0];
  palimpsest_text subject, target;
  palimpsest_probe probe;
  int64_t targets = 0, probes = 0;
  EXPECT(facts != NULL);
  TRY(facts->text(self->host, fact, "subject", &subject));
  EXPECT(subject.size > 0);
  EXPECT(facts->text(self->host, fact, "subjects", &subject) == PALIMPSEST_NOT_FOUND);
  TRY(facts->list(self->host, fact, "relation_targets", -1, &targets, NULL));
  EXPECT(targets > 0);
  TRY(facts->list(self->host, fact, "relation_targets", 0, &targets, &target));
  TRY(facts->probe(self->host, fact, -1, &probes, NULL));
  EXPECT(probes > 0);
  TRY(facts->probe(self->host, fact, probes - 1, &probes, &probe));
  return emit(self, PALIMPSEST_FACT_1, 3, (double)probes);
}

static palimpsest_status use_parameters(every_service* self) {
  const palimpsest_parameters_v1* parameters = self->host->get_service(self->host, PALIMPSEST_PARAMETERS_1);
  palimpsest_parameter_info info;
  int64_t count = 0;
  EXPECT(parameters != NULL);
  TRY(parameters->info(self->request->model, -1, &count, NULL));
  EXPECT(count > 0);
  TRY(parameters->info(self->request->model, 0, &count, &info));
  EXPECT(info.name.size > 0 && info.rows > 0);
  EXPECT(parameters->info(self->request->model, count, &count, &info) == PALIMPSEST_OUT_OF_RANGE);
  return emit(self, PALIMPSEST_PARAMETERS_1, 1, (double)count);
}

static palimpsest_status use_update_origin(every_service* self) {
  const palimpsest_update_origin_v1* origins = self->host->get_service(self->host, PALIMPSEST_UPDATE_ORIGIN_1);
  palimpsest_update_origin origin;
  palimpsest_text fact;
  EXPECT(origins != NULL);
  TRY(origins->origin(self->request->model, 0, &origin));
  EXPECT(origin.ordinal == 1 && origin.request_count == 1);
  TRY(origins->fact(self->request->model, 0, 0, &fact));
  EXPECT(fact.size > 0);
  EXPECT(origins->fact(self->request->model, 0, 1, &fact) == PALIMPSEST_OUT_OF_RANGE);
  EXPECT(origins->origin(self->request->model, 1, &origin) == PALIMPSEST_OUT_OF_RANGE);
  return emit(self, PALIMPSEST_UPDATE_ORIGIN_1, 2, (double)origin.request_count);
}

static palimpsest_status use_dataset(every_service* self, palimpsest_text path) {
  const palimpsest_dataset_v1* datasets = self->host->get_service(self->host, PALIMPSEST_DATASET_1);
  const palimpsest_text column = text("text");
  palimpsest_dataset_request request;
  palimpsest_dataset* dataset = NULL;
  palimpsest_text row;
  int64_t rows = 0;
  EXPECT(datasets != NULL);
  memset(&request, 0, sizeof request);
  request.path = path;
  request.columns = &column;
  request.column_count = 1;
  request.validation_share = 0.25;
  TRY(datasets->open(self->host, &request, &dataset));
  TRY(datasets->count(self->host, dataset, PALIMPSEST_TRAIN, &rows));
  EXPECT(rows > 0);
  TRY(datasets->text(self->host, dataset, PALIMPSEST_TRAIN, 0, 0, &row));
  EXPECT(row.size > 0);
  EXPECT(datasets->text(self->host, dataset, PALIMPSEST_TRAIN, rows, 0, &row) == PALIMPSEST_OUT_OF_RANGE);
  return emit(self, PALIMPSEST_DATASET_1, 3, (double)rows);
}

static palimpsest_status use_second_moment(every_service* self) {
  const palimpsest_second_moment_v1* moments = self->host->get_service(self->host, PALIMPSEST_SECOND_MOMENT_1);
  palimpsest_tensor matrix = NULL, rhs = NULL, solution = NULL;
  palimpsest_tensor_info info;
  double* ones = NULL;
  double norm = 0;
  int64_t keys = 0;
  size_t i;
  EXPECT(moments != NULL);
  TRY(moments->matrix(self->host, 1, &matrix, &keys));
  TRY(self->tensors->info(self->host, matrix, &info));
  EXPECT(keys > 0 && info.dimensions == 2 && info.shape[0] == info.shape[1]);
  ones = malloc((size_t)info.shape[0] * sizeof *ones);
  if (ones == NULL) return PALIMPSEST_OUT_OF_MEMORY;
  for (i = 0; i < (size_t)info.shape[0]; ++i) ones[i] = 1;
  TRY(self->tensors->wrap(self->host, ones, PALIMPSEST_FLOAT64, info.shape, 1, &rhs));
  TRY(moments->solve(self->host, 1, 2, rhs, &solution));
  TRY(self->tensors->read(self->host, solution, ones, (size_t)info.shape[0]));
  for (i = 0; i < (size_t)info.shape[0]; ++i) norm += ones[i] * ones[i];
  free(ones);
  self->tensors->release(self->host, solution);
  self->tensors->release(self->host, rhs);
  self->tensors->release(self->host, matrix);
  return emit(self, PALIMPSEST_SECOND_MOMENT_1, 2, norm);
}

typedef struct storing {
  const every_service* self;
  int computed;
  double number;
} storing;

static palimpsest_status compute(void* context, const palimpsest_store_sink* content) {
  storing* state = context;
  const every_service* self = state->self;
  const palimpsest_random_v1* random = self->host->get_service(self->host, PALIMPSEST_RANDOM_1);
  const double number = 42;
  const int64_t shape[] = {1};
  double drawn = 0;
  palimpsest_tensor made = NULL;
  ++state->computed;
  /* The key does not cover the seed. */
  EXPECT(random->uniform(self->host, text("hidden"), &drawn, 1) == PALIMPSEST_INVALID_ARGUMENT);
  TRY(self->tensors->wrap(self->host, &number, PALIMPSEST_FLOAT64, shape, 1, &made));
  TRY(content->tensor(content->context, text("number"), made));
  self->tensors->release(self->host, made);
  return content->text(content->context, text("name"), text("forty-two"));
}
static palimpsest_status receive_tensor(void* context, palimpsest_text name, palimpsest_tensor value) {
  storing* state = context;
  if (!is(name, "number")) return PALIMPSEST_CORRUPT;
  return state->self->tensors->read(state->self->host, value, &state->number, 1);
}
static palimpsest_status receive_text(void* context, palimpsest_text name, palimpsest_text value) {
  (void)context;
  return is(name, "name") && is(value, "forty-two") ? PALIMPSEST_OK : PALIMPSEST_CORRUPT;
}

static palimpsest_status use_store(every_service* self) {
  const palimpsest_store_v1* store = self->host->get_service(self->host, PALIMPSEST_STORE_1);
  storing state = {self, 0, 0};
  palimpsest_store_request request;
  const palimpsest_store_sink content = {&state, receive_tensor, receive_text};
  EXPECT(store != NULL);
  memset(&request, 0, sizeof request);
  request.key = text("forty-two of the tests");
  request.compute = compute;
  request.compute_context = &state;
  TRY(store->get_or_compute(self->host, self->request->model, &request, &content));
  TRY(store->get_or_compute(self->host, self->request->model, &request, &content));
  EXPECT(state.computed <= 1 && state.number == 42);
  return emit(self, PALIMPSEST_STORE_1, 1, state.number);
}

static palimpsest_status use_small_ones(every_service* self) {
  const palimpsest_log_v1* log = self->host->get_service(self->host, PALIMPSEST_LOG_1);
  const palimpsest_progress_v1* progress = self->host->get_service(self->host, PALIMPSEST_PROGRESS_1);
  const palimpsest_cancel_v1* cancel = self->host->get_service(self->host, PALIMPSEST_CANCEL_1);
  const palimpsest_random_v1* random = self->host->get_service(self->host, PALIMPSEST_RANDOM_1);
  double uniform = 0, normal = 0;
  EXPECT(log != NULL && progress != NULL && cancel != NULL && random != NULL);
  log->write(self->host, PALIMPSEST_LOG_DEBUG, text("every service was asked"));
  TRY(emit(self, PALIMPSEST_LOG_1, 1, 0));
  progress->report(self->host, text("services"), 1, 2, text("services"));
  TRY(emit(self, PALIMPSEST_PROGRESS_1, 1, 0));
  EXPECT(cancel->requested(self->host) == 0);
  TRY(emit(self, PALIMPSEST_CANCEL_1, 1, 0));
  TRY(random->uniform(self->host, text("a"), &uniform, 1));
  TRY(random->normal(self->host, text("b"), &normal, 1));
  EXPECT(uniform >= 0 && uniform < 1 && normal == normal);
  return emit(self, PALIMPSEST_RANDOM_1, 2, 0);
}

/* ------------------------------------------------------------------------------------------------------ the metric */

typedef struct instance {
  every_service self;
  char path[4096];
} instance;

static const palimpsest_parameter kParameters[] = {{"file",
                                                    PALIMPSEST_PARAMETER_PATH,
                                                    1,
                                                    {0, 0, 0, 0, {NULL, 0}, 0, NULL, NULL, NULL},
                                                    0,
                                                    0,
                                                    0,
                                                    0,
                                                    NULL,
                                                    "",
                                                    "Text that is opened through dataset/1."}};
static const palimpsest_column kColumns[] = {
    {"service", PALIMPSEST_TEXT, "", "Id of the service that was asked.", PALIMPSEST_AGGREGATE_NONE,
     PALIMPSEST_BASELINE_NONE, PALIMPSEST_GATE_NONE},
    {"functions", PALIMPSEST_INT64, "1", "How many of its functions were called and answered as they must.",
     PALIMPSEST_AGGREGATE_NONE, PALIMPSEST_BASELINE_NONE, PALIMPSEST_GATE_NONE},
    {"number", PALIMPSEST_FLOAT64, "1", "A number that it gave.", PALIMPSEST_AGGREGATE_NONE, PALIMPSEST_BASELINE_NONE,
     PALIMPSEST_GATE_NONE}};

static palimpsest_status create(const palimpsest_host* host, const palimpsest_parameter_value* values, size_t count,
                                void** out) {
  instance* made = NULL;
  if (count != 1 || values[0].text.size >= sizeof made->path) return PALIMPSEST_INVALID_ARGUMENT;
  made = calloc(1, sizeof *made);
  if (made == NULL) return PALIMPSEST_OUT_OF_MEMORY;
  made->self.host = host;
  made->self.tensors = host->get_service(host, PALIMPSEST_TENSOR_1);
  made->self.models = host->get_service(host, PALIMPSEST_MODEL_1);
  made->self.errors = host->get_service(host, PALIMPSEST_ERROR_1);
  /* A view that is valid for the call only. */
  memcpy(made->path, values[0].text.data, values[0].text.size);
  if (made->self.tensors == NULL || made->self.models == NULL || made->self.errors == NULL ||
      host->get_service(host, "made-up/1") != NULL) {
    free(made);
    return PALIMPSEST_UNSUPPORTED;
  }
  *out = made;
  return PALIMPSEST_OK;
}
static void destroy(void* self) { free(self); }

static uint32_t when(void* self) {
  (void)self;
  return PALIMPSEST_WHEN_EDITED;
}
static palimpsest_status columns(void* self, const palimpsest_column** out, size_t* count) {
  (void)self;
  *out = kColumns;
  *count = sizeof kColumns / sizeof *kColumns;
  return PALIMPSEST_OK;
}
static palimpsest_status measure(void* raw, const palimpsest_measure_request* request,
                                 const palimpsest_row_sink* sink) {
  every_service* self = &((instance*)raw)->self;
  palimpsest_status status = PALIMPSEST_OK;
  self->request = request;
  self->rows = sink;
  if (status == PALIMPSEST_OK) status = use_error(self);
  if (status == PALIMPSEST_OK) status = use_tensor(self);
  if (status == PALIMPSEST_OK) status = use_model(self);
  if (status == PALIMPSEST_OK) status = use_autograd(self);
  if (status == PALIMPSEST_OK) status = use_generation(self);
  if (status == PALIMPSEST_OK) status = use_tokenizer(self);
  if (status == PALIMPSEST_OK) status = use_fact(self);
  if (status == PALIMPSEST_OK) status = use_parameters(self);
  if (status == PALIMPSEST_OK) status = use_update_origin(self);
  if (status == PALIMPSEST_OK) status = use_dataset(self, text(((instance*)raw)->path));
  if (status == PALIMPSEST_OK) status = use_second_moment(self);
  if (status == PALIMPSEST_OK) status = use_store(self);
  if (status == PALIMPSEST_OK) status = use_small_ones(self);
  return status;
}

static const void* get_interface(const char* id) {
  static const palimpsest_metric_v1 metric = {when, columns, measure};
  return strcmp(id, PALIMPSEST_METRIC_1) == 0 ? &metric : NULL;
}

static const palimpsest_descriptor kEveryService = {PALIMPSEST_KIND_METRIC,
                                                    "every_service",
                                                    "1.0.0",
                                                    "Asks every service of the host, in pure C.",
                                                    kParameters,
                                                    1,
                                                    create,
                                                    destroy,
                                                    get_interface};
static const palimpsest_descriptor* const kDescriptors[] = {&kEveryService, NULL};

const palimpsest_library_v1 palimpsest_library = {PALIMPSEST_MAGIC, PALIMPSEST_ABI_MAJOR, PALIMPSEST_ABI_MINOR,
                                                  PALIMPSEST_TIER,  PALIMPSEST_TORCH_TAG, PALIMPSEST_COMPILER,
                                                  kDescriptors};
