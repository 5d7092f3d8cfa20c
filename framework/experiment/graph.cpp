#include "experiment/graph.hpp"

#include <algorithm>
#include <functional>
#include <queue>
#include <utility>

#include "base/error.hpp"

namespace palimpsest::experiment {
namespace {

// The lock and log of a node add a suffix to its id, and file names end at 255 bytes.
constexpr std::size_t kLongestId = 200;

bool usable_as_file_name(std::string_view id) {
  if (id.empty() || id.size() > kLongestId || id.front() == '.') return false;
  return std::all_of(id.begin(), id.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
           c == '.';
  });
}

using Edges = std::vector<std::vector<std::size_t>>;

// Some cycle among the nodes with `open` set (each of which depends on another such node), as "a needs b needs a".
std::string describe_cycle(const std::vector<Node>& nodes, const Edges& dependencies, const std::vector<bool>& open) {
  std::vector<std::size_t> path;
  std::vector<bool> seen(nodes.size(), false);
  auto at = static_cast<std::size_t>(std::find(open.begin(), open.end(), true) - open.begin());
  while (!seen[at]) {
    seen[at] = true;
    path.push_back(at);
    at = *std::find_if(dependencies[at].begin(), dependencies[at].end(), [&](std::size_t d) { return open[d]; });
  }
  path.erase(path.begin(), std::find(path.begin(), path.end(), at));
  std::string text;
  for (const auto index : path) text += nodes[index].id + " needs ";
  return text + nodes[at].id;
}

}  // namespace

Graph::Graph(std::vector<Node> nodes) {
  std::unordered_map<std::string, std::size_t> given;
  std::vector<std::string> ids;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const auto& id = nodes[i].id;
    if (!usable_as_file_name(id)) {
      fail(ErrorCode::kInvalidArgument, "node id \"", id, "\" cannot be a file name: expected 1 to ", kLongestId,
           " of a-z A-Z 0-9 _ - . and no dot in front");
    }
    if (!given.emplace(id, i).second)
      fail(ErrorCode::kInvalidArgument, "two nodes of the plan have the id \"", id, "\"");
    ids.push_back(id);
  }
  Edges dependencies(nodes.size());
  Edges dependents(nodes.size());
  std::vector<std::size_t> missing(nodes.size(), 0);
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    for (const auto& name : nodes[i].depends_on) {
      const auto found = given.find(name);
      if (found == given.end()) {
        fail(ErrorCode::kInvalidArgument, "node \"", nodes[i].id, "\" needs \"", name, "\", which is not in the plan",
             did_you_mean(name, ids));
      }
      auto& list = dependencies[i];
      if (std::find(list.begin(), list.end(), found->second) != list.end()) continue;
      list.push_back(found->second);
      dependents[found->second].push_back(i);
      ++missing[i];
    }
  }
  // Smallest given index first, so that the order is the given one wherever dependencies allow.
  std::priority_queue<std::size_t, std::vector<std::size_t>, std::greater<>> free;
  std::vector<bool> open(nodes.size(), true);
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    if (missing[i] == 0) free.push(i);
  }
  std::vector<std::size_t> order;
  while (!free.empty()) {
    const auto i = free.top();
    free.pop();
    open[i] = false;
    order.push_back(i);
    for (const auto user : dependents[i]) {
      if (--missing[user] == 0) free.push(user);
    }
  }
  if (order.size() != nodes.size()) {
    fail(ErrorCode::kInvalidArgument, "the plan has a cycle: ", describe_cycle(nodes, dependencies, open));
  }
  std::vector<std::size_t> place(nodes.size());
  for (std::size_t i = 0; i < order.size(); ++i) place[order[i]] = i;
  dependencies_.resize(nodes.size());
  dependents_.resize(nodes.size());
  for (std::size_t i = 0; i < order.size(); ++i) {
    const auto from = order[i];
    index_.emplace(nodes[from].id, i);
    for (const auto d : dependencies[from]) dependencies_[i].push_back(place[d]);
    for (const auto d : dependents[from]) dependents_[i].push_back(place[d]);
    nodes_.push_back(std::move(nodes[from]));
  }
}

std::size_t Graph::index_of(std::string_view id) const {
  const auto found = index_.find(std::string(id));
  if (found != index_.end()) return found->second;
  std::vector<std::string> ids;
  for (const auto& node : nodes_) ids.push_back(node.id);
  fail(ErrorCode::kNotFound, "the plan has no node \"", id, "\"", did_you_mean(id, ids));
}

std::vector<Need> select(const Graph& graph, const std::vector<bool>& done, std::optional<int> limit) {
  const auto size = graph.size();
  std::vector<Need> need(size, Need::kUnneeded);
  // Cells past the limit, and with them whatever needs one.
  std::vector<bool> beyond(size, false);
  int cells = 0;
  for (std::size_t i = 0; i < size; ++i) {
    if (done[i]) {
      need[i] = Need::kDone;
      continue;
    }
    for (const auto d : graph.dependencies(i)) beyond[i] = beyond[i] || beyond[d];
    if (graph.nodes()[i].is_cell && !beyond[i] && limit && cells++ >= *limit) beyond[i] = true;
  }
  // From the last node to the first: users are decided before what they use.
  for (std::size_t i = size; i-- > 0;) {
    if (done[i]) continue;
    if (beyond[i]) {
      need[i] = Need::kBeyondLimit;
      continue;
    }
    const auto& users = graph.dependents(i);
    const auto any = [&](Need wanted) {
      return std::any_of(users.begin(), users.end(), [&](auto u) { return need[u] == wanted; });
    };
    if (graph.nodes()[i].is_cell || users.empty() || any(Need::kWanted)) {
      need[i] = Need::kWanted;
    } else if (any(Need::kBeyondLimit)) {
      need[i] = Need::kBeyondLimit;
    }
  }
  return need;
}

}  // namespace palimpsest::experiment
