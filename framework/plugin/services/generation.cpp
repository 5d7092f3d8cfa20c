// generation/1
#include "model/generation.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "model/tokenizer/tokenizer.hpp"
#include "plugin/services/context.hpp"
#include "plugin/services/tables.hpp"

namespace palimpsest::plugin {
namespace {

// Where the earliest stop text begins in `text`, or npos.
std::size_t stop_at(const std::string& text, const std::vector<std::string>& stops) {
  std::size_t first = std::string::npos;
  for (const auto& stop : stops) first = std::min(first, text.find(stop));
  return first;
}

palimpsest_status generate(palimpsest_model* model, const palimpsest_generation_request* request,
                           const palimpsest_generation_sink* sink) {
  palimpsest_status sink_status = PALIMPSEST_OK;
  const palimpsest_status status = guarded([&] {
    if (request->temperature > 0)
      refuse_in_compute(model->store_scope, PALIMPSEST_STORE_ON_SEED, "sampling by generation/1");
    const model::Tokenizer& tokenizer = *model->opened->tokenizer;
    std::vector<std::vector<std::int64_t>> prompts;
    for (size_t i = 0; i < request->prompt_count; ++i)
      prompts.push_back(tokenizer.encode_prompt(view(request->prompts[i])).ids);
    std::vector<std::string> stops;
    for (size_t i = 0; i < request->stop_count; ++i) stops.emplace_back(view(request->stop_texts[i]));

    model::GenerationOptions options;
    options.max_new_tokens = request->max_new_tokens;
    options.temperature = request->temperature;
    options.top_p = request->top_p;
    options.stop_ids = tokenizer.eos_ids();
    options.seed = model->seed;
    options.stream = cat("generation/", view(request->stream));
    if (!stops.empty()) {
      options.stop = [&](std::int64_t, const std::vector<std::int64_t>& ids) {
        return stop_at(tokenizer.decode_continuation(ids), stops) != std::string::npos;
      };
    }
    const auto made = model::generate(model->opened->config, model->at(request->stage), prompts, options);
    for (size_t i = 0; i < made.size() && sink_status == PALIMPSEST_OK; ++i) {
      std::string text = tokenizer.decode_continuation(made[i], /*skip_special_tokens=*/true);
      text.resize(std::min(text.size(), stop_at(text, stops)));
      sink_status = sink->continuation(sink->context, i, text_of(text), made[i].data(), made[i].size());
    }
  });
  return sink_status != PALIMPSEST_OK ? sink_status : status;
}

}  // namespace

const palimpsest_generation_v1& generation_service() {
  static constexpr palimpsest_generation_v1 kTable = {generate};
  return kTable;
}

}  // namespace palimpsest::plugin
