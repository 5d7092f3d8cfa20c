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
   * where, what to do.
   * When: before a status that is not OK is returned. Ownership: the host copies.
   * Thread: any, each its own sentence. Errors: none. */
  void (*set)(const palimpsest_host* host, palimpsest_text sentence);
  /* The sentence of the last failed host function on this thread, or of the last set.
   * When: after a host function failed. Ownership: a view, valid until the next call into the host on this thread.
   * Thread: any, each its own sentence. Errors: none; empty where nothing failed. */
  palimpsest_text (*last)(const palimpsest_host* host);
} palimpsest_error_v1;

typedef int32_t palimpsest_log_level;
enum { PALIMPSEST_LOG_DEBUG = 0, PALIMPSEST_LOG_INFO = 1, PALIMPSEST_LOG_WARNING = 2, PALIMPSEST_LOG_ERROR = 3 };

typedef struct palimpsest_log_v1 {
  /* One line of the log, after the plugin's kind and id.
   * When: at any time. Ownership: the host copies. Thread: any. Errors: none; an unknown level counts as INFO. */
  void (*write)(const palimpsest_host* host, palimpsest_log_level level, palimpsest_text message);
} palimpsest_log_v1;

typedef struct palimpsest_progress_v1 {
  /* `done` of `total` `unit`s of what `label` names.
   * When: as often as wanted; the host thins it out. Ownership: the host copies. Thread: instance. Errors: none. */
  void (*report)(const palimpsest_host* host, palimpsest_text label, int64_t done, int64_t total, palimpsest_text unit);
} palimpsest_progress_v1;

typedef struct palimpsest_cancel_v1 {
  /* 1 when the user asked to stop: return PALIMPSEST_CANCELLED soon.
   * When: now and then during work that takes longer than a second. Ownership: nothing is passed.
   * Thread: any. Errors: none. */
  int32_t (*requested)(const palimpsest_host* host);
} palimpsest_cancel_v1;

typedef struct palimpsest_random_v1 {
  /* Numbers from the named stream of the cell's seed: uniform in [0, 1), or standard normal. The same (seed, name,
   * count of numbers drawn before) gives the same numbers everywhere; streams do not disturb each other, nor those of
   * other plugins.
   * When: at any time. Ownership: `out` has room for `count` numbers and is the caller's.
   * Thread: instance. Errors: INVALID_ARGUMENT while a value for the store is computed that does not depend on the
   * seed. */
  palimpsest_status (*uniform)(const palimpsest_host* host, palimpsest_text stream, double* out, size_t count);
  /* Standard normal; When, Ownership, Thread, Errors: as uniform. */
  palimpsest_status (*normal)(const palimpsest_host* host, palimpsest_text stream, double* out, size_t count);
} palimpsest_random_v1;

#ifdef __cplusplus
}
#endif
#endif
