"""docs/results-format.md as data: the columns that each of its sections describes, and what a results file has beside them.

A column is described where it stands between backquotes in the cell `column` of a table of its own section: the section whose
heading names the table, the paragraph below it that begins with the table's path, or the row whose cell `table` names it. What
all tables of a section have, the section says in a sentence that begins with "All have". `<...>` in a name stands for anything.
"""

import collections
import re

import h5py

from world import SOURCE

PAGE = SOURCE / "docs" / "results-format.md"


def backquoted(text):
    return re.findall(r"`([^`]+)`", text)


def sections():
    """The page's sections: heading -> text, without its examples of programs."""
    page = re.sub(r"^```.*?^```$", "", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return dict(section.split("\n", 1) for section in re.split(r"^## ", page, flags=re.MULTILINE)[1:])


def described():
    """Names of columns by path of the table, both as the page has them."""
    columns = collections.defaultdict(set)
    for heading, text in sections().items():
        table = next(iter(backquoted(heading)), None)
        here = {table} - {None}
        header, before = [], ""
        for line in text.splitlines():
            paragraph = re.match(r"`(/[^`]+)`", line)
            if paragraph and not before:
                table = paragraph[1]
            before = line
            if not line.startswith("|"):
                header = []
                continue
            cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
            if not header:
                header = cells
                continue
            row = dict(zip(header, cells))
            table = next(iter(backquoted(row.get("table", ""))), table)
            if table and "column" in row:
                here.add(table)
                columns[table].update(backquoted(row["column"]))
        for common in re.findall(r"\bAll have\s([^.]*)\.", text):
            for path in here:
                columns[path].update(backquoted(common))
    return columns


def matches(pattern, name):
    return re.fullmatch(re.sub(r"<[^>]*>", ".+", re.escape(pattern)), name) is not None


def tables_of(path):
    """The tables of a results file: path -> names of the columns. What is no table must be an array of an update."""
    tables = {}

    def visit(name, node):
        if not isinstance(node, h5py.Dataset):
            return
        table, column = ("/" + name).rsplit("/", 1)
        if table.startswith("/updates/data/"):
            assert column in ("u", "v", "dense"), name
        elif column != "row":
            tables.setdefault(table, set()).add(column)

    with h5py.File(path) as file:
        file.visititems(visit)
    return tables


def path_on_page(table):
    """An experiment's file has the tables of /provenance below the cells' names."""
    return re.sub(r"^/provenance/[^/]+/([^/]+)$", r"/provenance/\1", table)


def undocumented(path):
    """Columns of a results file that the page does not describe, as TABLE/COLUMN."""
    page = described()
    missing = set()
    for table, columns in tables_of(path).items():
        known = set().union(*(names for pattern, names in page.items() if matches(pattern, path_on_page(table))))
        missing |= {f"{table}/{column}" for column in columns if not any(matches(name, column) for name in known)}
    return sorted(missing)


def not_there(path):
    """Columns that the page describes, of tables that a results file has, and that are not in it, as TABLE/COLUMN."""
    page = described()
    return sorted(f"{table}/{name}" for table, columns in tables_of(path).items() for name in page[path_on_page(table)]
                  if not any(matches(name, column) for column in columns))


def undocumented_attributes(path):
    """Attributes of a cell's file that the page does not describe."""
    known = backquoted(sections()["Root attributes"])
    with h5py.File(path) as file:
        return sorted(set(file.attrs) - set(known))
