#include "data/csv.hpp"

#include <algorithm>

namespace palimpsest::data {

void for_each_csv_record(std::string_view text, RowErrors& errors,
                         const std::function<void(std::vector<std::string>& fields, std::int64_t line)>& record) {
  std::int64_t line = 1;
  std::size_t at = 0;
  const auto at_line_end = [&] {
    return at >= text.size() || text[at] == '\n' || (text[at] == '\r' && at + 1 < text.size() && text[at + 1] == '\n');
  };
  while (at < text.size()) {
    const std::int64_t start = line;
    std::vector<std::string> fields;
    bool quoted_any = false, good = true;
    while (true) {
      std::string field;
      if (at < text.size() && text[at] == '"') {
        quoted_any = true;
        ++at;
        while (true) {
          const std::size_t quote = text.find('"', at);
          const std::size_t end = std::min(quote, text.size());
          field.append(text.substr(at, end - at));
          line += std::count(text.begin() + static_cast<std::ptrdiff_t>(at),
                             text.begin() + static_cast<std::ptrdiff_t>(end), '\n');
          at = end;
          if (quote == std::string_view::npos) {
            errors.add(start, "", "field ", fields.size() + 1,
                       " opens with a quote that is not closed, expected \" before the ", "end of the file");
            return;
          }
          ++at;
          if (at >= text.size() || text[at] != '"') break;
          field += '"';
          ++at;
        }
        if (!at_line_end() && text[at] != ',') {
          errors.add(
              line, "", "field ", fields.size() + 1, ": found ",
              in_quotes(text.substr(at, std::min<std::size_t>(12, text.find_first_of("\r\n", at) - at))),
              " behind the closing quote, expected a comma or the line's end (a quote inside a field is doubled)");
          good = false;
          at = std::min(text.find('\n', at), text.size());
        }
      } else {
        const std::size_t from = at;
        while (!at_line_end() && text[at] != ',') ++at;
        field = text.substr(from, at - from);
        if (field.find('"') != std::string::npos) {
          errors.add(line, "", "field ", fields.size() + 1, ": found a quote inside the unquoted field ",
                     in_quotes(field), ", expected the whole field in quotes and the quote doubled");
          good = false;
        }
      }
      fields.push_back(std::move(field));
      if (at >= text.size() || text[at] != ',') break;
      ++at;
    }
    if (at < text.size() && text[at] == '\r') ++at;
    if (at < text.size()) ++at;
    ++line;
    const bool blank = fields.size() == 1 && fields[0].empty() && !quoted_any;
    if (good && !blank) record(fields, start);
  }
}

}  // namespace palimpsest::data
