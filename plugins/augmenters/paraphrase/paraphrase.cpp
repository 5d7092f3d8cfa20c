// The first n paraphrases that teach a fact: those of the facts' file, or of a file of the user's. Test paraphrases are
// never seen here: fact/1 does not show them to augmenters, and the host refuses a prompt that equals one.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "palimpsest/sdk/plugin.hpp"
#include "palimpsest/sdk/templates.hpp"

namespace palimpsest::paraphrase {
namespace {

// A paraphrase, and where it stands, for messages.
struct Given {
  std::string prompt, place;
};

class Paraphrase : public sdk::Augmenter {
 public:
  struct Parameters {
    std::int64_t count = 2;
    bool allow_fewer = false;
    sdk::Path file;

    static constexpr auto fields() {
      using sdk::field;
      return std::tuple(
          field("count", &Parameters::count, "How many teach paraphrases of a fact are added, in the file's order.")
              .unit("prompt")
              .at_least(0)
              .at_most(64),
          field("allow_fewer", &Parameters::allow_fewer,
                "Take all there are where a fact has fewer than `count`, in place of an error."),
          field("file", &Parameters::file,
                "Paraphrases in place of those of the facts' file: .jsonl or .csv, one prompt a row with the columns "
                "fact (its id) and prompt. Not set: the facts' file."));
    }
  };
  static constexpr sdk::Info kInfo{"paraphrase", "1.1.0", "Adds the first n teach paraphrases of each fact."};

  Paraphrase(sdk::Host host, const Parameters& parameters) : host_(host), p_(parameters) {}

  void augment(sdk::Model, const sdk::Fact& fact, const sdk::Prompts& prompts) override {
    const auto given = paraphrases(fact);
    const auto available = static_cast<std::int64_t>(given.size());
    if (available < p_.count && !p_.allow_fewer) {
      sdk::fail(PALIMPSEST_NOT_FOUND, "the fact ", fact.id(), " has ", available, " teach paraphrases",
                p_.file.size > 0 ? " in " + p_.file.str() : "", "; count asks for ", p_.count,
                ". Give it more, lower count, or set allow_fewer = true");
    }
    for (std::int64_t i = 0; i < std::min(available, p_.count); ++i) {
      const Given& one = given[static_cast<std::size_t>(i)];
      try {
        prompts.add(made(one, fact));
      } catch (const sdk::Error& error) {
        if (one.place.empty() || error.status() == PALIMPSEST_CANCELLED) throw;
        sdk::fail(error.status(), one.place, ": ", error.what());
      }
    }
  }

 private:
  std::vector<Given> paraphrases(const sdk::Fact& fact) {
    if (p_.file.size > 0) return from_file(fact.id());
    std::vector<Given> all;
    for (auto& probe : fact.probes("paraphrase")) all.push_back({std::move(probe.prompt), ""});
    return all;
  }

  std::vector<Given> from_file(const std::string& id) {
    if (!read_) {
      read_.emplace();
      const sdk::Dataset rows = host_.open_dataset(p_.file, {"fact", "prompt"}, 0, /*filter=*/false);
      for (std::int64_t row = 0; row < rows.count(PALIMPSEST_TRAIN); ++row) {
        (*read_)[std::string(rows.text(PALIMPSEST_TRAIN, row, 0))].push_back(
            {std::string(rows.text(PALIMPSEST_TRAIN, row, 1)), p_.file.str() + ": row " + std::to_string(row + 1)});
      }
    }
    const auto found = read_->find(id);
    return found == read_->end() ? std::vector<Given>() : found->second;
  }

  // The paraphrase as a template; one that has its {} already is one.
  static std::string made(const Given& one, const sdk::Fact& fact) {
    if (!one.place.empty() && one.prompt.find("{}") != std::string::npos) return one.prompt;
    const auto found = sdk::template_of(one.prompt, fact.subject());
    if (found) return *found;
    sdk::fail(PALIMPSEST_INVALID_ARGUMENT, "the teach paraphrase \"", one.prompt, "\" of the fact ", fact.id(),
              " does not hold its subject \"", fact.subject(), "\"");
  }

  sdk::Host host_;
  Parameters p_;
  std::optional<std::map<std::string, std::vector<Given>, std::less<>>> read_;  // by fact
};

}  // namespace
}  // namespace palimpsest::paraphrase

PALIMPSEST_LIBRARY(&palimpsest::sdk::kDescriptor<palimpsest::paraphrase::Paraphrase>)
