"""What made lines say: sentences, names, prices, dates, codes, form labels, all within a charset.

Words come from wordfreq's lists by frequency, so that common words are common; the rest from generators.
Every text is fitted to the charset, and some are built from its characters drawn evenly, so that each has a
floor.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from random import Random
from string import capwords

from training.synthesis.vocabulary import (
    COARSE_STEMS,
    COMPANY_FORMS,
    CURRENCIES,
    DAYS,
    FIRST_NAMES,
    LAST_NAMES,
    MARKS,
    MONTHS,
    PHRASES,
    PLACES,
    SIGNS,
    STREETS,
    UNITS,
)

LANGUAGES = {
    **{"en": 50, "fr": 12, "de": 12, "es": 6, "it": 4, "pt": 3, "nl": 3, "pl": 2, "cs": 2, "sv": 2},
    **{"tr": 1, "hu": 1, "ro": 1, "da": 1, "fi": 1, "lt": 1, "lv": 1},
}
"""Languages of the word lists, with their weights."""

MAX_CHARS = 92
_WORDS_PER_LANGUAGE = 30_000


_FALLBACKS = {
    "’": "'",
    "‘": "'",
    "“": '"',
    "”": '"',
    "„": '"',
    "–": "-",
    "—": "-",
    "…": "...",
    "•": "*",
    "€": "EUR",
    "×": "x",
    "œ": "oe",
    "Œ": "OE",
    "ß": "ss",
    "¶": "",
    "✓": "",
    "²": "2",
    "³": "3",
    "µ": "u",
    "½": "1/2",
}


@lru_cache(maxsize=len(LANGUAGES))
def _word_list(language: str) -> tuple[str, ...]:
    """The most frequent words of a language that are letters (and inner apostrophes, hyphens) alone."""
    from wordfreq import top_n_list

    words = top_n_list(language, _WORDS_PER_LANGUAGE)
    plain = (word for word in words if word.replace("'", "").replace("-", "").isalpha() and len(word) < 19)
    return tuple(word for word in plain if not any(stem in word for stem in COARSE_STEMS))


def digits(rng: Random, low: int, high: int) -> str:
    """A run of `low` to `high` digits."""
    return "".join(rng.choices("0123456789", k=rng.randint(low, high)))


def letters(rng: Random, low: int, high: int) -> str:
    """A run of `low` to `high` capitals."""
    return "".join(rng.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZ", k=rng.randint(low, high)))


def number(rng: Random) -> str:
    """An amount: 0.00 to millions, in one of the usual notations."""
    value = rng.choice(
        (0, rng.random() * 10, rng.random() * 100, rng.random() * 1000, 10 ** rng.uniform(0, 6.5))
    )
    style = rng.choices(
        (".2f", ",.2f", "comma", "space", "d", ",d", ".1f", ".3f"), (40, 20, 10, 3, 10, 6, 3, 3)
    )[0]
    if style == "comma":
        return f"{value:,.2f}".translate(str.maketrans(",.", ".,"))
    if style == "space":
        return f"{value:,.2f}".replace(",", " ").replace(".", ",")
    return format(int(value), style) if style.endswith("d") else format(value, style)


def price(rng: Random) -> str:
    """An amount, mostly with its currency before or behind it, its sign or its tax code."""
    amount, currency = number(rng), rng.choice(CURRENCIES)
    form = rng.randrange(10)
    if form < 3:
        return f"{currency}{amount}"
    if form < 5:
        return f"{currency} {amount}".strip()
    if form < 7:
        return f"{amount} {rng.choice(('€', 'EUR', 'CHF', 'SR', 'Z', 'S', '*', 'T', 'kr', 'A', '£', '%'))}"
    return rng.choice((amount, f"-{amount}", f"({amount})", f"{amount}-", f"+{amount}", f"${amount}"))


RAISED = str.maketrans("0123456789+-n", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ")
LOWERED = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


def raised(rng: Random) -> str:
    """Powers, indices, chemical formulas, fractions and angles."""
    few, many = rng.randint(1, 9), rng.randint(2, 999)
    power = f"{rng.choice(('', '', '-'))}{rng.randint(2, 12)}".translate(RAISED)
    index = str(rng.randint(0, 12)).translate(LOWERED)
    fraction = rng.choice("½¼¾")
    return rng.choice(
        (
            f"{many / 100} × 10{power}",
            f"{rng.choice('xyzabcnkTV')}{index} = {many / 10}",
            rng.choice(("H₂O", "CO₂", "H₂SO₄", "NO₃⁻", "Ca₃(PO₄)₂", "O₂", "NH₄⁺", "SiO₂", "CH₄", "Fe₂O₃")),
            f"{many} {rng.choice(('m²', 'm³', 'cm²', 'km²', 'ft²', 'mm³', 's⁻¹', 'kg/m³', 'cm³'))}",
            f"{few}{fraction} {rng.choice(('cups', 'h', 'tsp', 'in', 'lb', 'miles', 'oz'))}",
            f"{fraction} {rng.choice(UNITS)}",
            f"{rng.randint(0, 89)}°{rng.randint(0, 59):02d}′{rng.choice(('', f'{few}″'))}",
            f"{rng.choice(('≤', '≥', '≈', '≠'))} {many / 10}",
            f"{few} ÷ {rng.randint(1, 9)}",
            f"{rng.choice('xyzr')}{rng.choice('²³⁴ⁿ')} + {many}",
            f"{many}{rng.choice('¹²³⁴')}",
            f"{many} {rng.choice(('‰', 'Ω', 'kΩ', 'µm', '°C', '°F'))}",
        )
    )


def tick(rng: Random) -> str:
    """A box to be ticked, ticked or crossed, with its label; an arrow or a bullet before a phrase."""
    mark = rng.choice("☐☐☑☒✓●■★→←□○")
    return rng.choice((f"{mark} {rng.choice(PHRASES)}", f"{rng.choice(PHRASES)} {mark}", mark))


def date(rng: Random) -> str:
    """A date in one of the usual notations, now and then with its day or time."""
    day, month, year = rng.randint(1, 31), rng.randint(1, 12), rng.randint(1965, 2027)
    separator = rng.choice("/-.//-")
    name = rng.choice(MONTHS)
    text = rng.choice(
        (
            f"{day:02d}{separator}{month:02d}{separator}{year}",
            f"{month}{separator}{day}{separator}{year % 100:02d}",
            f"{year}-{month:02d}-{day:02d}",
            f"{day} {name} {year}",
            f"{name} {day}, {year}",
            f"{day}. {name} {year}",
            f"{day:02d}-{name[:3].upper()}-{year % 100:02d}",
            f"{name} {year}",
            f"{day:02d}{separator}{month:02d}{separator}{year % 100:02d}",
        )
    )
    if rng.random() < 0.2:
        text = f"{text} {time(rng)}"
    return f"{rng.choice(DAYS)}{rng.choice((', ', ' '))}{text}" if rng.random() < 0.1 else text


def time(rng: Random) -> str:
    """A time of the day."""
    hour, minute, second = rng.randint(0, 23), rng.randint(0, 59), rng.randint(0, 59)
    half = rng.choice(("AM", "PM", "am", "pm", "a.m.", "p.m."))
    return rng.choice(
        (
            f"{hour:02d}:{minute:02d}",
            f"{hour}:{minute:02d}:{second:02d}",
            f"{hour % 12 or 12}:{minute:02d}{half}",
            f"{hour % 12 or 12}:{minute:02d} {half}",
            f"{hour}h{minute:02d}",
            f"{hour % 12 or 12} {half}",
        )
    )


def phone(rng: Random) -> str:
    """A telephone number."""
    return rng.choice(
        (
            f"({digits(rng, 3, 3)}) {digits(rng, 3, 3)}-{digits(rng, 4, 4)}",
            f"{digits(rng, 3, 3)}-{digits(rng, 3, 3)}-{digits(rng, 4, 4)}",
            f"0{digits(rng, 1, 2)}-{digits(rng, 7, 8)}",
            f"+{digits(rng, 2, 2)} {digits(rng, 2, 3)} {digits(rng, 3, 4)} {digits(rng, 3, 4)}",
            f"0{digits(rng, 1, 1)} {' '.join(digits(rng, 2, 2) for _ in range(4))}",
            f"0{digits(rng, 2, 2)}/{digits(rng, 5, 7)}",
        )
    )


def code(rng: Random) -> str:
    """An identifier: document, bar code, registration, part number."""
    return rng.choice(
        (
            f"{letters(rng, 1, 4)}{digits(rng, 3, 9)}",
            digits(rng, 4, 13),
            f"{digits(rng, 4, 6)}-{rng.choice('AHKMPTUVWX')}",
            f"{letters(rng, 1, 3)}-{digits(rng, 2, 5)}-{digits(rng, 1, 4)}",
            f"#{digits(rng, 2, 7)}",
            f"{digits(rng, 1, 3)}/{digits(rng, 1, 4)}",
            f"({digits(rng, 5, 7)}-{letters(rng, 1, 1)})",
            f"{digits(rng, 2, 4)}{letters(rng, 1, 2)}{digits(rng, 1, 3)}",
            "".join(rng.choices("ABCDEFGHJKLMNPQRSTUVWXYZ0123456789", k=rng.randint(5, 12))),
            "".join(
                rng.choices(
                    "abcdefghijkmnopqrstuvwxyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", k=rng.randint(4, 10)
                )
            ),
            f"{digits(rng, 4, 4)} {digits(rng, 4, 4)} {digits(rng, 4, 4)} {digits(rng, 4, 4)}",
            f"************{digits(rng, 4, 4)}",
            f"XXXX-XXXX-XXXX-{digits(rng, 4, 4)}",
            f"{letters(rng, 2, 2)} {digits(rng, 5, 5)}",
            f"No. {digits(rng, 1, 4)}",
            f"{digits(rng, 2, 3)}:{digits(rng, 4, 4)}",
        )
    )


class TextSource:
    """Makes texts of many kinds whose characters are all in `charset`; stateless but for its word lists.

    Args:
        charset: the characters allowed; a space is taken as allowed.
    """

    def __init__(self, charset: Sequence[str]) -> None:
        self.allowed = frozenset(charset) | {" "}
        self.characters = sorted(char for char in self.allowed if char.strip())
        self._languages = list(LANGUAGES)
        self._weights = list(LANGUAGES.values())
        self._kinds: list[tuple[Callable[[Random], str], int]] = [
            (self.sentence, 20),
            (self.phrase, 12),
            (self.words, 10),
            (self.word, 12),
            (price, 9),
            (number, 4),
            (date, 5),
            (time, 1),
            (phone, 3),
            (code, 6),
            (self.labelled, 9),
            (self.item, 6),
            (self.address, 5),
            (self.name, 4),
            (self.company, 4),
            (self.contact, 4),
            (self.marks, 4),
            (self.measures, 2),
            (raised, 3),
            (tick, 1),
            (self.table_row, 3),
            (self.leader, 1),
            (self.single, 3),
            (self.rare, 11),
            (self.quoted, 3),
        ]

    def line(self, rng: Random) -> str:
        """One line of any kind, 1 to `MAX_CHARS` characters, without spaces at its ends or twice in a row."""
        make = rng.choices([kind for kind, _ in self._kinds], [weight for _, weight in self._kinds])[0]
        return self.fit(make(rng), rng)

    def fit(self, text: str, rng: Random) -> str:
        """`text` within the charset: what it lacks is spelled otherwise or dropped."""
        if not self.allowed.issuperset(text):
            text = "".join(char if char in self.allowed else _FALLBACKS.get(char, "") for char in text)
            text = "".join(char for char in text if char in self.allowed)
        text = " ".join(text.split())
        if len(text) > MAX_CHARS:
            text = text[:MAX_CHARS].rsplit(" ", 1)[0]
        return text or rng.choice(self.characters)

    def word(self, rng: Random) -> str:
        """One word in one of the styles of case."""
        return _cased(self._raw_word(rng), rng)

    def sign(self, rng: Random) -> str:
        """A word or two as signs, labels and posters have them."""
        kind = rng.randrange(10)
        if kind < 5:
            return self.fit(self.word(rng), rng)
        if kind < 7:
            return self.fit(rng.choice(SIGNS), rng)
        if kind == 7:
            return self.fit(
                rng.choice(
                    (digits(rng, 1, 4), price(rng), phone(rng), f"{rng.randint(1, 9) * 10}%", time(rng))
                ),
                rng,
            )
        return self.fit(self.words(rng), rng)[:24].strip() or "A"

    def words(self, rng: Random) -> str:
        """Two to five words in one case."""
        chosen, style = [self._raw_word(rng) for _ in range(rng.randint(2, 5))], rng.randrange(4)
        if style == 0:
            return " ".join(chosen).upper()
        if style == 1:
            return " ".join(word.capitalize() for word in chosen)
        return " ".join(chosen).capitalize() if style == 2 else " ".join(chosen)

    def sentence(self, rng: Random, length: int | None = None) -> str:
        """A line out of running text, of about `length` characters, with its punctuation and capitals."""
        length = length or rng.choices((18, 30, 45, 60, 75, 90), (3, 6, 6, 4, 3, 2))[0]
        language = self._language(rng)
        parts, total, start = [], 0, rng.random() < 0.5
        while total < length:
            word = self._raw_word(rng, language)
            start, word = self._punctuated(word, start, language, rng)
            parts.append(word)
            total += len(word) + 1
        text = " ".join(parts)[: length + 5]
        return text.upper() if rng.random() < 0.08 else text

    def _punctuated(self, word: str, start: bool, language: str, rng: Random) -> tuple[bool, str]:
        if (
            start
            or rng.random() < (0.25 if language == "de" else 0.08)
            or language == "en"
            and word in ("i", "i'm", "i'll", "i've", "i'd")
        ):
            word = word.capitalize()
        chance = rng.random()
        if chance < 0.78:
            return False, word
        if chance < 0.87:
            return False, word + ","
        if chance < 0.93:
            return True, word + rng.choice("....?!")
        return False, rng.choice(
            (
                f"({word})",
                f"{word};",
                f"{word}:",
                f'"{word}"',
                f"“{word}”",
                f"{word} –",
                f"‘{word}’",
                f"{word} -",
                f"{word}-{word[::-1][:2]}",
                f"{number(rng)}",
                f"{rng.randint(1, 2030)}",
                f"[{rng.randint(1, 60)}]",
                f"{word}’s",
                f"{word}'s",
                f"« {word} »",
                f"{word}/{word}",
                f"{word}…",
                f"{word} &",
                f"{rng.randint(1, 99)}%",
            )
        )

    def phrase(self, rng: Random) -> str:
        """A label, heading or sign, as written or in capitals, mostly with a colon where forms have one."""
        text = rng.choice(PHRASES if rng.random() < 0.8 else SIGNS)
        if rng.random() < 0.3:
            text = text.upper()
        return text + rng.choices(("", ":", " :", "*", "."), (60, 25, 8, 2, 3))[0]

    def labelled(self, rng: Random) -> str:
        """A label and its value on one line."""
        value = rng.choice((price, date, code, phone, number, self.name, self.word, self.words))(rng)
        label = rng.choice(PHRASES)
        label = label.upper() if rng.random() < 0.35 else label
        return f"{label}{rng.choice((': ', ' : ', ' ', ':', ' # ', '. ', ' = ', ' - '))}{value}"

    def item(self, rng: Random) -> str:
        """A receipt's item: quantity, product, measure, price."""
        name = " ".join(self._raw_word(rng) for _ in range(rng.randint(1, 3)))
        name = name.upper() if rng.random() < 0.6 else capwords(name)
        count, each = rng.randint(1, 24), f"{rng.random() * 50:.2f}"
        size = f"{rng.choice((1, 2, 5, 10, 50, 100, 250, 500, 1.5, 0.75))}{rng.choice(UNITS)}"
        return rng.choice(
            (
                f"{count} x {each}",
                f"{count} X {each}",
                f"{count} @ {each}",
                f"{name} {size}",
                f"{count} {name}",
                f"{name} {each}",
                f"{count}x {name} {each}",
                f"{digits(rng, 6, 13)} {name}",
                f"{each} x{count}",
                f"{count} PCS {each}",
                f"SR:{name}",
                f"{name} - {size}",
                f"{name}/{size}",
                f"({size}) {name}",
                f"{count} × {each}",
                f"@{each} {name}",
            )
        )

    def name(self, rng: Random) -> str:
        """A person."""
        first, last = rng.choice(FIRST_NAMES), rng.choice(LAST_NAMES)
        text = rng.choice(
            (
                f"{first} {last}",
                f"{first} {rng.choice('ABCDEFGHJKLMRSTW')}. {last}",
                f"{last}, {first}",
                f"{first[0]}. {last}",
                f"{rng.choice(('Mr.', 'Mrs.', 'Ms.', 'Dr.', 'Herr', 'Mme', 'M.', 'Prof.'))} {last}",
                first,
                last,
            )
        )
        return text.upper() if rng.random() < 0.3 else text

    def company(self, rng: Random) -> str:
        """A company's name, as at the head of a receipt."""
        ending = rng.choice(("", rng.choice(COMPANY_FORMS)))
        text = f"{capwords(self.words(rng))[:26]} {rng.choice(COMPANY_FORMS)} {ending}"
        return text.upper() if rng.random() < 0.6 else text

    def address(self, rng: Random) -> str:
        """A line of an address."""
        word, place, street = (
            self._raw_word(rng, "en").capitalize(),
            rng.choice(PLACES),
            rng.choice(STREETS),
        )
        text = rng.choice(
            (
                f"{rng.randint(1, 999)} {word} {street}",
                f"No. {rng.randint(1, 99)}, Jalan {word} {rng.randint(1, 30)}/{rng.randint(1, 9)},",
                f"{digits(rng, 5, 5)} {place}",
                f"{place}, {letters(rng, 2, 2)} {digits(rng, 5, 5)}",
                f"{place} {letters(rng, 2, 2)}{rng.randint(1, 9)} {rng.randint(1, 9)}{letters(rng, 2, 2)}",
                f"LOT {rng.randint(1, 4000)}-{rng.choice('ABG')}, {word} {street},",
                f"{word}straße {rng.randint(1, 200)}",
                f"{rng.randint(1, 99)}, rue {word}",
                f"P.O. Box {digits(rng, 2, 5)}",
                f"{digits(rng, 5, 5)} {place}, {rng.choice(PLACES)}.",
                f"{rng.randint(1, 30)}th Floor, {word} Tower",
                f"Suite {rng.randint(1, 900)}, {place}",
            )
        )
        return text.upper() if rng.random() < 0.4 else text

    def contact(self, rng: Random) -> str:
        """An e-mail address, a site, a handle or a path."""
        one, two = (self._raw_word(rng, "en").replace("'", "") for _ in range(2))
        domain = rng.choice(("com", "org", "net", "co.uk", "fr", "de", "com.my", "edu", "gov", "info", "ch"))
        text = rng.choice(
            (
                f"{one}.{two}@{rng.choice(('gmail', 'yahoo', two))}.{domain}",
                f"www.{one}{two}.{domain}",
                f"https://{one}.{domain}/{two}",
                f"@{one}_{two}",
                f"{one}{rng.randint(1, 99)}@{two}.{domain}",
                f"http://www.{one}-{two}.{domain}/",
                f"{one}.{domain}",
                f"C:\\{one}\\{two}.txt",
                f"facebook.com/{one}{two}",
                f"/{one}/{two}?id={digits(rng, 1, 4)}&x={rng.randint(0, 9)}",
                f"#{one}{two.capitalize()}",
                f"{one}_{two}.{rng.choice(('pdf', 'doc', 'jpg'))}",
            )
        )
        return rng.choice(("E-mail: ", "Email : ", "Web: ")) + text if rng.random() < 0.15 else text

    def marks(self, rng: Random) -> str:
        """Check boxes, bullets and numbering, with or without a word."""
        mark = rng.choice(MARKS)
        return rng.choice(
            (
                mark,
                f"{mark} {self.word(rng)}",
                f"{self.word(rng)} {mark}",
                f"{mark} {rng.choice(PHRASES)}",
                f"{mark}{number(rng)}",
            )
        )

    def measures(self, rng: Random) -> str:
        """Quantities with units, ranges, formulas and ratios."""
        low, high = rng.randint(1, 500), rng.randint(1, 999)
        return rng.choice(
            (
                f"{low} {rng.choice(UNITS)}",
                f"{low}-{high} {rng.choice(UNITS)}",
                f"{low}–{high}",
                f"{low}:{high}",
                f"{low} x {high} mm",
                f"±{low / 10}",
                f"{low} + {high} = {low + high}",
                f"{low}/{high}",
                f"{low / 10:.1f}%",
                f"({low}%)",
                f"< {low}",
                f">{high}",
                f"~{low}",
                f"{low}°",
                f"p < 0.0{rng.randint(1, 9)}",
                f"n = {low}",
                f'{low}"x{high}"',
                f"{low}'{high}\"",
                f"½ {rng.choice(UNITS)}",
                f"{low}²",
                f"§ {low}",
                f"Art. {low}",
                f"{low * 10}×{high}",
                f"{low},{high}",
            )
        )

    def table_row(self, rng: Random) -> str:
        """Neighbouring cells that a detector may join into one line."""
        cells = [
            rng.choice((number, price, self.word, code, self.measures))(rng) for _ in range(rng.randint(2, 5))
        ]
        return rng.choice((" ", " ", " | ", ", ", " / ")).join(cells)[:60]

    def leader(self, rng: Random) -> str:
        """An entry of a table of contents, a blank to be filled in, a rule of characters."""
        fill = rng.choice(("....", "......", "........", "----", ". . . .", "***", "====", "-----------"))
        return rng.choice(
            (
                f"{self.words(rng)[:24]} {fill} {rng.randint(1, 300)}",
                f"{rng.choice(PHRASES)}{fill}",
                fill * rng.randint(1, 3),
            )
        )

    def single(self, rng: Random) -> str:
        """One or two characters, as tables and forms have them."""
        return rng.choice(
            (
                rng.choice(self.characters),
                rng.choice("0123456789"),
                letters(rng, 1, 2),
                digits(rng, 1, 2),
                rng.choice(self.characters),
            )
        )

    def quoted(self, rng: Random) -> str:
        """Running text in quotation marks, brackets or with a dash of any kind."""
        text = self.sentence(rng, rng.choice((14, 25, 40)))
        left, right = rng.choice(
            (
                ("“", "”"),
                ("„", "“"),
                ("«", "»"),
                ("‘", "’"),
                ("'", "'"),
                ('"', '"'),
                ("(", ")"),
                ("[", "]"),
                ("‹", "›"),
                ("— ", ""),
                ("• ", ""),
                ("", "…"),
                ("¿", "?"),
                ("¡", "!"),
                ("*", "*"),
                ("© ", ""),
                ("", "™"),
                ("", "®"),
            )
        )
        return f"{left}{text.strip(',;: ')}{right}"

    def rare(self, rng: Random) -> str:
        """Characters drawn evenly from the charset, inside words or as strings of their own."""
        drawn = rng.choices(self.characters, k=rng.randint(3, 8))
        if rng.random() < 0.4:
            cut = rng.randint(1, len(drawn))
            return "".join(drawn[:cut]) + " " + "".join(drawn[cut:])
        text = list(self.words(rng))
        for char in drawn:
            text.insert(rng.randint(0, len(text)), char)
        return "".join(text)

    def _language(self, rng: Random) -> str:
        return rng.choices(self._languages, self._weights)[0]

    def _raw_word(self, rng: Random, language: str | None = None) -> str:
        """A small-lettered word; the power of three brings frequent words near to their share in print."""
        words = _word_list(language or self._language(rng))
        return words[int(len(words) * rng.random() ** 3)]


def _cased(word: str, rng: Random) -> str:
    style = rng.randrange(20)
    if style < 7:
        return word
    if style < 13:
        return word.capitalize()
    if style < 19:
        return word.upper()
    return "".join(rng.choice((char.upper(), char)) for char in word)
