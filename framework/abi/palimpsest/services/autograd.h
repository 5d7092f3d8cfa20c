/* autograd/1: gradients for plugins that do not link libtorch, and the grad mode. */
#ifndef PALIMPSEST_SERVICES_AUTOGRAD_H
#define PALIMPSEST_SERVICES_AUTOGRAD_H

#include "palimpsest/host.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PALIMPSEST_AUTOGRAD_1 "autograd/1"

typedef struct palimpsest_autograd_v1 {
  /* d loss / d inputs[i] into gradients[i]. An input that the loss does not depend on gives zeros.
   * When: after a forward under grad mode; once for a graph, which it frees.
   * Ownership: gradients[0..count) are the caller's to release; `loss` (a scalar) and `inputs` stay the caller's. On
   * failure nothing in `gradients` is the caller's.
   * Thread: instance. Errors: INTERNAL with libtorch's sentence, e.g. for a loss that is no scalar or has no graph. */
  palimpsest_status (*grad)(const palimpsest_host* host, palimpsest_tensor loss, const palimpsest_tensor* inputs,
                            size_t count, palimpsest_tensor* gradients);
  /* Sets the calling thread's grad mode and tells the former one.
   * When: within a plugin's function; when that returns the host puts back what it had. Ownership: nothing is passed.
   * Thread: any, each its own mode. Errors: none known. */
  palimpsest_status (*set_grad_enabled)(const palimpsest_host* host, int32_t enabled, int32_t* former);
  /* Marks a leaf tensor as one that gradients are wanted for.
   * When: before the forward that uses it. Ownership: the tensor stays the caller's.
   * Thread: instance. Errors: INTERNAL for a tensor of integers or one that is no leaf. */
  palimpsest_status (*require_grad)(const palimpsest_host* host, palimpsest_tensor tensor);
} palimpsest_autograd_v1;

#ifdef __cplusplus
}
#endif
#endif
