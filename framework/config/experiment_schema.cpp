#include "config/experiment_schema.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/error.hpp"
#include "config/experiment.hpp"

namespace palimpsest::config {
namespace {

// A key, its default, its meaning; the rest by the small functions below, which read like a sentence.
class Key {
 public:
  Key(std::string name, Type type, std::string doc) {
    spec_.name = std::move(name);
    spec_.type = type;
    spec_.doc = std::move(doc);
  }
  Key& or_else(decltype(Value::data) value) {
    spec_.default_value = Value{std::move(value), {}};
    return *this;
  }
  Key& from(double min) {
    spec_.min = min;
    return *this;
  }
  Key& above(double min) {
    spec_.min = min;
    spec_.above_min = true;
    return *this;
  }
  Key& to(double max) {
    spec_.max = max;
    return *this;
  }
  Key& below(double max) {
    spec_.max = max;
    spec_.below_max = true;
    return *this;
  }
  Key& one_of(std::vector<std::string> choices) {
    spec_.choices = std::move(choices);
    return *this;
  }
  Key& unit(std::string text) {
    spec_.unit = std::move(text);
    return *this;
  }
  Key& required() {
    spec_.required = true;
    return *this;
  }
  Key& for_all_cells() {
    spec_.per_experiment = true;
    return *this;
  }
  Key& also_below_home(std::string folder) {
    spec_.below_home = std::move(folder);
    return *this;
  }
  operator KeySpec() const { return spec_; }  // NOLINT(google-explicit-constructor): tables below are lists of keys

