/* An editor in pure C: makes the down-projection of one layer smaller, by less at every further edit.
 *
 * W <- W - amount / (1 + n) W, n the edits applied before. It links no library but libc, offers editor/1,
 * editor.needs/1 and editor.state/1 (n is its state), and shows every rule of ownership: handles that it received are
 * released on each way out, handles that it was passed are not. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "palimpsest/palimpsest.h"

typedef struct shrink {
  const palimpsest_host* host;
  const palimpsest_tensor_v1* tensors;
  const palimpsest_model_v1* models;
  const palimpsest_error_v1* errors;
  int64_t layer;
  double amount;
  int64_t applied;
} shrink;

static palimpsest_text text(const char* chars) {
  palimpsest_text made = {chars, strlen(chars)};
  return made;
}

static palimpsest_status fail(const shrink* self, palimpsest_status status, const char* format, ...) {
  char sentence[256];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(sentence, sizeof sentence, format, arguments);
  va_end(arguments);
  self->errors->set(self->host, text(sentence));
  return status;
}

static const palimpsest_parameter kParameters[] = {{"layer",
                                                    PALIMPSEST_PARAMETER_INTEGER,
                                                    0,
                                                    {1, 0, 1, 0, {NULL, 0}, 0, NULL, NULL, NULL},
                                                    1,
                                                    0,
                                                    0,
                                                    0,
                                                    NULL,
                                                    "",
                                                    "Layer whose MLP down-projection becomes smaller."},
                                                   {"amount",
                                                    PALIMPSEST_PARAMETER_NUMBER,
                                                    0,
                                                    {1, 0, 0, 0.125, {NULL, 0}, 0, NULL, NULL, NULL},
                                                    1,
                                                    1,
                                                    0,
                                                    1,
                                                    NULL,
                                                    "1",
                                                    "Share of the weight that the first edit takes away."}};

static palimpsest_status create(const palimpsest_host* host, const palimpsest_parameter_value* values, size_t count,
                                void** instance) {
  shrink* made = NULL;
  if (count != sizeof kParameters / sizeof *kParameters) return PALIMPSEST_INTERNAL;
  made = calloc(1, sizeof *made);
  if (made == NULL) return PALIMPSEST_OUT_OF_MEMORY;
  made->host = host;
  made->tensors = host->get_service(host, PALIMPSEST_TENSOR_1);
  made->models = host->get_service(host, PALIMPSEST_MODEL_1);
  made->errors = host->get_service(host, PALIMPSEST_ERROR_1);
  if (made->tensors == NULL || made->models == NULL || made->errors == NULL) {
    free(made);
    return PALIMPSEST_UNSUPPORTED;
  }
  made->layer = values[0].integer;
  made->amount = values[1].number;
  *instance = made;
  return PALIMPSEST_OK;
}

static void destroy(void* instance) { free(instance); }

/* -factor times the weight, as a new tensor of the host's. */
static palimpsest_status scaled(const shrink* self, palimpsest_tensor weight, double factor, palimpsest_tensor* out) {
  palimpsest_tensor_info info;
  size_t count = 1, i;
  double* numbers = NULL;
  palimpsest_status status = self->tensors->info(self->host, weight, &info);
  if (status != PALIMPSEST_OK) return status;
  for (i = 0; i < (size_t)info.dimensions; ++i) count *= (size_t)info.shape[i];
  numbers = malloc(count * sizeof *numbers);
  if (numbers == NULL) return PALIMPSEST_OUT_OF_MEMORY;
  status = self->tensors->read(self->host, weight, numbers, count);
  if (status == PALIMPSEST_OK) {
    for (i = 0; i < count; ++i) numbers[i] *= -factor;
    status = self->tensors->wrap(self->host, numbers, PALIMPSEST_FLOAT64, info.shape, info.dimensions, out);
  }
  free(numbers);
  return status;
}

