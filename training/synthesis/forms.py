"""Forms: printed labels, boxes and rules, filled in by another hand, faxed and copied since."""

from __future__ import annotations

from random import Random

from training.synthesis import text as texts
from training.synthesis.distractors import hatching, logo, rim, scribble
from training.synthesis.drawing import stamp
from training.synthesis.fonts import FontBook
from training.synthesis.sheet import Pen, Sheet
from training.synthesis.text import TextSource
from training.synthesis.vocabulary import PHRASES
from training.synthesis.writer import Writer, clip_text, split_width


class Form(Writer):
    """A writer with a second pen for what is filled in."""

    def __init__(self, source: TextSource, book: FontBook, rng: Random) -> None:
        super().__init__(
            source,
            book,
            rng,
            *rng.choice(((900, 1160), (900, 1200), (900, 1270), (1000, 780))),
            rng.randint(13, 21),
        )
        face, _ = book.pick(rng, "Aé0", rng.choices(("mono", "common", "script"), (55, 25, 20))[0])
        self.filled = Pen(
            face, round(self.body.size * rng.uniform(0.95, 1.3)), jitter=rng.choice((0.0, 0.0, 0.02))
        )
        self.colon = rng.choice((":", ":", "", " :"))
        self.upper = rng.random() < 0.25
        self.row_height = self.body.size * rng.uniform(1.35, 2.3)

    def label(self) -> str:
        """A field's printed name, short or a question."""
        rng = self.rng
        kind = rng.random()
        text = (
            rng.choice(PHRASES)
            if kind < 0.75
            else self.source.words(rng)
            if kind < 0.92
            else self.source.sentence(rng, 30).rstrip(",.;") + "?"
        )
        text = text.upper() if self.upper else text
        return self.source.fit(text + (self.colon if kind < 0.92 else ""), rng)

    def value(self) -> str:
        """What somebody wrote into it."""
        rng, source = self.rng, self.source
        make = rng.choice(
            (
                source.name,
                texts.date,
                texts.code,
                texts.phone,
                source.address,
                source.words,
                texts.price,
                texts.number,
                source.word,
                source.company,
            )
        )
        return source.fit(make(rng), rng)

    def fill(self, x: float, baseline: float, room: float) -> None:
        """Writes a value, now and then a little high or low, or nothing."""
        rng = self.rng
        if rng.random() < 0.2 or room < self.filled.size * 2:
            return
        if rng.random() < 0.06:
            wide, tall = round(min(room, 130)), round(self.filled.size * 1.6)
            stamp(self.sheet.ink, scribble(rng, max(24, wide), tall), round(x), round(baseline - tall * 0.8))
            return
        self.sheet.text(
            clip_text(self.value(), self.filled, room),
            self.filled,
            x,
            baseline + rng.gauss(0, 0.06) * self.filled.size,
        )


def form(source: TextSource, book: FontBook, rng: Random) -> Sheet:
    """Draws a form of five to a dozen blocks."""
    page = Form(source, book, rng)
    _head(page)
    makers = [_underlined, _boxed, _boxed, _checks, _pairs, _table, _note, _pairs]
    while not page.full(4):
        rng.choice(makers)(page)
        page.y += page.pitch * rng.uniform(0.3, 1.4)
        if rng.random() < 0.25 and not page.full(4):
            page.heading_line(page.margin, page.room)
    _extras(page)
    return page.sheet