 private:
  KeySpec spec_;
};

Key boolean(std::string name, bool value, std::string doc) {
  return Key(std::move(name), Type::boolean, std::move(doc)).or_else(value);
}
Key integer(std::string name, std::int64_t value, std::string doc) {
  return Key(std::move(name), Type::integer, std::move(doc)).or_else(value).from(0);
}
Key number(std::string name, double value, std::string doc) {
  return Key(std::move(name), Type::number, std::move(doc)).or_else(value).from(0);
}
// The first choice is the default.
Key choice(std::string name, std::vector<std::string> choices, std::string doc) {
  return Key(std::move(name), Type::string, std::move(doc)).or_else(choices.front()).one_of(std::move(choices));
}
Key text(std::string name, std::string value, std::string doc) {
  return Key(std::move(name), Type::string, std::move(doc)).or_else(std::move(value));
}
Key path(std::string name, std::string doc) {
  return Key(std::move(name), Type::path, std::move(doc)).or_else(std::string());
}
template <typename T>
Array list(std::initializer_list<T> items) {
  Array values;
  for (const T& item : items) values.push_back(Value{item, {}});
  return values;
}

TableSpec experiment() {
  return {
      "experiment",
      "What is done, how often, and where the results go. One experiment gives one results file; each cell of it is "
      "one resolved point of the sweep, once per replicate.",
      {text("name", "",
            "Name of the results file and of the experiment in it: letters, digits and `.`, `_`, `-`. Empty: "
            "the configuration file's name without `.toml`.")
           .for_all_cells(),
       Key("stages", Type::string_list,
           "What happens to the model, in this order: `edit` applies the editor to the edited facts, `finetune` trains "
           "on the task, `reapply` adds the recorded updates of the last edit once more. Any sequence is legal.")
           .or_else(list<std::string>({"edit", "finetune"}))
           .one_of({std::begin(kStageKinds), std::end(kStageKinds)}),
       integer(
           "seed", 1,
           "Every random stream derives from it: roles, data order, sampling. Replicate r uses `seed` + r, and pair k "
           "of replicates draws its roles with `seed` + k.")
           .to(9007199254740992.0),
       integer("replicates", 1, "How often each point of the sweep is repeated with another seed.")
           .from(1)
           .to(10000)
           .for_all_cells(),
       boolean(
           "swap_roles", true,
           "Replicates come in pairs that draw the same facts: the second exchanges edited and intrinsic ones, so that "
           "each fact is its own control. With false every replicate draws its own facts.")
           .for_all_cells(),
       text("output", "",
            "Folder of the results: `<name>.h5` and `cells/`, made if missing. A relative path starts at the "
            "folder in which the program is started. Empty: `results/<name>`.")
           .for_all_cells()},
      false,
      false};
}

TableSpec model() {
  return {"model",
          "The decoder language model that is edited and fine-tuned.",
          {Key("path", Type::path,
               "A Hugging Face folder (config.json, tokenizer.json, *.safetensors), or the name of one in "
               "`${home}/models`.")
               .required()
               .also_below_home("models"),
           choice("dtype", {"float32", "bfloat16"}, "Number format in which the weights are held and edited."),
           text("device", "cpu", "Where the model runs: `cpu`, `cuda` or `cuda:N`.")},
          false,
          false};
}

TableSpec facts() {
  return {
      "facts",
      "Which facts are edited and which are the intrinsic control. From the rows considered, the known ones form one "
      "pool; roles are drawn at random, stratified by relation. No subject is in both roles.",
      {Key("file", Type::path, "The facts, in the schema that `format` names.").required(),
       choice("format", {"palimpsest", "retention", "counterfact", "zsre"},
              "Schema of the file: this project's JSON lines, the retention paper's, CounterFact's, or MEND's zsRE."),
       Key("zsre_target", Type::string,
           "Required with `format = \"zsre\"`: the new target is the first of `answers` (the true answer) or `alt` (a "
           "counterfactual one). Published codes differ here.")
           .one_of({"answers", "alt"}),
       integer("first", 0, "Rows of the file skipped before the pool starts.").unit("rows"),
       integer("limit", 0, "Rows considered after those; 0: all.").unit("rows"),
       boolean(
           "known", true,
           "Use only facts that the unedited model knows: every token of the true target is its first choice, and the "
           "target is at least twice as probable as for other subjects of the relation. Facts without a true target "
           "are never known."),
       number("min_probability", 0,
              "Use only facts whose true target has at least this probability in the unedited model.")
           .to(1),
       integer("edited", 10, "Number of edited facts per cell.").unit("facts"),
       integer("intrinsic", 20, "Number of intrinsic facts per cell, the control.").unit("facts"),
       choice(
           "selection", {"random", "matched"},
           "How intrinsic facts are drawn. `random`: at random. `matched`: those whose margin is nearest to an edited "
           "fact's. Margins are taken once for all cells with the same model and facts, right after the edit of the "
           "first of these cells in the file that edits (in scope isolated a control's margin is the unedited "
           "model's). Where replicates swap roles, the facts that the paired replicate edits are controls in any case, "
           "the places left are filled by margin, and `intrinsic` must be above `edited`."),
       number("caliper", 1,
              "With `selection = \"matched\"`, the largest difference of margins that is a match; edited "
              "facts without one are counted (`unmatched` of `/cells`). 0: no limit.")
           .unit("nats")},
      false,
      false};
}

TableSpec filter() {
  return {
      "filter",
      "Keeps the fine-tuning data apart from the facts. It works on documents before packing, by whole words, against "
      "all facts of the experiment, so that all its cells train on the same data.",
      {choice(
           "mode", {"irrelevant", "off", "related"},
           "`irrelevant` drops a row that holds a subject or alias, a target of an edited fact, or three consecutive "
           "words of a prompt's literal text; `related` keeps only such rows; `off` keeps all."),
       boolean("targets_of_intrinsic", false, "Count the targets of intrinsic facts too: stricter.")},
      false,
      false};
}

TableSpec second_moments() {
  return {
      "second_moments",
      "Second moments C = E[k k^T] of the inputs of the MLP down-projections of the unedited model, for editors that "
      "ask for them. Computed once and stored; or imported.",
      {path("file",
            "Text (.txt or JSON lines) over which they are computed; wanted only if the editor asks for them and "
            "`import` is empty."),
       integer("tokens", 100000, "Tokens of the text that are used.").from(1).unit("tokens"),
       integer("block", 256, "Length of the sequences in which the text is read.").from(2).unit("tokens"),
       integer("skip_first_tokens", 0,
               "Positions at the start of each sequence that are left out: position 0 is an attention "
               "sink, whose keys are alike for all texts.")
           .unit("tokens"),
       choice("dtype", {"float32", "float64"},
              "Number format of each product k k^T; sums, and what is stored, are float64."),
       path("import", "A safetensors file with `mom2` (sum or mean) and `count` per layer, used instead of computing."),
       integer("layers_at_once", 0,
               "Layers whose sums are held in memory together; the text is read once for each such group. Fewer "
               "layers want less memory and more time, and give the same bits. 0: all layers in one pass.")
           .unit("layers")
           .for_all_cells()},
      false,
      false};
}

TableSpec edit() {
  return {
      "edit",
      "How edit requests reach the editor.",
      {choice(
           "scope", {"isolated", "sequential", "batch"},
           "`isolated`: each edited fact in a model of its own, as in the retention paper; `sequential`: one after the "
           "other into the same model; `batch`: all at once, or `batch_size` at a time."),
       integer("batch_size", 0,
               "With `scope = \"batch\"`, how many facts the editor gets at once; batches follow one another into the "
               "same model, and an editor that keeps state keeps it from one to the next. 0: all facts in one batch.")
           .to(1000)
           .unit("facts"),
       integer("measure_every", 0,
               "In the scopes `sequential` and `batch`: after every so many edited facts, measure how the first, the "
               "last and all edits so far hold (table `/lifelong` of the results). 0: off.")
           .unit("facts"),
       choice("augment_as", {"default", "requests", "contexts"},
              "What an editor makes of the augmenter's prompts: further edit requests, or further contexts of the one "
              "request. `default`: as the editor's authors would."),
       choice(
           "target", {"new", "true"},
           "What is written into the edited facts. `new`: target_new. `true`: their own true answer, which the "
           "unedited model gives already: the control `edited_true`, edited but with nothing new in it. All outcomes "
           "of the edited facts are then about the true answer, and intrinsic facts whose answer is one of these in "
           "their relation are left out.")},
      false,
      false};
}

TableSpec tuning() {
  const std::vector<std::string> roles = {"attention_query", "attention_key", "attention_value", "attention_out",
                                          "mlp_gate",        "mlp_up",        "mlp_down"};
  Array all;
  for (const auto& role : roles) all.push_back(Value{role, {}});
  return {
      "tuning",
      "How fine-tuning represents the change of the weights. What is measured is always the merged model. A matrix "
      "that the freeze policy freezes gets no adapter; one that it projects cannot have one.",
      {choice(
           "method", {"full", "lora", "dora"},
           "`full` trains the weights themselves. `lora` trains A and B of W + alpha / rank B A on each target matrix "
           "and nothing else; `dora` also the norm of each output row, the magnitude."),
       integer("rank", 8, "With `lora` and `dora`, rows of A and columns of B.").from(1),
       number("alpha", 16, "With `lora` and `dora`, B A is multiplied by alpha / rank.").above(0),
       number("dropout", 0, "With `lora` and `dora`, share of what an adapter reads that is set to 0 in training.")
           .below(1),
       Key("targets", Type::string_list,
           "With `lora` and `dora`, the roles of the matrices that get an adapter, in every layer that has one.")
           .or_else(std::move(all))
           .one_of(roles)},
      false,
      false};
}

TableSpec training() {
  return {
      "training",
      "Fine-tuning on the task: the host's loop, the same for every task. The rate should be chosen on the unedited "
      "model by validation loss, never by retention.",
      {choice("optimizer", {"adamw"}, "The optimiser: AdamW with decoupled weight decay."),
       number("learning_rate", 1e-4, "Highest learning rate.").above(0),
       number("weight_decay", 0.01, "Decoupled weight decay, multiplied by the learning rate."),
       number("beta1", 0.9, "Decay of the mean of gradients.").below(1),
       number("beta2", 0.999, "Decay of the mean of squared gradients.").below(1),
       number("epsilon", 1e-8, "Added to the denominator of the step.").above(0),
       choice("schedule", {"linear", "constant", "cosine"},
              "The rate after warm-up: falling to 0 in a line or a cosine, or "
              "constant."),
       number("warmup", 0.1, "Share of all steps in which the rate rises from 0.").to(1).unit("share of steps"),
       integer("block_size", 128,
               "Length of a packed training sequence; of a task whose examples are rows, longer ones are left out.")
           .from(2)
           .unit("tokens"),
       integer("batch_size", 8, "Sequences per forward and backward pass.").from(1).unit("sequences"),
       integer("accumulation", 1, "Passes whose gradients are averaged into one step.").from(1).unit("passes"),
       integer("max_steps", 100, "Steps at most; 0: bounded by `epochs` alone.").unit("steps"),
       number("epochs", 0, "Passes over the training data at most, fractions allowed; 0: bounded by `max_steps` alone.")
           .unit("epochs"),
       number("clip_norm", 1, "Largest norm of the gradient of all trained weights together; 0: not clipped."),
       integer("validation_blocks", 16, "Sequences held out by the seed for the validation loss.")
           .from(1)
           .unit("sequences"),
       integer("evaluate_every", 0, "Validation loss after every so many steps; 0: only before and after fine-tuning.")
           .unit("steps"),
       number("stop_loss", 0,
              "Stop when the validation loss falls below; 0: off. The retention paper's 3.0 is GPT-2 XL's.")
           .unit("nats per token"),
       number("stop_gain_share", 0, "Stop when this share of `stop_reference_gain` is reached; 0: off.").to(1),
       number("stop_reference_gain", 0, "The fall of validation loss of a reference run, for `stop_gain_share`.")
           .unit("nats per token"),
       integer("patience", 0, "Stop after so many evaluations without a new lowest validation loss; 0: off.")
           .unit("evaluations"),
       Key("measure_steps", Type::integer_list,
           "Steps after which the metrics run, ascending; 0 is before the first step. "
           "Steps beyond the last are left out; the last step is always measured.")
           .or_else(list<std::int64_t>({0, 1, 2, 5, 10, 20, 40}))
           .from(0)
           .unit("steps"),
       integer("measure_every", 0, "Also measure after every so many steps; 0: off.").unit("steps"),
       Key("measure_epochs", Type::number_list, "Also measure at these fractions of epochs, ascending.")
           .or_else(Array{})
           .above(0)
           .unit("epochs"),
       choice("precision", {"float32", "bfloat16_autocast"},
              "Arithmetic of forward and backward passes; the weights that are trained stay float32. bfloat16 pays on "
              "processors with units for it, and is slower on others."),
       choice("matmul", {"mkl", "onednn"},
              "Library of float32 matrix products on the CPU: oneDNN is faster on large ones, "
              "slower on small ones."),
       boolean("activation_checkpointing", false,
               "Keep only the input of each layer for the backward pass, which runs the layer again: less memory, one "
               "more forward pass of every layer above the lowest trained weight. Changes no number."),
       choice("optimizer_state", {"device", "host"},
              "Where the two moments of AdamW lie, 8 bytes a trained number: beside the weights, or in the host's "
              "memory, from where each step moves them in pieces. Changes no number."),
       choice("masters", {"float32", "none"},
              "What steps act on where `model.dtype` is `bfloat16`: float32 copies of the trained weights, with whose "
              "bfloat16 "
              "rounding the model computes; or, without copies, the weights themselves, stepped in float32 and rounded "
              "stochastically by the seed.")},
      false,
      false};
}

TableSpec run() {
  return {
      "run",
      "How the work is spread over the machine. `threads` may change a number, in its last digits, and so is part of "
      "what results are stored under: with another number all is computed anew.",
      {integer("jobs", 1, "Worker processes at the same time.").from(1).to(4096).for_all_cells(),
       integer("threads", 1, "Threads of each worker.").from(1).to(4096).for_all_cells(),
       number("node_seconds", 0, "Longest time of one stage or cell, which is then stopped and reported; 0: no bound.")
           .unit("s")
           .for_all_cells(),
       integer("node_memory", 0, "Most memory of one worker; 0: no bound.").unit("MiB").for_all_cells()},
      false,
      false};
}

TableSpec tune() {
  return {
      "tune",
      "Only for `palimpsest tune FILE`, which makes of this file a search of its editor's parameters (docs/tuning.md): "
      "every trial is a cell. `experiment.stages` is `[\"edit\"]` then, and there is no `[sweep]`.",
      {integer("trials", 12, "Trials, of which number 0 is the editor as the file has it.")
           .from(2)
           .to(10000)
           .for_all_cells(),
       integer("seed", 1,
               "From it each trial's values are drawn; a value depends on seed, number of the trial and name of the "
               "parameter alone, so that more trials begin with the same ones.")
           .to(9007199254740992.0)
           .for_all_cells(),
       Key("objective", Type::string_list,
           "Columns of metrics, as METRIC.COLUMN. Each is averaged over the edited facts right after the edit; the "
           "trial with the highest harmonic mean of these averages is the best. Default: S of CounterFact.")
           .or_else(list<std::string>(
               {"edit_success.efficacy", "edit_success.paraphrase_success", "edit_success.neighbourhood_success"}))
           .for_all_cells(),
       Key("apart_from", Type::string_list,
           "Files of experiments with whose facts this search must share none: refused where any of their cells may "
           "use a row of the facts' file that a trial may use.")
           .or_else(Array{})
           .for_all_cells(),
       Key("search", Type::any,
           "A table: for each searched parameter of the editor `{ min = ..., max = ... }`, both included, for numbers "
           "and integers, with `log = true` uniform in the logarithm; or `{ choices = [...] }`, for any parameter.")
           .required()
           .for_all_cells()},
      false,
      false};
}

std::vector<TableSpec> all_tables() {
  std::vector<TableSpec> tables = {experiment(), model(), facts(), filter(), second_moments(), edit()};
  tables.push_back({"editor", "The plugin that writes facts into the weights.", {}, false, true});
  tables.push_back(
      {"augmenter", "The plugin that adds prompts teaching the same fact. Default: `none`.", {}, false, true});
  tables.push_back({"task", "The plugin that supplies the fine-tuning examples.", {}, false, true});
  tables.push_back({"freeze_policy",
                    "The plugin that says which weights fine-tuning may change. Default: `none`.",
                    {},
                    false,
                    true});
  tables.push_back(tuning());
  tables.push_back(training());
  tables.push_back({"metric", "A plugin that measures; at least one, each id once.", {}, true, true});
  tables.push_back(run());
  tables.push_back(tune());
  return tables;
}

}  // namespace

const std::vector<KeySpec>& top_level_keys() {
  static const std::vector<KeySpec> keys = {Key("plugin_path", Type::string_list,
                                                "Folders in which plugins are looked for, beside the program's own and "
                                                "PALIMPSEST_PLUGIN_PATH. Relative ones start at "
                                                "the folder of the file that names them.")
                                                .or_else(Array{})
                                                .for_all_cells()};
  return keys;
}

const std::vector<TableSpec>& experiment_tables() {
  static const std::vector<TableSpec> tables = all_tables();
  return tables;
}

const TableSpec& experiment_table(std::string_view name) {
  for (const TableSpec& table : experiment_tables()) {
    if (table.name == name) return table;
  }
  fail(ErrorCode::kInternal, "no table [", name, "] in the schema of experiments");
}

}  // namespace palimpsest::config
