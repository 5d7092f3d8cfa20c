/* autograd/1: gradients for plugins that do not link libtorch, and the grad mode. */
#ifndef PALIMPSEST_SERVICES_AUTOGRAD_H
#define PALIMPSEST_SERVICES_AUTOGRAD_H

#include "palimpsest/host.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PALIMPSEST_AUTOGRAD_1 "autograd/1"

typedef struct palimpsest_autograd_v1 {
  /* d loss / d inputs[i] into gradients[i], the caller's to release; `loss` is a scalar, its graph is freed. An input
   * that the loss does not depend on gives zeros. */
  palimpsest_status (*grad)(const palimpsest_host* host, palimpsest_tensor loss, const palimpsest_tensor* inputs,
                            size_t count, palimpsest_tensor* gradients);
  /* Sets the calling thread's grad mode and tells the former one. The host restores it when the plugin's function
   * returns. */
  palimpsest_status (*set_grad_enabled)(const palimpsest_host* host, int32_t enabled, int32_t* former);
  /* Marks a leaf tensor as one that gradients are wanted for. */
  palimpsest_status (*require_grad)(const palimpsest_host* host, palimpsest_tensor tensor);
} palimpsest_autograd_v1;

#ifdef __cplusplus
}
#endif
#endif
