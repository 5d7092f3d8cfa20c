// The plan as a graph: stages that are shared, and the cells that use them.
//
// A Graph is checked when made and never changes: ids are unique and usable as file names, every dependency exists,
// there is no cycle. Nodes stand in an order in which each comes after all that it needs.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace palimpsest::experiment {

struct Node {
  std::string id;     // unique; letters, digits, `_`, `-`, `.`; at most 200 bytes; does not start with a dot
  std::string label;  // for people
  std::vector<std::string> depends_on;
  bool is_cell = false;  // counts towards a limit on cells
};

class Graph {
 public:
  // Throws Error(kInvalidArgument) for a bad or repeated id, an unknown dependency, or a cycle, which is spelled out.
  explicit Graph(std::vector<Node> nodes);

  // In topological order; among nodes that are free to go, in the order given.
  const std::vector<Node>& nodes() const { return nodes_; }
  std::size_t size() const { return nodes_.size(); }
  // Throws Error(kNotFound), with the nearest id.
  std::size_t index_of(std::string_view id) const;
  // Indices into nodes(), each smaller than `index`.
  const std::vector<std::size_t>& dependencies(std::size_t index) const { return dependencies_[index]; }
  const std::vector<std::size_t>& dependents(std::size_t index) const { return dependents_[index]; }

 private:
  std::vector<Node> nodes_;
  std::unordered_map<std::string, std::size_t> index_;
  std::vector<std::vector<std::size_t>> dependencies_;
  std::vector<std::vector<std::size_t>> dependents_;
};

enum class Need {
  kDone,         // its result is stored
  kWanted,       // has to run
  kUnneeded,     // not done, and all that uses it is done
  kBeyondLimit,  // a cell, or something that needs or serves only cells, past the limit
};

// What a run has to do. Wanted are the first `limit` cells that are not done (all without a limit), every other node
// that nothing depends on unless it needs a cell past the limit, and what those need and is not done. One entry per
// node.
std::vector<Need> select(const Graph& graph, const std::vector<bool>& done, std::optional<int> limit);

}  // namespace palimpsest::experiment
