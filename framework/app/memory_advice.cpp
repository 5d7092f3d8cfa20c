#include "app/memory_advice.hpp"

#include <algorithm>
#include <functional>

#include "base/error.hpp"
#include "base/text.hpp"

namespace palimpsest::app {
namespace {

constexpr double kMiB = 1 << 20, kGiB = 1 << 30;
// Less than this share of a phase is not worth a line, nor a setting.
constexpr double kWorthIt = 0.01;

struct Setting {
  std::string text;
  std::function<void(config::Experiment&)> set;
  // The same numbers come out, or those of another rounding; not another method.
  bool same_method = true;
};

// What a user may turn, where it says anything yet.
std::vector<Setting> settings_for(const config::Experiment& e) {
  std::vector<Setting> all;
  const config::TrainingSection& t = e.training;
  if (!t.activation_checkpointing) {
    all.push_back({"training.activation_checkpointing = true",
                   [](config::Experiment& x) { x.training.activation_checkpointing = true; }});
  }
  if (on_device(e) && t.optimizer_state == "device") {
    all.push_back(
        {"training.optimizer_state = \"host\"", [](config::Experiment& x) { x.training.optimizer_state = "host"; }});
  }
  if (e.model.dtype == "bfloat16" && t.masters == "float32") {
    all.push_back({"training.masters = \"none\"", [](config::Experiment& x) { x.training.masters = "none"; }});
  }
  if (t.batch_size > 1) {
    all.push_back({cat("training.batch_size = 1, training.accumulation = ", t.batch_size * t.accumulation),
                   [](config::Experiment& x) {
                     x.training.accumulation *= x.training.batch_size;
                     x.training.batch_size = 1;
                   }});
  }
  if (e.second_moments.layers_at_once != 1) {
    all.push_back(
        {"second_moments.layers_at_once = 1", [](config::Experiment& x) { x.second_moments.layers_at_once = 1; }});
  }
  if (e.model.dtype == "float32") {
    all.push_back({"model.dtype = \"bfloat16\"",
                   [](config::Experiment& x) {
                     x.model.dtype = "bfloat16";
                     x.training.precision = "float32";
                   },
                   false});
    // Of a model that is held in float32 only (training/loop).
    if (e.tuning.method == "full")
      all.push_back({"tuning.method = \"lora\"", [](config::Experiment& x) { x.tuning.method = "lora"; }, false});
  }
  return all;
}

double most_wanted(const WorkerSizes& sizes) {
  return wanted(largest(memory_of(sizes), sizes.experiment), sizes.experiment);
}

std::string line(double bytes, const std::string& what) {
  std::string amount = memory_text(bytes);
  amount.insert(0, amount.size() < 10 ? 10 - amount.size() : 0, ' ');
  return cat("    ", amount, "  ", what, "\n");
}

std::string parts_text(const MemoryPhase& phase, const config::Experiment& experiment) {
  const double whole = wanted(phase, experiment);
  std::vector<MemoryPart> parts = phase.parts;
  const auto of = [&](const MemoryPart& part) { return on_device(experiment) ? part.bytes.device : part.bytes.host; };
  std::stable_sort(parts.begin(), parts.end(), [&](const auto& a, const auto& b) { return of(a) > of(b); });
  std::string text;
  double rest = 0;
  for (const auto& part : parts) {
    if (of(part) >= kWorthIt * whole) {
      text += line(of(part), part.what);
    } else {
      rest += of(part);
    }
  }
  if (rest >= kMiB) text += line(rest, "the rest");
  return text;
}

}  // namespace

std::string memory_text(double bytes) {
  return bytes < kGiB ? number_text("%.0f MiB", bytes / kMiB) : number_text("%.1f GiB", bytes / kGiB);
}

std::vector<Remedy> remedies(const WorkerSizes& sizes) {
  const double now = most_wanted(sizes);
  std::vector<Remedy> found;
  WorkerSizes together = sizes;
  std::string all;
  int joined = 0;
  for (const Setting& setting : settings_for(sizes.experiment)) {
    WorkerSizes changed = sizes;
    setting.set(changed.experiment);
    const double then = most_wanted(changed);
    if (setting.same_method) {
      // One may help only beside another: when activations are gone, gradients are next.
      WorkerSizes joint = together;
      setting.set(joint.experiment);
      if (most_wanted(joint) < (1 - kWorthIt) * most_wanted(together) || then < (1 - kWorthIt) * now) {
        together = std::move(joint);
        all += (all.empty() ? "" : ", ") + setting.text;
        ++joined;
      }
    }
    if (then < (1 - kWorthIt) * now) found.push_back({setting.text, then});
  }
  std::stable_sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.wanted < b.wanted; });
  if (joined > 1) found.push_back({all, most_wanted(together)});
  return found;
}

std::string advice(const WorkerSizes& sizes, double available) {
  const config::Experiment& e = sizes.experiment;
  const auto phases = memory_of(sizes);
  const MemoryPhase& most = largest(phases, e);
  const double needed = wanted(most, e);
  const std::string where = on_device(e) ? " of the device" : "";
  std::string host;
  if (on_device(e)) {
    double resident = 0;
    for (const auto& phase : phases) resident = std::max(resident, phase.total().host);
    host = cat(", and ", memory_text(resident), " of the host at most");
  }
  if (needed <= available) {
    return cat("    fits: at most ", memory_text(needed), where, ", in ", most.name, host, "\n");
  }
  std::string text = "    does not fit:\n";
  for (const auto& phase : phases) {
    if (wanted(phase, e) <= available) continue;
    text += cat("    ", phase.name, " wants ", memory_text(wanted(phase, e)), where, host, ":\n", parts_text(phase, e));
  }
  const auto helpful = remedies(sizes);
  if (helpful.empty()) return text + "    no setting would help; a smaller model would\n";
  text += "    what would help, and the most that is then wanted:\n";
  for (const auto& remedy : helpful)
    text += line(remedy.wanted, cat(remedy.setting, remedy.wanted <= available ? ": fits" : ""));
  return text;
}

}  // namespace palimpsest::app
