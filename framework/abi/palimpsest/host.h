/* The host as an instance sees it: one object per instance, alive from before create until after destroy. */
#ifndef PALIMPSEST_HOST_H
#define PALIMPSEST_HOST_H

#include "palimpsest/types.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct palimpsest_host {
  void* context; /* the host's own; passed back by handing this struct to a service */
  uint32_t abi_major;
  uint32_t abi_minor;
  /* The table of a service by `name/revision` (e.g. "tensor/1"), or NULL if this host does not offer it.
   * When: at any time between create and the end of destroy.
   * Ownership: the table is the host's and lives as long as the process.
   * Thread: any. Errors: none; an unknown service is NULL. */
  const void* (*get_service)(const struct palimpsest_host* host, const char* service);
} palimpsest_host;

#ifdef __cplusplus
}
#endif
#endif
