// A prompt and the response to it: how tasks render rows into text and tokens, train on the response alone, and score
// it.
//
// A response is tokenized apart from its prompt, so that what generation continues is what was trained on. Sums are
// float64. One thread.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "palimpsest/sdk/host.hpp"
#include "palimpsest/sdk/kinds.hpp"
#include "palimpsest/sdk/likelihood.hpp"
#include "palimpsest/sdk/model.hpp"

namespace palimpsest::sdk {

inline bool is_space(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }

// --- template ---

// A text with places such as {question}. Only the named places are replaced, and what is put there is not looked at
// again; other braces stay as they are.
class Template {
 public:
  // Throws Error(PALIMPSEST_INVALID_ARGUMENT) naming `parameter` when a place is missing.
  Template(std::string_view parameter, std::string_view text, std::vector<std::string> places)
      : parameter_(parameter), text_(text), places_(std::move(places)) {
    for (std::string& place : places_) {
      place.insert(0, 1, '{').push_back('}');
      if (text_.find(place) == std::string::npos) {
        fail(PALIMPSEST_INVALID_ARGUMENT, parameter, " is \"", text_, "\"; expected ", place, " in it");
      }
    }
  }

  // For a template whose answer follows after a space of its own.
  void refuse_space_at_end() const {
    if (!text_.empty() && is_space(text_.back())) {
      fail(PALIMPSEST_INVALID_ARGUMENT, parameter_, " is \"", text_,
           "\"; expected no white space at its end, since what follows begins with a space");
    }
  }

  // `texts` in the order of the places.
  std::string fill(std::span<const std::string_view> texts) const {
    if (texts.size() != places_.size()) {
      fail(PALIMPSEST_INTERNAL, texts.size(), " texts for ", places_.size(), " places");
    }
    std::string filled;
    for (std::size_t at = 0; at < text_.size();) {
      std::size_t which = 0;
      while (which < places_.size() && text_.compare(at, places_[which].size(), places_[which]) != 0) ++which;
      if (which == places_.size()) {
        filled += text_[at++];
      } else {
        filled += texts[which];
        at += places_[which].size();
      }
    }
    return filled;
  }
  std::string fill(std::initializer_list<std::string_view> texts) const {
    return fill(std::span<const std::string_view>(texts.begin(), texts.size()));
  }

 private:
  std::string parameter_, text_;
  std::vector<std::string> places_;
};

// --- examples ---

struct Prompted {
  std::vector<std::int64_t> prompt;    // at least one token
  std::vector<std::int64_t> response;  // at least one token
  std::size_t size() const { return prompt.size() + response.size(); }
};

// How a response goes on from its prompt: as it stands after white space; with a space between them, where the
// tokenizer wants one, after anything else; as a text of its own after nothing.
inline palimpsest_encode_as response_after(std::string_view prompt) {
  if (prompt.empty()) return PALIMPSEST_ENCODE_TEXT;
  return is_space(prompt.back()) ? PALIMPSEST_ENCODE_CONTINUATION : PALIMPSEST_ENCODE_TARGET;
}

// The prompt as a prompt; the response as it follows it; then the end-of-text token, where the tokenizer has one and
// `ended` is set. Throws Error(PALIMPSEST_INVALID_ARGUMENT) when either has no token.
inline Prompted prompted(const Host& host, std::string_view prompt, std::string_view response, bool ended = true) {
  Prompted made{host.encode_prompt(prompt), host.encode(response, response_after(prompt)).ids};
  if (made.prompt.empty()) fail(PALIMPSEST_INVALID_ARGUMENT, "the prompt \"", prompt, "\" has no tokens");
  if (made.response.empty()) {
    fail(PALIMPSEST_INVALID_ARGUMENT, "the response to \"", prompt, "\" has no tokens; expected some text");
  }
  const std::int64_t end = host.special_ids().eos;
  if (ended && end >= 0) made.response.push_back(end);
  return made;
}

// Trained on the response alone.
inline Example example_of(const Prompted& made) {
  Example example;
  example.token_ids = made.prompt;
  example.token_ids.insert(example.token_ids.end(), made.response.begin(), made.response.end());
  example.labels.assign(made.prompt.size(), -100);
  example.labels.insert(example.labels.end(), made.response.begin(), made.response.end());
  return example;
}

// --- scores ---

// Adds a row to a forward that asks for log p of every token of the response: all tokens but the last become an input,
// and each response token a position that predicts it.
inline void ask_response(const Prompted& made, std::vector<std::vector<std::int64_t>>& inputs,
                         std::vector<Position>& at, std::vector<std::int64_t>& targets) {
  const auto row = static_cast<std::int64_t>(inputs.size());
  const auto first = static_cast<std::int64_t>(made.prompt.size()) - 1;
  for (std::size_t t = 0; t < made.response.size(); ++t) {
    at.push_back({row, first + static_cast<std::int64_t>(t)});
    targets.push_back(made.response[t]);
  }
  auto& input = inputs.emplace_back(made.prompt);
  input.insert(input.end(), made.response.begin(), made.response.end() - 1);
}

// How probable the model finds each response after its prompt, in their order.
inline std::vector<Likelihood> score_responses(const Host& host, const Model& model,
                                               std::span<const Prompted* const> responses,
                                               Stage stage = Stage::kCurrent) {
  std::vector<std::size_t> sizes;
  for (const Prompted* response : responses) sizes.push_back(response->size());
  std::vector<Likelihood> scores(responses.size());
  for (const auto& batch : detail::batches(sizes)) {
    host.stop_if_cancelled();
    std::vector<std::vector<std::int64_t>> inputs;
    std::vector<Position> at;
    std::vector<std::int64_t> targets;
    for (const std::size_t place : batch) ask_response(*responses[place], inputs, at, targets);
    const ForwardResult result = model.run(Forward(inputs).stage(stage).logprobs(std::move(at), std::move(targets)));
    const Floats logps = result.logprobs.floats();
    std::size_t read = 0;
    for (const std::size_t place : batch) {
      scores[place].tokens = static_cast<std::int64_t>(responses[place]->response.size());
      for (std::int64_t t = 0; t < scores[place].tokens; ++t) {
        scores[place].logp += static_cast<double>(logps[read++]);
      }
    }
  }
  return scores;
}

// Greedy continuations of the prompts, in their order, generated together in pieces of bounded size.
inline std::vector<std::string> continuations(const Host& host, const Model& model,
                                              const std::vector<std::string>& prompts, std::int64_t max_new_tokens,
                                              const std::vector<std::string>& stop_texts) {
  constexpr std::size_t kAtOnce = 32;
  GenerationOptions options;
  options.max_new_tokens = static_cast<std::int32_t>(max_new_tokens);
  options.stop_texts = stop_texts;
  std::vector<std::string> texts;
  for (std::size_t begin = 0; begin < prompts.size(); begin += kAtOnce) {
    host.stop_if_cancelled();
    const auto first = prompts.begin() + static_cast<std::ptrdiff_t>(begin);
    const auto last = prompts.begin() + static_cast<std::ptrdiff_t>(std::min(begin + kAtOnce, prompts.size()));
    for (auto& made : model.generate({first, last}, options)) texts.push_back(std::move(made.text));
  }
  return texts;
}

}  // namespace palimpsest::sdk
