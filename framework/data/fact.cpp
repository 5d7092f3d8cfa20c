#include "data/fact.hpp"

#include <algorithm>
#include <unordered_map>

#include "data/text.hpp"

namespace palimpsest::data {
namespace {

constexpr std::array<std::string_view, 20> kWellKnownSpecialTokens = {
    "<s>",   "</s>",  "<bos>",  "<eos>", "<pad>", "<unk>", "<mask>", "<sep>",   "<cls>",           "[CLS]",
    "[SEP]", "[PAD]", "[MASK]", "[UNK]", "[BOS]", "[EOS]", "[INST]", "[/INST]", "<start_of_turn>", "<end_of_turn>"};

std::size_t count_holes(std::string_view text) {
  std::size_t count = 0;
  for (std::size_t at = text.find("{}"); at != std::string_view::npos; at = text.find("{}", at + 2)) ++count;
  return count;
}

class Checker {
 public:
  Checker(const Fact& fact, std::span<const std::string> special_tokens, RowErrors& errors)
      : fact_(fact), special_tokens_(special_tokens), errors_(errors) {}

  void run() {
    text("id", fact_.id);
    text("relation", fact_.relation);
    text("subject", fact_.subject);
    if (text("prompt", fact_.prompt)) check_template();
    target("target_new", fact_.target_new);
    if (!fact_.target_true.empty()) target("target_true", fact_.target_true);
    if (!fact_.target_true.empty() && fold_text(fact_.target_new) == fold_text(fact_.target_true)) {
      add("target_new", "found ", in_quotes(fact_.target_new), ", the same as target_true; expected another answer");
    }
    for (std::size_t i = 0; i < fact_.aliases.size(); ++i) text(cat("aliases[", i, "]"), fact_.aliases[i]);
    for (std::size_t i = 0; i < fact_.probes.size(); ++i) probe(cat("probes[", i, "]."), fact_.probes[i]);
  }

 private:
  template <typename... Parts>
  void add(std::string_view field, const Parts&... parts) {
    errors_.add(fact_.line, field, parts...);
  }

  // Not empty and without white space at its ends.
  bool text(const std::string& field, const std::string& value) {
    const auto core = trimmed(value);
    if (core.empty()) {
      add(field, "found ", value.empty() ? std::string("an empty text") : in_quotes(value), ", expected a text");
      return false;
    }
    if (core.size() != value.size()) {
      add(field, "found ", in_quotes(value),
          ", expected no white space at its ends (the tokenisation rule adds the space)");
      return false;
    }
    return true;
  }

  void check_template() {
    const std::size_t holes = count_holes(fact_.prompt);
    if (holes == 1) return;
    add("prompt",
        holes == 0 ? "the subject is not in the prompt: found " : "found more than one {}: ", in_quotes(fact_.prompt),
        ", expected a template with exactly one {} where the subject stands");
  }

  void target(const std::string& field, const std::string& value) {
    if (!text(field, value)) return;
    if (code_points(value) < 2) {
      add(field, "found the one-letter target ", in_quotes(value),
          ", expected at least two letters (a single letter is hit by chance)");
    }
    special(field, value);
  }

  void special(const std::string& field, const std::string& value) {
    const std::string token = special_token_in(value, special_tokens_);
    if (!token.empty()) {
      add(field, "found the special token ", in_quotes(token), " in ", in_quotes(value),
          ", expected plain text (special tokens are added by the tokenisation rule, never by a fact)");
    }
  }

  void probe(const std::string& path, const Probe& p) {
    if (text(path + "kind", p.kind)) check_kind(path, p.kind);
    text(path + "prompt", p.prompt);
    if (!p.target.empty() && text(path + "target", p.target)) special(path + "target", p.target);
    if (!p.split.empty() && p.split != "teach" && p.split != "test") {
      add(path + "split", "found ", in_quotes(p.split), ", expected \"teach\", \"test\" or no split",
          did_you_mean(p.split, std::array<std::string_view, 2>{"teach", "test"}));
    } else if (p.kind == kProbeKinds[0] && p.split.empty()) {
      add(path + "split", "missing, expected \"teach\" or \"test\" for a paraphrase");
    }
    if (p.split == "teach" && p.prompt.find(fact_.subject) == std::string::npos) {
      add(path + "prompt", "the subject ", in_quotes(fact_.subject), " is not in the teach prompt ",
          in_quotes(p.prompt), "; an edit needs it there, as {} or written out");
    }
  }

