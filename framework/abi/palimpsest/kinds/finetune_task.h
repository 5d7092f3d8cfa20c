/* finetune-task/1: downstream examples, and the task's own score. The host owns the loop: it shuffles, packs, pads,
 * batches, optimises and stops. */
#ifndef PALIMPSEST_KINDS_FINETUNE_TASK_H
#define PALIMPSEST_KINDS_FINETUNE_TASK_H

#include "palimpsest/types.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PALIMPSEST_KIND_FINETUNE_TASK "finetune-task"
#define PALIMPSEST_FINETUNE_TASK_1 "finetune-task/1"
#define PALIMPSEST_FINETUNE_TASK_LOSS_1 "finetune-task.loss/1"

typedef int32_t palimpsest_split;
enum { PALIMPSEST_TRAIN = 0, PALIMPSEST_VALIDATION = 1 };

typedef int32_t palimpsest_batching;
enum {
  PALIMPSEST_BATCHING_PACK =
      0, /* examples are joined by the separator token and cut into blocks of training.block_size */
  PALIMPSEST_BATCHING_PAD = 1 /* one example is one row, cut at training.block_size */
};

typedef struct palimpsest_example_sink {
  void* context;
  /* The tokens of one example and what is to be predicted at each: labels[i] is the token that position i stands for,
   * as in the usual shifted loss (the host shifts), or -100 where no loss is taken.
   * When: by example, exactly once. Ownership: the arrays stay the caller's; the host copies.
   * Thread: instance. Errors: none yet; return what is not OK. */
  palimpsest_status (*example)(void* context, const int64_t* token_ids, const int64_t* labels, size_t count);
} palimpsest_example_sink;

typedef struct palimpsest_finetune_task_v1 {
  /* Opens the data through dataset/1 and tokenizes as needed; `model` tells sizes.
   * When: once, before everything below. Ownership: `model` lives for the call; a dataset lives as long as the
   * instance. Thread: instance. Errors: any; nothing is trained. INVALID_ARGUMENT where a split would be empty. */
  palimpsest_status (*prepare)(void* instance, palimpsest_model* model);
  /* How the host makes batches of the examples.
   * When: after prepare; the same every time. Ownership: nothing is passed.
   * Thread: instance. Errors: none; another number than PACK or PAD is refused. */
  palimpsest_batching (*batching)(void* instance);
  /* Number of examples of a split, the same every time.
   * When: after prepare. Ownership: *count is the host's. Thread: instance. Errors: any; nothing is trained. */
  palimpsest_status (*count)(void* instance, palimpsest_split split, int64_t* count);
  /* Example `index` of a split, 0 <= index < count; the same index gives the same example.
   * When: after prepare, in any order and as often as the host wants. Ownership: `sink` lives for the call.
   * Thread: instance. Errors: OUT_OF_RANGE for an index that is not there; what the sink returned. */
  palimpsest_status (*example)(void* instance, palimpsest_split split, int64_t index,
                               const palimpsest_example_sink* sink);
  /* The columns of the score.
   * When: at any time. Ownership: *columns is the plugin's and lives as long as the instance.
   * Thread: instance. Errors: any; nothing is scored. */
  palimpsest_status (*score_columns)(void* instance, const palimpsest_column** columns, size_t* count);
  /* The task's own score of the model on the validation split, one row with fact -1. Must leave the model as it is.
   * When: after prepare, at the measuring steps. Ownership: `model` and `sink` live for the call.
   * Thread: instance. Errors: any; what the sink returned. */
  palimpsest_status (*score)(void* instance, palimpsest_model* model, const palimpsest_row_sink* sink);
} palimpsest_finetune_task_v1;

/* Optional: a loss of the task's own (DPO). The host still owns loop and optimiser: it draws examples by index, and
 * takes means over examples. `batching` must give PALIMPSEST_BATCHING_PAD; `example` then only says which tokens the
 * loss reads of an example, for the dose, and is not cut. */
typedef struct palimpsest_finetune_task_loss_v1 {
  /* Makes ready for loss, e.g. stores reference log-probabilities: no second model is kept. `model` is the one that
   * enters the stage, in the arithmetic of training.
   * When: once before step 0, after the task's own prepare. Ownership: `model` lives for the call.
   * Thread: instance. Errors: any; nothing is trained. */
  palimpsest_status (*prepare)(void* instance, palimpsest_model* model);
  /* The mean loss of the examples, a scalar tensor. In training, grad mode is on and the results of `forward` with the
   * current weights are differentiable in what is trained, and in nothing else: the scalar must have been computed from
   * them. In validation, grad mode is off.
   * When: after prepare, once for each batch of a step and of a validation.
   * Ownership: *loss is the host's to release; `model` and `examples` live for the call.
   * Thread: instance. Errors: any; the run ends. NUMERIC for NaN. */
  palimpsest_status (*loss)(void* instance, palimpsest_model* model, palimpsest_split split, const int64_t* examples,
                            size_t count, palimpsest_tensor* loss);
} palimpsest_finetune_task_loss_v1;

#ifdef __cplusplus
}
#endif
#endif
