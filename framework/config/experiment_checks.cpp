// What several keys say together.
#include "config/experiment_maker.hpp"

namespace palimpsest::config {

void Maker::check_stages() {
  if (!clean({"experiment.stages", "experiment"})) return;
  const auto& stages = made_.experiment.stages;
  if (stages.empty()) {
    add("experiment", "stages", "found an empty list, expected at least one of \"edit\", \"finetune\", \"reapply\"");
  }
  const auto edit = std::find(stages.begin(), stages.end(), StageKind::kEdit);
  const auto reapply = std::find(stages.begin(), stages.end(), StageKind::kReapply);
  if (reapply < edit) {
    add("experiment", "stages",
        "found \"reapply\" before any \"edit\", expected an \"edit\" whose updates it can add again");
  }
}

void Maker::check_facts() {
  const FactsSection& facts = made_.facts;
  if (clean({"facts.format", "facts.zsre_target"})) {
    const bool given = !facts.zsre_target.empty();
    if (facts.format == "zsre" && !given) {
      add("facts", "zsre_target",
          "found nothing, expected one of \"answers\", \"alt\": required with format = \"zsre\"");
    } else if (facts.format != "zsre" && given) {
      add("facts", "zsre_target", "found ", inline_toml(Value{facts.zsre_target, {}}),
          ", expected nothing: it belongs to format = \"zsre\", and the format is \"", facts.format, "\"");
    }
  }
  if (clean({"facts.selection", "facts.intrinsic", "facts.edited"}) && facts.selection == "matched" &&
      (facts.intrinsic == 0 || facts.edited == 0)) {
    add("facts", "selection", "found \"matched\", expected facts.edited and facts.intrinsic above 0 with it");
  }
  const ExperimentSection& experiment = made_.experiment;
  if (clean({"facts", "experiment.replicates", "experiment.swap_roles"}) && facts.selection == "matched" &&
      experiment.swap_roles && experiment.replicates > 1 && facts.intrinsic > 0 && facts.intrinsic <= facts.edited) {
    add("facts", "selection", "found \"matched\" with ", facts.edited, " edited and ", facts.intrinsic,
        " intrinsic facts, expected more intrinsic ones: where replicates swap roles, ", facts.intrinsic,
        " are the facts that the paired replicate edits, and none would be chosen by margin; or set "
        "experiment.swap_roles = false");
  }
  if (clean({"facts.limit", "facts.edited", "facts.intrinsic"}) && facts.limit > 0 &&
      facts.edited + facts.intrinsic > facts.limit) {
    add("facts", "limit", "found the integer ", facts.limit,
        ", expected 0 or at least facts.edited + facts.intrinsic, ", facts.edited + facts.intrinsic);
  }
}

void Maker::check_edit() {
  const EditSection& edit = made_.edit;
  if (!clean({"edit.scope"})) return;
  if (clean({"edit.batch_size"}) && edit.batch_size > 0 && edit.scope != "batch") {
    add("edit", "batch_size", "found the integer ", edit.batch_size, " with scope = \"", edit.scope,
        "\", expected it with scope = \"batch\", or 0");
  }
  if (clean({"edit.measure_every"}) && edit.measure_every > 0 && edit.scope == "isolated") {
    add("edit", "measure_every", "found the integer ", edit.measure_every,
        " with scope = \"isolated\", expected it with scope = \"sequential\" or \"batch\", or 0");
  }
}

void Maker::check_training() {
  if (!made_.experiment.has(StageKind::kFinetune)) return;
  const TrainingSection& training = made_.training;
  if (clean({"training.max_steps", "training.epochs"}) && training.max_steps == 0 && training.epochs == 0) {
    add("training", "max_steps", "found 0 here and in training.epochs, expected one of them above 0");
  }
  if (clean({"training.masters", "model.dtype"}) && training.masters == "none" && made_.model.dtype != "bfloat16") {
    add("training", "masters", "found \"none\" with model.dtype = \"", made_.model.dtype,
        "\", expected it with model.dtype = \"bfloat16\": weights in float32 are stepped as they are");
  }
  check_ascending("measure_steps", training.measure_steps);
  check_ascending("measure_epochs", training.measure_epochs);
  if (clean({"training.stop_gain_share", "training.stop_reference_gain"}) &&
      (training.stop_gain_share > 0) != (training.stop_reference_gain > 0)) {
    const bool share = training.stop_gain_share > 0;
    add("training", share ? "stop_gain_share" : "stop_reference_gain", "found a value above 0, expected training.",
        share ? "stop_reference_gain" : "stop_gain_share", " above 0 with it");
  }
  for (const char* name : {"stop_loss", "stop_gain_share", "patience"}) {
    const Entry* entry = made_.resolved.find("training")->value.as<Table>().find(name);
    if (!entry || !clean({"training.evaluate_every"}) || check_.failed.contains(cat("training.", name))) continue;
    const bool on = entry->value.is<double>() ? entry->value.as<double>() > 0 : entry->value.as<std::int64_t>() > 0;
    if (on && training.evaluate_every == 0) {
      add("training", name, "found a value above 0, expected training.evaluate_every above 0 with it");
    }
  }
}

template <typename T>
void Maker::check_ascending(const char* name, const std::vector<T>& items) {
  for (std::size_t i = 1; i < items.size(); ++i) {
    if (items[i - 1] < items[i]) continue;
    add("training", name, "found ", items[i], " after ", items[i - 1],
        ", expected an ascending list without repetition");
    return;
  }
}

}  // namespace palimpsest::config
