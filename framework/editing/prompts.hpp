// Prompts of an edit as token rows with the place where the subject's last token stands, and the context templates that
// stand before them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "palimpsest/sdk/host.hpp"
#include "palimpsest/sdk/model.hpp"
#include "palimpsest/sdk/params.hpp"

namespace palimpsest::editing {

// A row of tokens and the position of its lookup token: the subject's last one, where key and value are taken. `fact`:
// which of several facts that are worked on together the row belongs to.
struct LookupRow {
  std::vector<std::int64_t> ids;
  std::int64_t lookup = 0;
  std::int64_t fact = 0;
};

// `prompt` is a template with one {}; BOS stands first where the tokenizer adds it.
LookupRow lookup_row(const sdk::Host& host, std::string_view prompt, std::string_view subject);

// The row on which the KL term is read, "{} is a", cut behind its lookup token: by causality what follows has no part.
LookupRow kl_row(const sdk::Host& host, std::string_view subject);

// `prompt` inside a context: "{}" stands for the prompt itself, "Some text. {}" puts text before it.
std::string in_context(std::string_view context, std::string_view prompt);

// The contexts of an edit: always the bare "{}" first, then `given`, or, when none is given, texts that the base model
// samples (`length_params`: pairs of length in tokens and number of texts), each followed by ". {}". The same seed
// gives the same texts, whatever was edited before. Throws sdk::Error for a context without exactly one {}, or an odd
// list of lengths.
std::vector<std::string> context_templates(const sdk::Model& model, const sdk::List<sdk::Text>& given,
                                           const sdk::List<std::int64_t>& length_params);

// Those of an editor's instance, made with its first edit.
class Contexts {
 public:
  // `p`: the editor's parameters, with members of the field's names.
  template <typename P>
  const std::vector<std::string>& of(const sdk::Model& model, const P& p) {
    if (templates_.empty()) {
      templates_ = context_templates(model, p.context_templates, p.context_template_length_params);
    }
    return templates_;
  }

 private:
  std::vector<std::string> templates_;
};

}  // namespace palimpsest::editing