  void check_kind(const std::string& path, const std::string& kind) {
    if (std::find(kProbeKinds.begin(), kProbeKinds.end(), kind) != kProbeKinds.end()) return;
    const bool plain = std::all_of(kind.begin(), kind.end(),
                                   [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; });
    // A user's own kind is welcome; one or two letters from a known one it is a slip that would lose the probe
    // silently.
    const std::string near = nearest(kind, kProbeKinds);
    const bool slip = !near.empty() && edit_distance(kind, near) <= 2;
    if (plain && !slip) return;
    add(path + "kind", "found ", in_quotes(kind),
        ", expected paraphrase, neighbourhood, portability, locality or a kind of your own of letters a-z, digits and "
        "_",
        slip ? cat(" (did you mean \"", near, "\"?)") : std::string());
  }

  const Fact& fact_;
  std::span<const std::string> special_tokens_;
  RowErrors& errors_;
};

}  // namespace

std::string expand(std::string_view prompt_template, std::string_view subject) {
  const auto [before, behind] = literal_parts(prompt_template);
  return cat(before, subject, behind);
}

std::pair<std::string_view, std::string_view> literal_parts(std::string_view prompt_template) {
  const std::size_t hole = prompt_template.find("{}");
  if (hole == std::string_view::npos) {
    fail(ErrorCode::kInvalidArgument, "the prompt ", in_quotes(prompt_template),
         " has no {}; expected one for the subject");
  }
  return {prompt_template.substr(0, hole), prompt_template.substr(hole + 2)};
}

std::string special_token_in(std::string_view text, std::span<const std::string> special_tokens) {
  for (const auto& token : special_tokens) {
    if (!token.empty() && text.find(token) != std::string_view::npos) return token;
  }
  for (const auto& token : kWellKnownSpecialTokens) {
    if (text.find(token) != std::string_view::npos) return std::string(token);
  }
  const std::size_t open = text.find("<|");
  const std::size_t close = open == std::string_view::npos ? open : text.find("|>", open + 2);
  return close == std::string_view::npos ? std::string() : std::string(text.substr(open, close + 2 - open));
}

void check_fact(const Fact& fact, std::span<const std::string> special_tokens, RowErrors& errors) {
  Checker(fact, special_tokens, errors).run();
}

void check_facts_together(std::span<const Fact> facts, RowErrors& errors) {
  std::unordered_map<std::string, std::int64_t> line_of_id;
  std::unordered_map<std::string, std::int64_t> line_of_teach;
  for (const Fact& fact : facts) {
    const auto [at, fresh] = line_of_id.emplace(fact.id, fact.line);
    if (!fresh) {
      errors.add(fact.line, "id", "found ", in_quotes(fact.id), " again (first in line ", at->second,
                 "), expected ids that stand once");
    }
    for (const Probe& probe : fact.probes) {
      if (probe.split == "teach") line_of_teach.emplace(fold_text(probe.prompt), fact.line);
    }
  }
  for (const Fact& fact : facts) {
    const std::string own = fold_text(expand(fact.prompt, fact.subject));
    for (std::size_t i = 0; i < fact.probes.size(); ++i) {
      const Probe& probe = fact.probes[i];
      if (probe.split != "test") continue;
      const std::string prompt = fold_text(probe.prompt);
      const auto taught = line_of_teach.find(prompt);
      if (taught != line_of_teach.end()) {
        errors.add(fact.line, cat("probes[", i, "].prompt"), "teach and test overlap: found ", in_quotes(probe.prompt),
                   " as a test prompt, and as a teach prompt in line ", taught->second,
                   "; expected it on one side only");
      } else if (prompt == own) {
        errors.add(fact.line, cat("probes[", i, "].prompt"), "teach and test overlap: found ", in_quotes(probe.prompt),
                   " as a test prompt, which is the fact's own prompt and so is taught; expected another wording");
      }
    }
  }
}

}  // namespace palimpsest::data
