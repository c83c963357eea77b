"""A document in the making: a sheet with a cursor, and what documents are made of."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from training.synthesis import text as texts
from training.synthesis.distractors import halftone
from training.synthesis.fonts import FontBook
from training.synthesis.sheet import Pen, Sheet
from training.synthesis.text import TextSource
from training.synthesis.vocabulary import PHRASES


class Writer:
    """A sheet with a cursor and the pens of one document."""

    def __init__(
        self, source: TextSource, book: FontBook, rng: Random, width: int, height: int, size: int
    ) -> None:
        self.source, self.book, self.rng = source, book, rng
        self.sheet = Sheet(width, height, rng, source.allowed)
        face, _ = book.pick(rng, "Aé0", "common" if rng.random() < 0.55 else "plain")
        bold, _ = book.pick(rng, "Aé0", "bold")
        self.body, self.heading = Pen(face, size), Pen(bold, round(size * rng.uniform(1.0, 1.7)))
        self.pitch = size * rng.uniform(1.12, 1.55)
        self.margin = round(width * rng.uniform(0.05, 0.12))
        self.y = self.margin + size * 1.0

    @property
    def room(self) -> float:
        """The width between the margins."""
        return self.sheet.width - 2 * self.margin

    def full(self, lines: float = 1.0) -> bool:
        """Whether fewer than so many lines are left."""
        return self.y + lines * self.pitch > self.sheet.height - self.margin * 0.7

    def write(self, text: str, x: float | None = None, pen: Pen | None = None, align: float = 0.0) -> None:
        """One line at the cursor, which then moves on."""
        pen = pen or self.body
        text = clip_text(self.source.fit(text, self.rng), pen, self.room)
        self.sheet.text(text, pen, self.margin if x is None else x, self.y, align)
        self.y += self.pitch * pen.size / self.body.size

    def paragraph(
        self,
        left: float,
        width: float,
        lines: int,
        justified: bool,
        indent: float = 0.0,
        pen: Pen | None = None,
    ) -> None:
        """Running text in a column; the last line ends where its words end."""
        pen = pen or self.body
        for number in range(lines):
            if self.full():
                return
            shift = indent if number == 0 else 0.0
            room = width - shift
            text = self._fill(pen, room)
            last = number == lines - 1
            if last:
                words = text.split()
                text = " ".join(words[: self.rng.randint(1, len(words))]).rstrip(",;:") + "."
            self.sheet.text(text, pen, left + shift, self.y, fit=room if justified and not last else 0.0)
            self.y += self.pitch * pen.size / self.body.size

    def _fill(self, pen: Pen, room: float) -> str:
        """Words that just fit into a width."""
        per_char = max(pen.width("the quick brown fox") / 19, 1)
        text = self.source.fit(
            self.source.sentence(self.rng, max(4, min(88, round(room / per_char)))), self.rng
        )
        return clip_text(text, pen, room)

    def heading_line(self, left: float, width: float) -> None:
        """A heading, numbered now and then."""
        rng = self.rng
        text = rng.choice(PHRASES) if rng.random() < 0.5 else self.source.words(rng)
        number = rng.choice(
            (
                "",
                "",
                f"{rng.randint(1, 9)}. ",
                f"{rng.randint(1, 9)}.{rng.randint(1, 9)} ",
                f"{rng.choice(('I', 'II', 'III', 'IV'))}. ",
            )
        )
        self.y += self.pitch * rng.uniform(0.3, 0.9)
        text = clip_text(self.source.fit(number + text, rng), self.heading, width)
        self.sheet.text(text, self.heading, left, self.y)
        self.y += self.pitch * max(1.0, self.heading.size / self.body.size)

    def table(self, left: float, width: float, rows: int, columns: int) -> None:
        """A table of numbers and words, its head plain or light on dark, ruled in one of four ways."""
        rng, top = self.rng, self.y - self.body.size * 1.05
        height, edges = self.pitch * rng.uniform(1.0, 1.5), split_width(left, width, columns, rng)
        makers, aligns = self._columns(columns), [0.0, *rng.choices((0.0, 1.0, 1.0, 0.5), k=columns - 1)]
        dark = rng.random() < 0.3
        if dark:
            self.sheet.panel((left, top, edges[-1], top + height), rng.randint(20, 110))
        written = 0
        while written < rows and not self.full():
            for column, make in enumerate(makers):
                if written == 0:
                    self._cell(rng.choice(PHRASES), edges[column : column + 2], aligns[column], dark)
                elif rng.random() > 0.08:
                    self._cell(make(rng), edges[column : column + 2], aligns[column])
            self.y += height
            written += 1
        self._grid(edges, top, height, written)
        self.y += self.pitch * 0.4

    def _columns(self, count: int) -> list[Callable[[Random], str]]:
        """What each column holds: names of things in the first, mostly numbers in the others."""
        source = self.source
        first = (source.item, source.name, source.word, texts.code)
        others = (
            texts.number,
            texts.number,
            texts.price,
            texts.date,
            texts.code,
            source.word,
            source.measures,
        )
        return [self.rng.choice(first), *self.rng.choices(others, k=count - 1)]

    def _cell(self, text: str, edges: list[float], align: float, light: bool = False) -> None:
        pad = self.body.size * 0.4
        room = edges[1] - edges[0] - 2 * pad
        text = clip_text(self.source.fit(text, self.rng), self.body, room)
        self.sheet.text(text, self.body, edges[0] + pad + align * room, self.y, align, light=light)

    def _grid(self, edges: list[float], top: float, height: float, rows: int) -> None:
        ruled = self.rng.choice(("grid", "grid", "rows", "head", "none"))
        tone, thick = self.rng.randint(110, 255), self.rng.choice((1, 1, 1, 2))
        for row in range(rows + 1):
            if ruled in ("grid", "rows") or (ruled == "head" and row in (0, 1, rows)):
                self.sheet.rule(edges[0], top + row * height, edges[-1], top + row * height, thick, tone)
        if ruled == "grid":
            for x in edges:
                self.sheet.rule(x, top, x, top + rows * height, thick, tone)

    def picture(self, left: float, width: float) -> None:
        """A printed picture with its caption."""
        tall = round(min(self.pitch * self.rng.randint(4, 12), self.sheet.height - self.margin - self.y))
        if tall < 20:
            return
        top = round(self.y - self.body.size * 0.8)
        tone = halftone(self.rng, round(width), tall)
        self.sheet.ground[top : top + tall, round(left) : round(left) + tone.shape[1]] = tone[
            : self.sheet.height - top
        ]
        self.y += tall + self.pitch * 0.6
        self.paragraph(left, width, 1, False)


def split_width(left: float, width: float, columns: int, rng: Random) -> list[float]:
    """The edges of columns of unequal widths."""
    shares = [rng.uniform(0.6, 1.6) for _ in range(columns)]
    edges = [left]
    for share in shares:
        edges.append(edges[-1] + width * share / sum(shares))
    return edges


def clip_text(text: str, pen: Pen, width: float) -> str:
    """`text` less the words, or characters, that go beyond a width."""
    while text and pen.width(text) > width:
        cut = text.rsplit(" ", 1)[0]
        text = (
            cut
            if cut != text
            else text[: max(0, min(len(text) - 1, int(len(text) * width / pen.width(text))))]
        )
    return text
