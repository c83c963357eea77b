"""Office paper: dense text in columns, letters, invoices and tables."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from training.synthesis import text as texts
from training.synthesis.distractors import halftone, logo, rim, scribble
from training.synthesis.drawing import stamp
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

    def table(self, left: float, width: float, rows: int, columns: int, ruled: str) -> None:
        """A table of numbers and words: `ruled` is grid, rows, head or none."""
        rng, size = self.rng, self.body.size
        height = self.pitch * rng.uniform(1.0, 1.5)
        shares = [rng.uniform(0.6, 1.6) for _ in range(columns)]
        edges = [left]
        for share in shares:
            edges.append(edges[-1] + width * share / sum(shares))
        kinds: list[Callable[[Random], str]] = [
            rng.choice(
                (
                    texts.number,
                    texts.price,
                    texts.number,
                    texts.date,
                    texts.code,
                    self.source.word,
                    self.source.measures,
                )
            )
            for _ in shares
        ]
        kinds[0] = rng.choice((self.source.item, self.source.name, self.source.word, texts.code))
        aligns = [0.0] + [rng.choice((0.0, 1.0, 1.0, 0.5)) for _ in shares[1:]]
        top, dark = self.y - size * 1.05, rng.random() < 0.3
        if dark:
            self.sheet.panel((left, top, edges[-1], top + height), rng.randint(20, 110))
        count = 0
        for row in range(rows):
            if self.full():
                break
            for column, make in enumerate(kinds):
                text = rng.choice(PHRASES) if row == 0 else make(rng)
                if row and rng.random() < 0.08:
                    continue
                pad = size * 0.4
                text = clip_text(
                    self.source.fit(text, rng), self.body, edges[column + 1] - edges[column] - 2 * pad
                )
                x = edges[column] + pad + aligns[column] * (edges[column + 1] - edges[column] - 2 * pad)
                self.sheet.text(text, self.body, x, self.y, aligns[column], light=dark and row == 0)
            self.y += height
            count += 1
        self._grid(edges, top, height, count, ruled)
        self.y += self.pitch * 0.4

    def _grid(self, edges: list[float], top: float, height: float, rows: int, ruled: str) -> None:
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


def dense(source: TextSource, book: FontBook, rng: Random) -> Sheet:
    """A page of a paper, report, contract or book."""
    width, height = rng.choice(((900, 1200), (900, 1270), (1000, 1350)))
    columns = rng.choices((1, 2, 3), (50, 42, 8))[0]
    page = Writer(
        source, book, rng, width, height, rng.randint(13, 20) if columns == 1 else rng.randint(12, 16)
    )
    justified, indent = rng.random() < 0.6, rng.choice((0.0, page.body.size * 1.5))
    _running_head(page)
    if rng.random() < 0.5:
        _title(page)
    top, gap = page.y, page.body.size * rng.uniform(1.6, 2.6)
    span = (page.room - gap * (columns - 1)) / columns
    for column in range(columns):
        page.y = top
        left = page.margin + column * (span + gap)
        while not page.full(2):
            _block(page, left, span, justified, indent)
    if rng.random() < 0.5:
        page.sheet.text(
            str(rng.randint(1, 400)),
            page.body,
            page.sheet.width / 2,
            page.sheet.height - page.margin * 0.35,
            0.5,
        )
    return page.sheet


def _running_head(page: Writer) -> None:
    rng = page.rng
    if rng.random() < 0.4:
        y = page.margin * 0.6
        page.sheet.text(page.source.fit(page.source.words(rng), rng)[:40].strip(), page.body, page.margin, y)
        page.sheet.text(str(rng.randint(1, 400)), page.body, page.sheet.width - page.margin, y, 1.0)
        if rng.random() < 0.5:
            page.sheet.rule(page.margin, y + 6, page.sheet.width - page.margin, y + 6)


def _title(page: Writer) -> None:
    rng, middle = page.rng, page.sheet.width / 2
    pen = Pen(page.heading.face, round(page.body.size * rng.uniform(1.5, 2.4)))
    for _ in range(rng.randint(1, 2)):
        page.write(page.source.words(rng), middle, pen, 0.5)
    for _ in range(rng.randint(0, 3)):
        page.write(
            rng.choice(
                (page.source.name, page.source.company, page.source.address, page.source.contact, texts.date)
            )(rng),
            middle,
            None,
            0.5,
        )
    page.y += page.pitch


def _block(page: Writer, left: float, span: float, justified: bool, indent: float) -> None:
    rng = page.rng
    kind = rng.choices(("text", "heading", "list", "table", "picture", "note"), (60, 14, 10, 6, 5, 5))[0]
    if kind == "text":
        page.paragraph(left, span, rng.randint(2, 9), justified, indent)
        page.y += page.pitch * rng.choice((0.0, 0.3, 0.8))
    elif kind == "heading":
        page.heading_line(left, span)
    elif kind == "list":
        mark = rng.choice(("•", "-", "–", "*", "1", "a"))
        for number in range(rng.randint(2, 5)):
            if page.full():
                return
            bullet = {"1": f"{number + 1}.", "a": f"({chr(97 + number)})"}.get(mark, mark)
            text = clip_text(
                page.source.fit(f"{bullet} {page.source.sentence(rng, 40)}", rng),
                page.body,
                span - page.body.size,
            )
            page.sheet.text(text, page.body, left + page.body.size, page.y)
            page.y += page.pitch
    elif kind == "table":
        page.table(
            left,
            span,
            rng.randint(3, 9),
            rng.randint(2, 5) if span > 400 else 2,
            rng.choice(("grid", "rows", "head", "none")),
        )
    elif kind == "picture":
        page.picture(left, span)
    else:
        small = Pen(page.body.face, max(10, page.body.size - 3))
        page.sheet.rule(left, page.y - page.pitch * 0.6, left + span * 0.4, page.y - page.pitch * 0.6)
        page.y += page.pitch * 0.3
        page.paragraph(left, span, rng.randint(1, 4), False, 0.0, small)


def letter(source: TextSource, book: FontBook, rng: Random) -> Sheet:
    """A letter or memorandum, mostly typed, with a head, an address and a signature."""
    page = Writer(source, book, rng, 900, rng.choice((1160, 1270)), rng.randint(15, 22))
    if rng.random() < 0.5:
        face, _ = book.pick(rng, "Aé0", "mono")
        page.body = Pen(face, page.body.size, jitter=rng.choice((0.0, 0.0, 0.015)))
    if rng.random() < 0.5:
        size = rng.randint(50, 110)
        stamp(
            page.sheet.ink,
            logo(rng, size),
            rng.choice((page.margin, page.sheet.width - page.margin - size)),
            page.margin // 2,
        )
    page.write(
        source.company(rng),
        page.sheet.width / 2 if rng.random() < 0.5 else None,
        page.heading,
        0.5 if rng.random() < 0.5 else 0.0,
    )
    page.y += page.pitch
    for make in (texts.date, source.name, source.company, source.address, source.address)[
        : rng.randint(1, 5)
    ]:
        page.write(
            make(rng), page.margin + (page.room * 0.6 if make is texts.date and rng.random() < 0.5 else 0)
        )
    for label in rng.sample(
        ("To:", "From:", "Subject:", "Re:", "CC:", "Date:", "Ref.:", "Attn:", "Objet :", "Betreff:"),
        rng.randint(0, 4),
    ):
        value_x = page.margin + page.body.size * 5.5
        page.sheet.row(
            [
                (source.fit(label, rng), page.margin, 0.0),
                (clip_text(source.fit(source.words(rng), rng), page.body, page.room * 0.6), value_x, 0.0),
            ],
            page.body,
            page.y,
        )
        page.y += page.pitch * 1.2
    page.y += page.pitch
    page.write(
        rng.choice(
            (
                "Dear Sir or Madam,",
                "Dear " + source.name(rng) + ",",
                "To whom it may concern:",
                "Madame, Monsieur,",
                "Sehr geehrte Damen und Herren,",
                "Gentlemen:",
            )
        )
    )
    while not page.full(9):
        page.y += page.pitch * 0.5
        if rng.random() < 0.1:
            page.table(
                page.margin,
                page.room,
                rng.randint(3, 6),
                rng.randint(2, 5),
                rng.choice(("grid", "head", "none")),
            )
        page.paragraph(
            page.margin, page.room, rng.randint(2, 7), False, rng.choice((0.0, page.body.size * 2.0))
        )
    _close(page)
    return page.sheet


def _close(page: Writer) -> None:
    rng = page.rng
    page.y += page.pitch
    page.write(
        rng.choice(
            (
                "Sincerely,",
                "Yours truly,",
                "Best regards,",
                "Cordialement,",
                "Mit freundlichen Grüßen",
                "Very truly yours,",
            )
        )
    )
    if rng.random() < 0.7:
        stamp(
            page.sheet.ink,
            scribble(rng, rng.randint(110, 240), rng.randint(36, 60)),
            page.margin,
            round(page.y - page.pitch * 0.6),
        )
    page.y += page.pitch * 2.4
    page.write(page.source.name(rng))
    page.write(rng.choice(PHRASES))


def invoice(source: TextSource, book: FontBook, rng: Random) -> Sheet:
    """An invoice or statement: two address blocks, a table of items, totals at the right."""
    page = Writer(source, book, rng, 900, rng.choice((1160, 1270)), rng.randint(14, 19))
    right = page.sheet.width - page.margin
    page.sheet.text(
        source.fit(
            rng.choice(
                (
                    "INVOICE",
                    "Invoice",
                    "FACTURE",
                    "Rechnung",
                    "STATEMENT",
                    "Purchase Order",
                    "QUOTATION",
                    "Delivery Note",
                )
            ),
            rng,
        ),
        Pen(page.heading.face, round(page.body.size * rng.uniform(1.6, 3))),
        right,
        page.y + 14,
        1.0,
    )
    page.write(source.company(rng), None, page.heading)
    for make in (source.address, source.address, texts.phone, source.contact)[: rng.randint(2, 4)]:
        page.write(make(rng))
    page.y += page.pitch
    _fields(page, page.y, page.margin, page.margin + page.room * 0.2)
    _fields(page, page.y, page.margin + page.room * 0.58, page.margin + page.room * 0.78)
    page.y += page.pitch * 6
    page.table(
        page.margin,
        page.room,
        rng.randint(4, 18),
        rng.randint(4, 6),
        rng.choice(("grid", "grid", "rows", "head", "none")),
    )
    for label in rng.sample(
        (
            "Subtotal",
            "Tax",
            "VAT 20%",
            "Shipping",
            "Discount",
            "TOTAL",
            "Balance Due",
            "Total TTC",
            "MwSt. 19 %",
            "Paid",
        ),
        rng.randint(2, 5),
    ):
        if page.full(3):
            break
        page.sheet.row(
            [
                (source.fit(label, rng), right - page.room * 0.28, 0.0),
                (source.fit(texts.price(rng), rng), right - 6, 1.0),
            ],
            page.body,
            page.y,
        )
        page.y += page.pitch * 1.1
    if not page.full(8):
        page.y += page.pitch
        page.paragraph(page.margin, page.room, rng.randint(2, 4), False)
    if rng.random() < 0.3:
        stamp(
            page.sheet.ink,
            rim(rng, rng.randint(90, 160)),
            round(right - 200),
            round(min(page.y, page.sheet.height - 200)),
        )
    return page.sheet


def _fields(page: Writer, y: float, label_x: float, value_x: float) -> None:
    rng, source = page.rng, page.source
    for row in range(rng.randint(2, 5)):
        value = rng.choice((texts.code, texts.date, source.name, source.address, texts.phone))(rng)
        value = clip_text(source.fit(value, rng), page.body, page.room * 0.22)
        label = clip_text(
            source.fit(rng.choice(PHRASES) + ":", rng), page.body, value_x - label_x - page.body.size * 0.4
        )
        page.sheet.row([(label, label_x, 0.0), (value, value_x, 0.0)], page.body, y + row * page.pitch)


def tables(source: TextSource, book: FontBook, rng: Random) -> Sheet:
    """A page of tables with headings and notes."""
    page = Writer(source, book, rng, *rng.choice(((900, 1200), (1200, 900))), rng.randint(13, 19))
    while not page.full(5):
        page.heading_line(page.margin, page.room)
        if rng.random() < 0.5:
            page.paragraph(page.margin, page.room, rng.randint(1, 3), False)
        page.table(
            page.margin,
            page.room,
            rng.randint(4, 24),
            rng.randint(3, 7),
            rng.choice(("grid", "grid", "rows", "head", "none")),
        )
    return page.sheet
