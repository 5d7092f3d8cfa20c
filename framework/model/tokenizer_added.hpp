// Added tokens: texts that are found before anything else and become one id each, special ones ("<|endoftext|>")
// included.
//
// Matching is as in Hugging Face tokenizers: leftmost, longest, first the tokens marked `normalized: false` over the
// whole text, then the others in what is left. Immutable; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
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
  explicit AddedTokenMatcher(const std::vector<AddedToken>& tokens);

  // `text` is UTF-8, without empty segments.
  std::vector<Segment> split(std::string_view text) const;

 private:
  // A byte trie; node 0 is the root.
  class Trie {
   public:
    void add(const AddedToken& token);
    bool empty() const { return nodes_.size() == 1; }
    // The longest token that begins at `at`, or nothing.
    const AddedToken* longest(std::string_view text, std::size_t at) const;

   private:
    struct Node {
      std::vector<std::pair<std::uint8_t, std::uint32_t>> children;
      std::int32_t token = -1;
    };
    std::vector<Node> nodes_ = std::vector<Node>(1);
    std::vector<bool> first_ = std::vector<bool>(256);
    std::vector<AddedToken> tokens_;
  };
  static void split_by(const Trie& trie, std::string_view text, std::size_t base, std::vector<Segment>& out);

  Trie raw_;
  Trie normalized_;
};

}  // namespace palimpsest::model
