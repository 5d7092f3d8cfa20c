/* A plugin described as data, so that the host checks a configuration, prints help and writes documentation without
 * creating anything. */
#ifndef PALIMPSEST_DESCRIPTOR_H
#define PALIMPSEST_DESCRIPTOR_H

#include "palimpsest/host.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef int32_t palimpsest_parameter_type;
enum {
  PALIMPSEST_PARAMETER_BOOLEAN = 1,
  PALIMPSEST_PARAMETER_INTEGER = 2,
  PALIMPSEST_PARAMETER_NUMBER = 3,
  PALIMPSEST_PARAMETER_STRING = 4,
  PALIMPSEST_PARAMETER_PATH = 5, /* of a file that must exist; the host makes it absolute */
  PALIMPSEST_PARAMETER_INTEGER_LIST = 6,
  PALIMPSEST_PARAMETER_NUMBER_LIST = 7,
  PALIMPSEST_PARAMETER_STRING_LIST = 8
};

/* A value of a parameter: a default in a table, or what create receives. Only the members that the type names are
 * meant. */
typedef struct palimpsest_parameter_value {
  int32_t present; /* 0: no value (optional, without default, not given) */
  int32_t reserved;
  int64_t integer;      /* BOOLEAN (0 or 1), INTEGER */
  double number;        /* NUMBER */
  palimpsest_text text; /* STRING, PATH */
  size_t count;         /* lists: number of entries of the one array below that is meant */
  const int64_t* integers;
  const double* numbers;
  const palimpsest_text* texts;
} palimpsest_parameter_value;

/* One row of a parameter table. All pointers are constants of the library. */
typedef struct palimpsest_parameter {
  const char* name; /* as in the TOML file: lower_snake_case */
  palimpsest_parameter_type type;
  int32_t required;                         /* 1: the user must give it */
  palimpsest_parameter_value default_value; /* present = 0: none */
  int32_t has_min, has_max; /* bounds hold for numbers and for every entry of a list of numbers; both inclusive */
  double min, max;
  const char* const* choices; /* NULL-terminated list of allowed strings, or NULL */
  const char* unit;           /* "" for none */
  const char* doc;            /* one or two sentences */
} palimpsest_parameter;

typedef struct palimpsest_descriptor {
  const char* kind;    /* "editor", "finetune-task", "augmenter", "freeze-policy" or "metric" */
  const char* id;      /* lower_snake_case or lower-kebab-case, unique among plugins of its kind */
  const char* version; /* of the plugin: recorded in results, part of what stored stages are addressed by */
  const char* summary; /* one line */
  const palimpsest_parameter* parameters;
  size_t parameter_count;
  /* Makes an instance from resolved parameters: a value for every row of the table, in its order.
   * When: once for each instance that the host wants; an editor's also for `plan`, where no model is open.
   * Ownership: *instance is the plugin's, and the host's to give to destroy. `values` and all that they point to live
   * for the call, `host` until destroy has returned. On failure *instance stays untouched. Thread: any, which becomes
   * the instance's. Errors: INVALID_ARGUMENT for values that contradict each other (types, ranges and choices were
   * checked by the host). */
  palimpsest_status (*create)(const palimpsest_host* host, const palimpsest_parameter_value* values, size_t count,
                              void** instance);
  /* Ends an instance.
   * When: exactly once for every instance that create made, after the last call of its functions; not at all where the
   * process ends by a crash or is stopped.
   * Ownership: frees all that the instance holds, retained handles included.
   * Thread: the instance's. Errors: none; cannot fail. */
  void (*destroy)(void* instance);
  /* The function table of an interface by `name/revision` (e.g. "editor/1"), or NULL where the plugin does not offer
   * it. When: at any time after loading, without an instance; the same id gives the same answer. Ownership: the table
   * is a constant of the library. Thread: any. Errors: none; an unknown id is NULL, never a table of something else. */
  const void* (*get_interface)(const char* interface_id);
} palimpsest_descriptor;

#ifdef __cplusplus
}
#endif
#endif
