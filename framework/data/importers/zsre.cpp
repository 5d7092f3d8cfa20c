// zsRE in MEND's schema: a JSON array, or one object a line.
//
// src (a question that names the subject), subject, rephrase (a test paraphrase), answers (the true ones), alt (a wrong
// one), loc ("nq question: ...") and loc_ans (a locality probe). What an edit writes is read differently by the
// published code, so zsre_target must say it: `answers` writes answers[0] and has no true target (ROME, MEMIT), `alt`
// writes alt against answers[0] (MEND, EasyEdit). The locality prompt is kept with its prefix and ends in a question
// mark, as ROME reads it. There is no id and no relation: a fact is named by its line, and the template stands for the
// relation.
#include "data/fact_importer.hpp"
#include "data/importers/common.hpp"

namespace palimpsest::data {
namespace {

// Where the subject stands as a whole word, the last such place (later mentions have seen the earlier ones), or npos.
std::size_t find_subject(const std::string& text, const std::string& subject, bool& repeated) {
  const auto joins = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); };
  std::size_t found = std::string::npos, any = std::string::npos;
  int count = 0;
  for (std::size_t at = text.find(subject); at != std::string::npos; at = text.find(subject, at + 1)) {
    const std::size_t end = at + subject.size();
    any = at;
    if ((at > 0 && joins(text[at - 1]) && joins(subject.front())) ||
        (end < text.size() && joins(text[end]) && joins(subject.back()))) {
      continue;
    }
    found = at;
    ++count;
  }
  repeated = count > 1;
  return found == std::string::npos ? any : found;
}

Fact read(const RowReader& row, const std::map<std::string, std::string>& options, std::vector<std::string>& warnings) {
  Fact fact;
  fact.id = cat("line-", row.line());
  fact.subject = trimmed_text(row, "subject");
  const std::string question = trimmed_text(row, "src");
  if (!fact.subject.empty() && !question.empty()) {
    bool repeated = false;
    const std::size_t at = find_subject(question, fact.subject, repeated);
    if (at == std::string::npos) {
      row.error("src", "the subject is not in the prompt: found ", in_quotes(question),
                ", expected it to hold the subject ", in_quotes(fact.subject));
    } else {
      fact.prompt = question;
      fact.prompt.replace(at, fact.subject.size(), "{}");
    }
    if (repeated) {
      warnings.push_back(cat("src: the subject ", in_quotes(fact.subject), " stands more than once in ",
                             in_quotes(question), "; the last place is taken as the subject's"));
    }
  }
  fact.relation = fact.prompt;
  const auto answers = row.texts("answers", true);
  if (row.has("answers") && answers.empty()) row.error("answers", "found no text in it, expected at least one answer");
  const std::string answer = answers.empty() ? std::string() : std::string(trimmed(answers.front()));
  if (options.at("zsre_target") == "alt") {
    fact.target_new = trimmed_text(row, "alt");
    fact.target_true = answer;
  } else {
    fact.target_new = answer;
  }
  fact.probes.push_back({"paraphrase", trimmed_text(row, "rephrase"), "", "test"});
  if (row.has("loc")) {
    std::string prompt = trimmed_text(row, "loc");
    if (!prompt.empty() && prompt.back() != '?') prompt += '?';
    fact.probes.push_back({"locality", prompt, trimmed_text(row, "loc_ans"), ""});
  }
  return fact;
}

}  // namespace

FactImporter zsre_importer() {
  return {
      .name = "zsre",
      .summary = "zsRE question answering in MEND's schema; needs zsre_target",
      .signature = {"src", "subject", "rephrase", "answers"},
      .options = {{.name = "zsre_target",
                   .choices = {"answers", "alt"},
                   .why = "The published editors read the file differently: ROME and MEMIT write the first of answers, "
                          "MEND and EasyEdit write alt."}},
      .read = &read};
}

}  // namespace palimpsest::data
