/* dataset/1: the user's file, opened, checked, filtered, split and hashed by the host; rows and columns as text. */
#ifndef PALIMPSEST_SERVICES_DATASET_H
#define PALIMPSEST_SERVICES_DATASET_H

#include "palimpsest/host.h"
#include "palimpsest/kinds/finetune_task.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PALIMPSEST_DATASET_1 "dataset/1"

typedef struct palimpsest_dataset_request {
  palimpsest_text path;           /* .txt, .jsonl or .csv */
  const palimpsest_text* columns; /* wanted columns; .txt has one, "text" */
  size_t column_count;
  double
      validation_share; /* of the rows, held out by seed; 0 <= share < 1. 0: every row is in `train`, in file order */
  int32_t filter;       /* 1: apply the experiment's irrelevance filter; 0: take every row */
  int32_t reserved;
} palimpsest_dataset_request;

typedef struct palimpsest_dataset_v1 {
  /* Opens, checks, filters and splits a file.
   * When: within any function of an instance that runs in an experiment. Ownership: *out is the host's and lives as
   * long as the instance; the request lives for the call. Thread: instance. Errors: NOT_FOUND for a file or column,
   * INVALID_ARGUMENT for a row (naming file and line), OUT_OF_RANGE for a share, UNSUPPORTED where no experiment runs.
   */
  palimpsest_status (*open)(const palimpsest_host* host, const palimpsest_dataset_request* request,
                            palimpsest_dataset** out);
  /* Number of rows of a split.
   * When: after open. Ownership: *rows is the caller's. Thread: instance. Errors: none known. */
  palimpsest_status (*count)(const palimpsest_host* host, palimpsest_dataset* dataset, palimpsest_split split,
                             int64_t* rows);
  /* Column `column` (index in the request) of a row.
   * When: after open. Ownership: *out is a view that lives as long as the instance.
   * Thread: instance. Errors: OUT_OF_RANGE. */
  palimpsest_status (*text)(const palimpsest_host* host, palimpsest_dataset* dataset, palimpsest_split split,
                            int64_t row, size_t column, palimpsest_text* out);
} palimpsest_dataset_v1;

#ifdef __cplusplus
}
#endif
#endif
