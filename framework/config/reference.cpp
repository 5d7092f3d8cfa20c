// markdown_reference: docs/configuration.md, printed from the schema so that it cannot disagree with the check.

#include "base/error.hpp"
#include "config/document.hpp"
#include "config/experiment_schema.hpp"
#include "config/sweep.hpp"

namespace palimpsest::config {
namespace {

constexpr const char* kIntro = R"(# The experiment file

<!-- Printed from framework/config/experiment_schema.cpp. To update: PALIMPSEST_UPDATE_DOCS=1, then run config_test. -->

An experiment is one TOML file. It only combines: it names a model, facts and plugins, and sets their parameters. Every key
below has its type, its default and what it may hold; `palimpsest plugins ID` prints the same for a plugin's own parameters.
`palimpsest validate FILE` reports every problem of a file at once, each as `file:line:column: key: what was found, what is
expected`, and `palimpsest plan FILE` shows the cells that it makes.

## An example

```toml
extends = "base.toml"             # optional: start from another file

[experiment]
name = "freezing"
replicates = 2                    # a pair: the second exchanges edited and intrinsic facts

[model]
path = "smollm2-135m-instruct"    # a folder, or the name of one in ${home}/models

[facts]
file = "configs/facts/world.jsonl"
edited = 5
intrinsic = 10
selection = "matched"

[edit]
scope = "sequential"

[editor]
id = "rome"                       # the plugin; the other keys of the table are its parameters
layer = 5

[task]
id = "language_modeling"
file = "${home}/data/passages.jsonl"

[[metric]]
id = "edit_success"

[[metric]]
id = "retention"

[training]
learning_rate = 5e-5
max_steps = 60

[sweep]
"training.weight_decay" = [0.0, 0.01]

[[sweep.variants]]
name = "plain"

[[sweep.variants]]
name = "frozen"
freeze_policy = { id = "edited_layers" }

[[sweep.variants]]
name = "control"
editor = { id = "none" }
```

This makes 2 x 3 x 2 = 12 cells, among them `frozen,weight_decay=0.01,r1`.

## How a file is read

* **`extends`** names a file, or a list of files, relative to the file that says so. Tables merge key by key; everything else,
  lists included, is replaced; of several files the later one wins, and the file itself wins over all of them. A cycle is
  refused.
* **`--set key=value`** on the command line lies over the files: `--set training.max_steps=10`. The value is read as TOML; where
  it is none, it is taken as text: `--set editor.id=rome`.
* **Plugin tables** (`[editor]`, `[augmenter]`, `[task]`, `[freeze_policy]`, each `[[metric]]`) have a key `id`, which names the
  plugin; all other keys are that plugin's parameters and are checked against its own table. **A table whose `id` changes, by a
  file, by `--set` or by a sweep, replaces the table below it whole**, so that no parameter of one plugin reaches another.
* **`[defaults.KIND.ID]`** holds values that take the place of a plugin's own defaults wherever the table KIND (`editor`,
  `augmenter`, `task`, `freeze_policy` or `metric`) names that id: `[defaults.editor.memit]` with `layers = [4, 5, 6]` counts in every cell whose `[editor]` has `id = "memit"` and sets no
  `layers`. It chooses nothing. So one file per model can hold the settings of every editor, and a sweep names ids only.
* **Paths** that are relative are looked for in the folder of the file that sets them (of `--set`: the current folder), then
  in the program's own folder, then in its home. The program's folder is the one that holds `configs/`: the clone, or
  `share/palimpsest` of an installation. The home is PALIMPSEST_HOME, else `.palimpsest` in the clone, or `~/.palimpsest` of an
  installed program; a path that starts with `${home}/` is looked for there only. Files that are read must exist before any work starts. Of a plugin's files
  those that end in .txt, .jsonl, .json or .csv are then read as text, and one that is not UTF-8 or has a broken row is refused;
  which columns a plugin wants is known only when it opens its file.
* **Layers**: a parameter whose unit is `layer` holds a layer's number, counted from 0, or a list of them. In place of a number there
  may be a fraction of the depth, from 0 and below 1 (`layer = 0.35` is layer 17 of 48), and in place of the whole value `"auto"`, the
  layers published for a model of the same family, depth, width and vocabulary (`configs/models/published.toml`), which its fine-tuned
  relatives have too. A layer that the model does not have is refused before any work. Results record the numbers.
* A whole number is accepted where a number is wanted, not the reverse.
* Limits: )";

constexpr const char* kSweep = R"(
## `[sweep]`

Each key of `[sweep]` is a dotted key of the experiment, its value a list of alternatives; the cells are all combinations.

* An alternative may be a whole table: `editor = [{ id = "rome", layer = 5 }, { id = "none" }]`; for `metric`, a whole list.
* `[[sweep.variants]]` are named overlays, together one more axis: each has a `name` and any tables of the experiment, which are
  laid over the file as `--set` would. A variant that sets a swept key stands at that alternative alone and is not crossed with the
  others: `freeze_policy = { id = "none" }` in the unedited control of a sweep over policies.
* The order of the cells is the order of the file: keys, then variants, then replicates, the last moving fastest.
* A cell's name is the variant's, then `key=value` for each swept key (its last part, or the whole key where two share it), then
  `r` and the replicate. It is a file name; the full values stand in the results.
* Keys that say "cannot be swept", alternatives given twice, and cells equal to one another are refused.
)";

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '|') out += '\\';
    out += c;
  }
  return out;
}

std::string default_text(const KeySpec& spec) {
  if (spec.required) return "*required*";
  if (!spec.default_value) return "not set";
  return cat("`", inline_toml(*spec.default_value), "`");
}

void write_keys(std::string& out, const std::vector<KeySpec>& keys) {
  out += "\n| key | type | default | allowed | unit | meaning |\n|---|---|---|---|---|---|\n";
  for (const KeySpec& spec : keys) {
    const std::string range = allowed(spec);
    out += cat("| `", spec.name, "` | ", name_of(spec.type), " | ", default_text(spec), " | ",
               spec.choices.empty() ? range : cat("`", range, "`"), " | ", spec.unit, " | ", escaped(spec.doc),
               spec.per_experiment ? " Cannot be swept." : "", " |\n");
  }
}

}  // namespace

std::string markdown_reference() {
  std::string out = kIntro;
  out += cat(kMaxFileBytes, " bytes in a file, ", kMaxKeyParts, " dotted parts in a key, ", kMaxNesting,
             " levels of nesting, ", kMaxExtendedFiles, " files, ", kMaxCells, " cells. Dates are not used.\n");
  out += "\n## Outside the tables\n";
  std::vector<KeySpec> top = top_level_keys();
  KeySpec extends;
  extends.name = "extends";
  extends.type = Type::any;
  extends.doc = "A file or a list of files to start from; see above.";
  top.insert(top.begin(), extends);
  write_keys(out, top);
  for (const TableSpec& table : experiment_tables()) {
    out +=
        cat("\n## `", table.repeated ? "[[" : "[", table.name, table.repeated ? "]]`\n\n" : "]`\n\n", table.doc, "\n");
    if (table.plugin) {
      out += "\n`id` names the plugin; the other keys are its parameters: `palimpsest plugins ID`.\n";
    } else {
      write_keys(out, table.keys);
    }
  }
  return out + kSweep;
}

}  // namespace palimpsest::config
