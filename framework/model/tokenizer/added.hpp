// Added tokens: texts that are found before anything else and become one id each, special ones ("<|endoftext|>")
// included.
//
// Matching is as in Hugging Face tokenizers: leftmost, longest, first the tokens marked `normalized: false` over the
// whole text, then the others, as the normaliser writes them, in what it makes of the rest. Immutable; any thread.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace palimpsest::model {

struct AddedToken {
  std::string content;
  std::int32_t id = 0;
  bool single_word = false;  // only where no word character stands beside it
  bool lstrip = false;       // takes the white space before it
  bool rstrip = false;       // takes the white space after it
  bool normalized = false;
  bool special = false;
};

// Bytes [begin, end) of a text: an added token (id >= 0), or text for the pre-tokenizer (id < 0).
struct Segment {
  std::int32_t id;
  std::size_t begin;
  std::size_t end;
};

class AddedTokenMatcher {
 public:
  // `normalise`: what the normaliser makes of a text. Throws Error(kUnsupported) naming a token of which it leaves
  // nothing.
  AddedTokenMatcher(const std::vector<AddedToken>& tokens,
                    const std::function<std::string(std::string_view)>& normalise);

  // Both append; `text` is UTF-8, `base` is added to the positions, no segment is empty. By the tokens that are not
  // normalised, on the text as it was given:
  void split_given(std::string_view text, std::size_t base, std::vector<Segment>& out) const {
    split_by(raw_, text, base, out);
  }
  // and by the others, on a normalised text.
  void split_normalised(std::string_view text, std::size_t base, std::vector<Segment>& out) const {
    split_by(normalised_, text, base, out);
  }
  bool has_normalised() const { return !normalised_.empty(); }

 private:
  // A byte trie; node 0 is the root.
  class Trie {
   public:
    // `written`: what stands for the token in a text.
    void add(const AddedToken& token, std::string_view written);
    bool empty() const { return nodes_.size() == 1; }
    // Whether a token may begin with this byte.
    bool begins_with(char byte) const { return first_[static_cast<std::uint8_t>(byte)]; }
    // The longest token that begins at `at` and where it ends, or nothing.
    std::pair<const AddedToken*, std::size_t> longest(std::string_view text, std::size_t at) const;

   private:
    struct Node {
      std::vector<std::pair<std::uint8_t, std::uint32_t>> children;
      std::int32_t token = -1;
    };
    std::vector<Node> nodes_ = std::vector<Node>(1);
    std::array<bool, 256> first_{};
    std::vector<AddedToken> tokens_;
  };
  static void split_by(const Trie& trie, std::string_view text, std::size_t base, std::vector<Segment>& out);

  Trie raw_;
  Trie normalised_;
};

}  // namespace palimpsest::model
