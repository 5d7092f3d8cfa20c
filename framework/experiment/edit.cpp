#include "experiment/edit.hpp"

#include <algorithm>
#include <memory>
#include <vector>

#include "base/progress.hpp"
#include "experiment/lifelong.hpp"
#include "model/tokenizer/tokenizer.hpp"

namespace palimpsest::experiment {
namespace {

using Facts = std::vector<const palimpsest_fact*>;

// The requests of one fact: its own prompt, then the augmenter's.
std::vector<plugin::EditRequest> requests_of(Workshop& workshop, plugin::Augmenter* augmenter, palimpsest_model& base,
                                             const palimpsest_fact& fact, const std::string& id, std::int64_t ordinal,
                                             StageRecord& record) {
  const data::Fact& f = *fact.fact;
  std::vector<plugin::EditRequest> requests = {{&fact, f.prompt, f.subject, f.target_new, PALIMPSEST_PROMPT_OWN}};
  if (augmenter == nullptr) return requests;
  const std::string& as = workshop.experiment().edit.augment_as;
  const palimpsest_prompt_origin origin = as == "requests"   ? PALIMPSEST_PROMPT_AS_REQUEST
                                          : as == "contexts" ? PALIMPSEST_PROMPT_AS_CONTEXT
                                                             : PALIMPSEST_PROMPT_AUGMENTED;
  const plugin::Augmentation made = augmenter->augment(base, fact);
  for (const auto& prompt : made.prompts) requests.push_back({&fact, prompt, f.subject, f.target_new, origin});
  if (made.records.empty()) return requests;
  auto& table =
      record.table("/augmentation", "a number that the augmenter recorded about one fact",
                   at_stage({text_column("fact", "id of the fact"), text_column("name", "as the augmenter names it"),
                             number_column("value", "", "the number, as the augmenter's documentation states it")}));
  for (const auto& r : made.records) table.append_row({id, ordinal, f.id, r.name, r.value});
  return requests;
}

// What one call of the editor is taught with.
void record_requests(const std::vector<plugin::EditRequest>& requests, const model::Tokenizer& tokenizer,
                     const std::string& id, std::int64_t ordinal, std::int64_t call, StageRecord& record) {
  auto& table = record.table(
      "/edit_requests", "a request that the editor was given",
      at_stage({integer_column("call", "1", "which call of the editor in the stage, from 0"),
                text_column("fact", "id of the fact"), integer_column("request", "1", "place in the editor's call"),
                text_column("origin", "own: the fact's prompt; augmented: the augmenter's"),
                text_column("prompt", "template with {} where the subject stands"),
                text_column("target", "what the edit writes"),
                integer_column("tokens", "token", "of the prompt with its subject, and of the target")}));
  for (std::size_t i = 0; i < requests.size(); ++i) {
    const auto& r = requests[i];
    const auto tokens = tokenizer.encode_prompt(data::expand(r.prompt, r.subject)).ids.size() +
                        tokenizer.encode_target(r.target).ids.size();
    table.append_row({id, ordinal, call, r.fact->fact->id, static_cast<std::int64_t>(i),
                      r.origin == PALIMPSEST_PROMPT_OWN ? "own" : "augmented", std::string(r.prompt),
                      std::string(r.target), static_cast<std::int64_t>(tokens)});
  }
}

// Of all requests of the stage.
std::int64_t tokens_of_requests(const StageRecord& record) {
  std::int64_t sum = 0;
  for (const auto& table : record.tables()) {
    if (table.name != "/edit_requests") continue;
    for (const std::int64_t tokens : table.values<std::int64_t>("tokens")) sum += tokens;
  }
  return sum;
}

void record_edit(const plugin::EditResult& result, const std::vector<plugin::EditRequest>& requests,
                 const std::string& id, std::int64_t ordinal, std::int64_t call, StageRecord& record) {
  auto& table = record.table(
      "/edit_records", "a number that the editor recorded",
      at_stage({integer_column("call", "1", "which call of the editor in the stage, from 0"),
                text_column("fact", "id of the fact; empty where it is about the whole call"),
                integer_column("request", "1", "which request of the call; -1 for the whole call"),
                text_column("name", "as the editor names it"),
                integer_column("step", "1",
                               "step of the editor's optimisation, or what else the editor's README "
                               "says; -1 where there is none"),
                number_column("value", "", "the number, in the unit that the editor's documentation states")}));
  for (const auto& r : result.records) {
    const std::string fact = r.request < 0 ? "" : requests[static_cast<std::size_t>(r.request)].fact->fact->id;
    table.append_row({id, ordinal, call, fact, r.request, r.name, r.step, r.value});
  }
}

}  // namespace

void edit(Workshop& workshop, State& state, const ChainPlace& place, const std::string& id, StageRecord& record) {
  const config::Experiment& e = workshop.experiment();
  const auto editor = workshop.make<plugin::Editor>("editor", e.editor);
  std::unique_ptr<plugin::Augmenter> augmenter;
  if (!e.augmenter.id.empty()) augmenter = workshop.make<plugin::Augmenter>("augmenter", e.augmenter);
  const data::Lot lot = draw_lot(workshop.cell(), workshop.facts(), workshop.knowledge());
  const Cast cast(workshop.facts(), {lot.edited, {}, 0}, e.edit);
  const Facts facts = cast.view(place.fact);
  // Facts of one call; the plan has seen to it that the editor takes so many.
  const std::size_t size = e.edit.scope != "batch"  ? 1
                           : e.edit.batch_size == 0 ? std::max<std::size_t>(1, facts.size())
                                                    : static_cast<std::size_t>(e.edit.batch_size);
  const auto ordinal = static_cast<std::int64_t>(place.stages);

  palimpsest_model model = model_of(state, workshop.model(), workshop.cell().seed);
  palimpsest_model base = model_of(base_state(workshop.model()), workshop.model(), workshop.cell().seed);
  editor->reset();
  if (!state.editor_state.empty() && editor->has_state() && !place.fact) editor->load(state.editor_state);

  std::size_t done = 0;
  Progress progress("editing", static_cast<std::int64_t>(facts.size()), "facts");
  while (done < facts.size()) {
    const std::size_t end = std::min(facts.size(), done + size);
    std::vector<plugin::EditRequest> requests;
    for (std::size_t i = done; i < end; ++i) {
      const auto own = requests_of(workshop, augmenter.get(), base, *facts[i], id, ordinal, record);
      requests.insert(requests.end(), own.begin(), own.end());
    }
    const auto call = static_cast<std::int64_t>(done / size);
    const std::size_t before = model.updates.size();
    record_requests(requests, *workshop.model().tokenizer, id, ordinal, call, record);
    const plugin::EditResult result = editor->apply(model, requests);
    plugin::check_announced(workshop.plan().needs(workshop.node().cell), result.updates, model.current, e.editor.id);
    record_edit(result, requests, id, ordinal, call, record);
    for (std::size_t i = before; i < model.updates.size(); ++i) model.updates[i].ordinal = ordinal;
    if (lifelong_is_due(e.edit.measure_every, done, end, facts.size())) {
      measure_lifelong(workshop.model(), model.current,
                       {facts.begin(), facts.begin() + static_cast<std::ptrdiff_t>(end)}, e.edit.measure_every, ordinal,
                       record);
    }
    done = end;
    progress.set(static_cast<std::int64_t>(done));
  }
  progress.finish();
  state.current = model.current;
  state.edited = model.current;
  state.edited_beyond_updates = state.current_beyond_updates;
  state.updates = model.updates;
  state.edit_tokens += tokens_of_requests(record);
  state.editor_state = editor->save();
}

}  // namespace palimpsest::experiment