static palimpsest_status apply(void* instance, palimpsest_model* model, const palimpsest_edit_request* requests,
                               size_t count, const palimpsest_update_sink* sink) {
  shrink* self = instance;
  char name[64];
  palimpsest_tensor weight = NULL, delta = NULL;
  const double factor = self->amount / (double)(1 + self->applied);
  palimpsest_status status = PALIMPSEST_OK;
  if (count == 0) return fail(self, PALIMPSEST_INVALID_ARGUMENT, "apply was given no request");
  if (requests[0].target.size == 0) return fail(self, PALIMPSEST_INVALID_ARGUMENT, "the first request has no target");
  snprintf(name, sizeof name, "layers.%" PRId64 ".mlp.down.weight", self->layer);
  status = self->models->parameter(model, PALIMPSEST_STAGE_CURRENT, text(name), &weight);
  if (status == PALIMPSEST_OK) status = scaled(self, weight, factor, &delta);
  if (status == PALIMPSEST_OK) status = sink->dense(sink->context, text(name), delta);
  if (status == PALIMPSEST_OK) status = sink->record(sink->context, -1, text("factor"), -1, factor);
  if (status == PALIMPSEST_OK) ++self->applied;
  self->tensors->release(self->host, delta);
  self->tensors->release(self->host, weight);
  return status;
}

static palimpsest_status needs(void* instance, const palimpsest_model_info* info, const palimpsest_needs_sink* sink) {
  const shrink* self = instance;
  if (self->layer >= info->layers) {
    return fail(self, PALIMPSEST_OUT_OF_RANGE, "layer is %" PRId64 "; the model has layers 0 to %" PRId64, self->layer,
                info->layers - 1);
  }
  return sink->edits_layer(sink->context, self->layer);
}

static palimpsest_status reset(void* instance) {
  ((shrink*)instance)->applied = 0;
  return PALIMPSEST_OK;
}

static palimpsest_status save(void* instance, const palimpsest_state_sink* sink) {
  const shrink* self = instance;
  const int64_t shape[] = {1};
  palimpsest_tensor applied = NULL;
  palimpsest_status status = self->tensors->wrap(self->host, &self->applied, PALIMPSEST_INT64, shape, 1, &applied);
  if (status == PALIMPSEST_OK) status = sink->tensor(sink->context, text("applied"), applied);
  self->tensors->release(self->host, applied);
  return status;
}

static palimpsest_status load(void* instance, const palimpsest_text* names, const palimpsest_tensor* values,
                              size_t count) {
  shrink* self = instance;
  palimpsest_tensor_data data;
  palimpsest_status status = PALIMPSEST_OK;
  if (count != 1 || names[0].size != 7 || memcmp(names[0].data, "applied", 7) != 0) {
    return fail(self, PALIMPSEST_CORRUPT, "the state has %zu tensors; expected one, named applied", count);
  }
  status = self->tensors->data(self->host, values[0], &data);
  if (status != PALIMPSEST_OK) return status;
  if (data.dtype != PALIMPSEST_INT64 || data.dimensions != 1 || data.shape[0] != 1) {
    return fail(self, PALIMPSEST_CORRUPT, "the state's tensor applied is not one int64");
  }
  self->applied = *(const int64_t*)data.data;
  return PALIMPSEST_OK;
}

static const void* get_interface(const char* id) {
  static const palimpsest_editor_v1 editor = {apply};
  static const palimpsest_editor_needs_v1 editor_needs = {needs};
  static const palimpsest_editor_state_v1 editor_state = {reset, save, load};
  if (strcmp(id, PALIMPSEST_EDITOR_1) == 0) return &editor;
  if (strcmp(id, PALIMPSEST_EDITOR_NEEDS_1) == 0) return &editor_needs;
  if (strcmp(id, PALIMPSEST_EDITOR_STATE_1) == 0) return &editor_state;
  return NULL;
}

static const palimpsest_descriptor kShrink = {PALIMPSEST_KIND_EDITOR,
                                              "shrink",
                                              "1.0.0",
                                              "Makes one down-projection smaller, in pure C.",
                                              kParameters,
                                              sizeof kParameters / sizeof *kParameters,
                                              create,
                                              destroy,
                                              get_interface};
static const palimpsest_descriptor* const kDescriptors[] = {&kShrink, NULL};

const palimpsest_library_v1 palimpsest_library = {PALIMPSEST_MAGIC, PALIMPSEST_ABI_MAJOR, PALIMPSEST_ABI_MINOR,
                                                  PALIMPSEST_TIER,  PALIMPSEST_TORCH_TAG, PALIMPSEST_COMPILER,
                                                  kDescriptors};