def _head(page: Form) -> None:
    rng, source, sheet = page.rng, page.source, page.sheet
    if rng.random() < 0.3:  # a fax machine's line
        small = Pen(page.filled.face, max(11, page.body.size - 3))
        cells = [
            (source.fit(f"{texts.date(rng)[:12]} {texts.time(rng)}", rng), page.margin * 0.6, 0.0),
            (source.fit(texts.phone(rng), rng), sheet.width * 0.45, 0.0),
            (
                source.fit(f"P.{rng.randint(1, 30)}/{rng.randint(1, 40)}", rng),
                sheet.width - page.margin * 0.6,
                1.0,
            ),
        ]
        sheet.row(cells, small, max(16.0, page.margin * 0.45))
    if rng.random() < 0.35:
        size = rng.randint(44, 90)
        stamp(sheet.ink, logo(rng, size), page.margin, page.margin // 2 + 10)
        page.y = page.margin // 2 + 10 + size + page.pitch * 1.5
    pen = Pen(page.heading.face, round(page.body.size * rng.uniform(1.1, 2.0)))
    align = rng.choice((0.0, 0.5, 0.5))
    for _ in range(rng.randint(1, 3)):
        title = rng.choice((source.company, source.words, source.phrase, source.phrase))(rng)
        page.write(
            title.upper() if rng.random() < 0.5 else title, page.margin + align * page.room, pen, align
        )
    page.y += page.pitch * 0.7


def _underlined(page: Form) -> None:
    """Labels with a line to write on, one to three a row."""
    rng, columns = page.rng, page.rng.choice((1, 1, 2, 2, 3))
    for _ in range(rng.randint(1, 5)):
        if page.full():
            return
        edges = split_width(page.margin, page.room, columns, rng)
        for left, right in zip(edges, edges[1:], strict=False):
            text = clip_text(page.label(), page.body, (right - left) * 0.6)
            box = page.sheet.text(text, page.body, left, page.y)
            start = (box[2] if box else left) + page.body.size * rng.uniform(0.3, 0.8)
            page.fill(start + rng.uniform(0, 30), page.y, right - start - 40)
            if rng.random() < 0.85:
                page.sheet.rule(
                    start,
                    page.y + page.body.size * 0.22,
                    right - 12,
                    page.y + page.body.size * 0.22,
                    1,
                    rng.randint(120, 255),
                )
        page.y += page.row_height


def _boxed(page: Form) -> None:
    """A grid of boxes with the label small at the top left and the value under it, or beside it."""
    rng = page.rng
    small = Pen(page.body.face, max(11, page.body.size - rng.randint(0, 5)))
    beside = rng.random() < 0.35
    tall = page.body.size * (1.8 if beside else rng.uniform(2.6, 3.4))
    tone, thick = rng.randint(120, 255), rng.choice((1, 1, 2))
    top = page.y - page.body.size
    for _ in range(rng.randint(1, 5)):
        if top + tall > page.sheet.height - page.margin:
            break
        edges = split_width(page.margin, page.room, rng.choice((1, 2, 2, 3, 4)), rng)
        for left, right in zip(edges, edges[1:], strict=False):
            if rng.random() < 0.08:
                page.sheet.panel((left, top, right, top + tall), rng.randint(170, 235))
            page.sheet.frame((left, top, right, top + tall), thick, tone)
            text = clip_text(page.label(), small, (right - left) * (0.55 if beside else 0.95) - 8)
            baseline = top + small.size * (1.25 if beside else 1.1)
            box = page.sheet.text(text, small, left + 5, baseline)
            if beside:
                start = (box[2] if box else left) + page.body.size
                page.fill(start, baseline, right - start - 6)
            else:
                page.fill(left + rng.uniform(8, 30), top + tall - page.filled.size * 0.35, right - left - 40)
        top += tall
    page.y = top + page.body.size


def _checks(page: Form) -> None:
    """Boxes to tick, in a row behind a question or in a list."""
    rng, size = page.rng, round(page.body.size * page.rng.uniform(0.7, 1.0))
    x = float(page.margin)
    if rng.random() < 0.6:
        box = page.sheet.text(clip_text(page.label(), page.body, page.room * 0.4), page.body, x, page.y)
        x = (box[2] if box else x) + page.body.size * 2.0
    for _ in range(rng.randint(2, 6)):
        option = rng.choice(
            (
                "Yes",
                "No",
                "Male",
                "Female",
                "N/A",
                "Other",
                "OK",
                "Ja",
                "Nein",
                "Oui",
                "Non",
                page.source.word(rng),
                page.source.words(rng),
            )
        )
        option = page.source.fit(option, rng)
        if x + size + page.body.width(option) > page.sheet.width - page.margin:
            x, page.y = float(page.margin), page.y + page.pitch * 1.2
        if page.full():
            return
        page.sheet.frame((x, page.y - size, x + size, page.y), 1, rng.randint(150, 255))
        if rng.random() < 0.4:
            page.sheet.rule(x + 2, page.y - size + 2, x + size - 2, page.y - 2, rng.choice((1, 2)))
            page.sheet.rule(x + 2, page.y - 2, x + size - 2, page.y - size + 2, rng.choice((1, 2)))
        box = page.sheet.text(
            clip_text(option, page.body, page.room * 0.8), page.body, x + size * 1.5, page.y
        )
        x = (box[2] if box else x + size) + page.body.size * rng.uniform(1.8, 3.5)
    page.y += page.pitch


def _pairs(page: Form) -> None:
    """Labels in one column, values in another, without rules."""
    rng = page.rng
    value_x = page.margin + page.room * rng.uniform(0.25, 0.45)
    for _ in range(rng.randint(2, 7)):
        if page.full():
            return
        label = clip_text(page.label(), page.body, value_x - page.margin - page.body.size * 1.7)
        page.sheet.text(label, page.body, page.margin, page.y)
        page.fill(value_x, page.y, page.margin + page.room - value_x)
        page.y += page.row_height


def _table(page: Form) -> None:
    rng = page.rng
    page.table(page.margin, page.room, rng.randint(3, 9), rng.randint(2, 6))


def _note(page: Form) -> None:
    """Instructions in small print, or a paragraph filled in."""
    rng = page.rng
    pen = (
        page.filled
        if rng.random() < 0.5 and not page.filled.face.script
        else Pen(page.body.face, max(11, page.body.size - rng.randint(0, 4)))
    )
    page.paragraph(page.margin, page.room * rng.uniform(0.6, 1.0), rng.randint(1, 5), False, 0.0, pen)


def _extras(page: Form) -> None:
    """Stamps, signatures, shaded fields, punched holes, a number along the foot."""
    rng, sheet = page.rng, page.sheet
    if rng.random() < 0.25:
        size = rng.randint(80, 150)
        stamp(
            sheet.ink,
            rim(rng, size) // rng.choice((1, 2)),
            rng.randint(0, sheet.width - size),
            rng.randint(0, sheet.height - size),
        )
    if rng.random() < 0.2:
        x, y = rng.randint(0, sheet.width - 140), rng.randint(sheet.height // 2, sheet.height - 80)
        if not sheet.ink[y : y + 60, x : x + 120].any():
            stamp(sheet.ink, hatching(rng, 120, 60), x, y)
    if rng.random() < 0.3:
        sheet.text(
            page.source.fit(texts.digits(rng, 6, 9), rng),
            Pen(page.filled.face, page.body.size + 2),
            sheet.width - page.margin * 0.5,
            sheet.height - page.margin * 0.35,
            1.0,
        )
