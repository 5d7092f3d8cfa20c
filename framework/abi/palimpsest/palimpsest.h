/* The whole contract in one include. */
#ifndef PALIMPSEST_PALIMPSEST_H
#define PALIMPSEST_PALIMPSEST_H

#include "palimpsest/descriptor.h"
#include "palimpsest/entry.h"
#include "palimpsest/host.h"
#include "palimpsest/kinds/augmenter.h"
#include "palimpsest/kinds/editor.h"
#include "palimpsest/kinds/finetune_task.h"
#include "palimpsest/kinds/freeze_policy.h"
#include "palimpsest/kinds/metric.h"
#include "palimpsest/services/autograd.h"
#include "palimpsest/services/dataset.h"
#include "palimpsest/services/fact.h"
#include "palimpsest/services/generation.h"
#include "palimpsest/services/model.h"
#include "palimpsest/services/parameters.h"
#include "palimpsest/services/runtime.h"
#include "palimpsest/services/second_moment.h"
#include "palimpsest/services/store.h"
#include "palimpsest/services/tensor.h"
#include "palimpsest/services/tokenizer.h"
#include "palimpsest/services/update_origin.h"
#include "palimpsest/types.h"
#include "palimpsest/version.h"

#endif
