// The five kinds as C++ base classes, and the tables that lead from the C contract to their virtual functions.
#pragma once

#include "palimpsest/sdk/kinds/augmenter.hpp"
#include "palimpsest/sdk/kinds/editor.hpp"
#include "palimpsest/sdk/kinds/finetune_task.hpp"
#include "palimpsest/sdk/kinds/freeze_policy.hpp"
#include "palimpsest/sdk/kinds/metric.hpp"
