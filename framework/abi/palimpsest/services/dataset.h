/* dataset/1: the user's file, opened, checked, filtered, split and hashed by the host; rows and columns as text. */
#ifndef PALIMPSEST_SERVICES_DATASET_H
#define PALIMPSEST_SERVICES_DATASET_H

#include "palimpsest/kinds/finetune_task.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PALIMPSEST_DATASET_1 "dataset/1"

typedef struct palimpsest_dataset_request {
  palimpsest_text path;           /* .txt, .jsonl or .csv */
  const palimpsest_text* columns; /* wanted columns; .txt has one, "text" */
  size_t column_count;
  double validation_share; /* of the rows, held out by seed; 0 < share < 1 */
  int32_t filter;          /* 1: apply the experiment's irrelevance filter; 0: take every row */
  int32_t reserved;
} palimpsest_dataset_request;

typedef struct palimpsest_dataset_v1 {
  /* Opens; *out lives as long as the instance. Row errors name file and line. */
  palimpsest_status (*open)(const palimpsest_host* host, const palimpsest_dataset_request* request,
                            palimpsest_dataset** out);
  palimpsest_status (*count)(const palimpsest_host* host, palimpsest_dataset* dataset, palimpsest_split split,
                             int64_t* rows);
  /* Column `column` (index in the request) of a row; valid as long as the instance. */
  palimpsest_status (*text)(const palimpsest_host* host, palimpsest_dataset* dataset, palimpsest_split split,
                            int64_t row, size_t column, palimpsest_text* out);
} palimpsest_dataset_v1;

#ifdef __cplusplus
}
#endif
#endif
