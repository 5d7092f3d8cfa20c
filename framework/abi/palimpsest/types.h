/* What everything else is made of: status codes, text, tensor handles, columns.
 *
 * Conventions of the whole contract:
 *  - All text is UTF-8. `palimpsest_text` is a view: not terminated, never freed by the receiver, valid for the call in
 * which it was passed or, when a function returns it, until the next call on the same object.
 *  - Every function that can fail returns a `palimpsest_status`; the sentence goes through the service `error/1`.
 *  - Functions of the host never throw. What a plugin's function throws is caught by the host and counts as
 *    PALIMPSEST_INTERNAL; a plugin should return a status instead.
 *  - All calls into one instance come from one thread at a time, the thread that created it.
 *  - A pointer is NULL only where a comment allows it.
 *
 * Every function pointer says When it is called (or may be), the Ownership of what crosses, the Thread and the Errors.
 * "Thread: instance" is the instance's own, as above. Where a function takes a `context`, that is the member of the
 * sink that holds the pointer, passed back unseen. */
#ifndef PALIMPSEST_TYPES_H
#define PALIMPSEST_TYPES_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef int32_t palimpsest_status;
enum {
  PALIMPSEST_OK = 0,
  PALIMPSEST_INVALID_ARGUMENT = 1, /* a value, key or combination that can never work */
  PALIMPSEST_NOT_FOUND = 2,        /* a file or name that does not exist */
  PALIMPSEST_OUT_OF_RANGE = 3,     /* an index, layer or number outside its limits */
  PALIMPSEST_UNSUPPORTED = 4,      /* understood, and not offered */
  PALIMPSEST_CORRUPT = 5,          /* bytes that contradict themselves or their checksum */
  PALIMPSEST_IO = 6,               /* the system refused to read or write */
  PALIMPSEST_NUMERIC = 7,          /* NaN, infinity, a matrix that is not positive definite */
  PALIMPSEST_CANCELLED = 8,        /* the user asked to stop */
  PALIMPSEST_OUT_OF_MEMORY = 9,
  PALIMPSEST_INTERNAL = 10 /* a broken promise of the callee's own */
};

typedef struct palimpsest_text {
  const char* data;
  size_t size; /* bytes */
} palimpsest_text;

/* A tensor, as libtorch's own opaque handle (AtenTensorHandle of its C shim): autograd history and version counters
 * survive the crossing. A handle passed in lives for the call; keep the tensor by `tensor/1` retain. A handle received
 * from a service is the receiver's, to be given back by `tensor/1` release. */
struct AtenTensorOpaque;
typedef struct AtenTensorOpaque* palimpsest_tensor;

/* Element types of tensors, buffers and columns. */
typedef int32_t palimpsest_dtype;
enum {
  PALIMPSEST_FLOAT32 = 1,
  PALIMPSEST_FLOAT64 = 2,
  PALIMPSEST_BFLOAT16 = 3,
  PALIMPSEST_FLOAT16 = 4,
  PALIMPSEST_INT64 = 5,
  PALIMPSEST_BOOL = 6,
  PALIMPSEST_TEXT = 7 /* columns only */
};

/* Opaque objects of the host. Each lives for the call that it is passed to, unless a function says otherwise. */
typedef struct palimpsest_model palimpsest_model;
typedef struct palimpsest_fact palimpsest_fact;
typedef struct palimpsest_cache palimpsest_cache;
typedef struct palimpsest_dataset palimpsest_dataset;

/* The shape of a model. */
typedef struct palimpsest_model_info {
  int64_t layers;
  int64_t hidden;     /* width of the residual stream */
  int64_t mlp;        /* width of the key: input of the down-projection */
  int64_t vocabulary; /* rows of the head */
  int64_t heads;
  int64_t max_positions;
} palimpsest_model_info;

/* How the host summarises a column over facts. */
typedef int32_t palimpsest_aggregate;
enum {
  PALIMPSEST_AGGREGATE_NONE = 0, /* not summarised */
  PALIMPSEST_AGGREGATE_MEAN = 1, /* mean with its interval */
  PALIMPSEST_AGGREGATE_RATE = 2  /* a 0/1 outcome: share, and retention against the baseline */
};

/* Against which measuring point the host computes retention of a RATE column. */
typedef uint32_t palimpsest_baseline;
enum {
  PALIMPSEST_BASELINE_NONE = 0,
  PALIMPSEST_BASELINE_BASE = 1,   /* the unedited model */
  PALIMPSEST_BASELINE_EDITED = 2, /* the model as it was edited, before fine-tuning */
  PALIMPSEST_BASELINE_BOTH = 3
};

/* What the quality gate reads a column as: whether a model was edited well enough for its retention to mean something
 * (docs/results-format.md, /quality_gate). Such a column holds numbers or truths of unit "1". For each cell and each
 * role the gate takes the first column that declares the role and has values, in the order of the configuration's
 * metrics, the task's score last. A task's score may declare PERPLEXITY only: its row is about no fact. */
typedef int32_t palimpsest_gate;
enum {
  PALIMPSEST_GATE_NONE = 0,
  /* Rows of edited facts: 1 where the edit succeeded, 0 where it did not, or a share. Read at the first stage `edited`.
   */
  PALIMPSEST_GATE_EFFICACY = 1,
  /* Rows of edited facts: share, 0 to 1, of the prompts about other subjects that are answered as the unedited model's
   * knowledge has it. Its mean at `base` minus its mean at `edited` is the loss. */
  PALIMPSEST_GATE_NEIGHBOURHOOD = 2,
  /* A row about no fact: perplexity of a text, at least 1. Its value at `edited` is compared with that at `base`. */
  PALIMPSEST_GATE_PERPLEXITY = 3
};

/* One column of what a metric or a task's score emits. All texts are constants of the library. */
typedef struct palimpsest_column {
  const char* name;
  palimpsest_dtype dtype; /* PALIMPSEST_FLOAT64, PALIMPSEST_INT64, PALIMPSEST_BOOL or PALIMPSEST_TEXT */
  const char* unit;       /* "1" for a pure number, "nat", "token", ... */
  const char* doc;        /* the definition, written into the results */
  palimpsest_aggregate aggregate;
  palimpsest_baseline baseline;
  palimpsest_gate gate;
} palimpsest_column;

/* One value of a row, in the member that its column's dtype names. A missing value is `missing` != 0, a missing FLOAT64
 * also NaN. INT64 has no value for what is missing, so there it is refused: a number that can be missing is FLOAT64. */
typedef struct palimpsest_cell_value {
  double number;
  int64_t integer; /* INT64 and BOOL */
  palimpsest_text text;
  int32_t missing;
} palimpsest_cell_value;

/* Where a metric's rows go. The host copies; the callee keeps nothing. */
typedef struct palimpsest_row_sink {
  void* context;
  /* One row: `fact` is an index into the facts of the request, or -1 for a row about no single fact; `values` are in
   * the order of the declared columns.
   * When: by measure or score, any number of times; the order is kept. Ownership: values and texts stay the caller's.
   * Thread: instance. Errors: INVALID_ARGUMENT for a wrong count, OUT_OF_RANGE for a fact that is not there, NUMERIC
   * for an infinity; then return the same status. */
  palimpsest_status (*row)(void* context, int64_t fact, const palimpsest_cell_value* values, size_t count);
} palimpsest_row_sink;

#ifdef __cplusplus
}
#endif
#endif
