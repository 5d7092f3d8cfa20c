// The service tables, one unit each.
#pragma once

#include "palimpsest/palimpsest.h"

namespace palimpsest::plugin {

const palimpsest_tensor_v1& tensor_service();
const palimpsest_model_v1& model_service();
const palimpsest_parameters_v1& parameters_service();
const palimpsest_autograd_v1& autograd_service();
const palimpsest_generation_v1& generation_service();
const palimpsest_tokenizer_v1& tokenizer_service();
const palimpsest_update_origin_v1& update_origin_service();
const palimpsest_fact_v1& fact_service();
const palimpsest_dataset_v1& dataset_service();
const palimpsest_second_moment_v1& second_moment_service();
const palimpsest_store_v1& store_service();
const palimpsest_error_v1& error_service();
const palimpsest_log_v1& log_service();
const palimpsest_progress_v1& progress_service();
const palimpsest_cancel_v1& cancel_service();
const palimpsest_random_v1& random_service();

}  // namespace palimpsest::plugin
