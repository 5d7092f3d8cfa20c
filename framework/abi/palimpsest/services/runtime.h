/* The small services: error/1, log/1, progress/1, cancel/1, random/1. */
#ifndef PALIMPSEST_SERVICES_RUNTIME_H
#define PALIMPSEST_SERVICES_RUNTIME_H

#include "palimpsest/host.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PALIMPSEST_ERROR_1 "error/1"
#define PALIMPSEST_LOG_1 "log/1"
#define PALIMPSEST_PROGRESS_1 "progress/1"
#define PALIMPSEST_CANCEL_1 "cancel/1"
#define PALIMPSEST_RANDOM_1 "random/1"

typedef struct palimpsest_error_v1 {
  /* The sentence for the status that the plugin's function is about to return: what was found, what was expected,
   * where, what to do. Copied. Per thread. */
  void (*set)(const palimpsest_host* host, palimpsest_text sentence);
  /* The sentence of the last failed host function on this thread; valid until the next call into the host. */
  palimpsest_text (*last)(const palimpsest_host* host);
} palimpsest_error_v1;

typedef int32_t palimpsest_log_level;
enum { PALIMPSEST_LOG_DEBUG = 0, PALIMPSEST_LOG_INFO = 1, PALIMPSEST_LOG_WARNING = 2, PALIMPSEST_LOG_ERROR = 3 };

typedef struct palimpsest_log_v1 {
  /* One line. Any thread. */
  void (*write)(const palimpsest_host* host, palimpsest_log_level level, palimpsest_text message);
} palimpsest_log_v1;

typedef struct palimpsest_progress_v1 {
  /* `done` of `total` `unit`s of what `label` names; as often as wanted, the host thins it out. */
  void (*report)(const palimpsest_host* host, palimpsest_text label, int64_t done, int64_t total, palimpsest_text unit);
} palimpsest_progress_v1;

typedef struct palimpsest_cancel_v1 {
  /* 1 when the user asked to stop: return PALIMPSEST_CANCELLED soon. Any thread. */
  int32_t (*requested)(const palimpsest_host* host);
} palimpsest_cancel_v1;

typedef struct palimpsest_random_v1 {
  /* Numbers from the named stream of the cell's seed: uniform in [0, 1), or standard normal. The same (seed, name,
   * count of numbers drawn before) gives the same numbers everywhere; streams do not disturb each other. */
  palimpsest_status (*uniform)(const palimpsest_host* host, palimpsest_text stream, double* out, size_t count);
  palimpsest_status (*normal)(const palimpsest_host* host, palimpsest_text stream, double* out, size_t count);
} palimpsest_random_v1;

#ifdef __cplusplus
}
#endif
#endif
