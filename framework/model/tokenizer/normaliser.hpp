// The normaliser of a tokenizer: what it changes in a text before the text is cut, with each change's place kept.
//
// Immutable after construction; any thread.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/tokenizer/aligned.hpp"
#include "model/tokenizer/pattern.hpp"

namespace palimpsest::model {

// "Replace": a text or a regular expression, and what stands in its place.
struct ReplaceDescription {
  std::string pattern;
  bool literal = false;
  std::string content;
};

class Replacer {
 public:
  // Throws as SplitPattern does.
  explicit Replacer(const ReplaceDescription& description);

  bool changes(std::span<const char32_t> points) const;
  void apply(AlignedPoints& text) const;

 private:
  std::vector<char32_t> literal_;  // empty: `pattern_`
  std::unique_ptr<const SplitPattern> pattern_;
  std::vector<char32_t> content_;
};

// Puts `content` before a text that is not empty, for no byte of it.
void prepend(AlignedPoints& text, std::span<const char32_t> content);

struct NormaliserStep {
  enum class Kind { kNfc, kPrepend, kReplace };
  Kind kind = Kind::kNfc;
  std::string prepend;         // kPrepend
  ReplaceDescription replace;  // kReplace
};

class Normaliser {
 public:
  explicit Normaliser(const std::vector<NormaliserStep>& steps);

  bool empty() const { return steps_.empty(); }
  // `bare`: the text goes on from another one, so that nothing is prepended.
  bool changes(std::span<const char32_t> points, bool bare) const;
  void apply(AlignedPoints& text, bool bare) const;
  std::string apply(std::string_view text) const;

 private:
  struct Step {
    NormaliserStep::Kind kind = {};
    std::vector<char32_t> prepend;
    std::unique_ptr<const Replacer> replacer;
  };
  std::vector<Step> steps_;
};

}  // namespace palimpsest::model
