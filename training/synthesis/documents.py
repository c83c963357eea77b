"""Office paper: dense text in columns, letters, invoices and tables."""

from __future__ import annotations

from random import Random

from training.synthesis import text as texts
from training.synthesis.distractors import logo, rim, scribble
from training.synthesis.drawing import stamp
from training.synthesis.fonts import FontBook
from training.synthesis.sheet import Pen, Sheet
from training.synthesis.text import TextSource
from training.synthesis.vocabulary import (
    CLOSINGS,
    INVOICE_TITLES,
    INVOICE_TOTALS,
    MEMO_FIELDS,
    PHRASES,
    SALUTATIONS,
)
from training.synthesis.writer import Writer, clip_text


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
        makers = (page.source.name, page.source.company, page.source.address, page.source.contact, texts.date)
        page.write(rng.choice(makers)(rng), middle, None, 0.5)
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
        _bullets(page, left, span)
    elif kind == "table":
        page.table(left, span, rng.randint(3, 9), rng.randint(2, 5) if span > 400 else 2)
    elif kind == "picture":
        page.picture(left, span)
    else:
        small = Pen(page.body.face, max(10, page.body.size - 3))
        page.sheet.rule(left, page.y - page.pitch * 0.6, left + span * 0.4, page.y - page.pitch * 0.6)
        page.y += page.pitch * 0.3
        page.paragraph(left, span, rng.randint(1, 4), False, 0.0, small)


def _bullets(page: Writer, left: float, span: float) -> None:
    rng, indent = page.rng, page.body.size
    mark = rng.choice(("•", "-", "–", "*", "1", "a"))
    for number in range(rng.randint(2, 5)):
        if page.full():
            return
        bullet = {"1": f"{number + 1}.", "a": f"({chr(97 + number)})"}.get(mark, mark)
        text = page.source.fit(f"{bullet} {page.source.sentence(rng, 40)}", rng)
        page.sheet.text(clip_text(text, page.body, span - indent), page.body, left + indent, page.y)
        page.y += page.pitch


def letter(source: TextSource, book: FontBook, rng: Random) -> Sheet:
    """A letter or memorandum, mostly typed, with a head, an address and a signature."""
    page = Writer(source, book, rng, 900, rng.choice((1160, 1270)), rng.randint(15, 22))
    if rng.random() < 0.5:
        face, _ = book.pick(rng, "Aé0", "mono")
        page.body = Pen(face, page.body.size, jitter=rng.choice((0.0, 0.0, 0.015)))
    _letterhead(page)
    page.write(rng.choice((*SALUTATIONS, f"Dear {source.name(rng)},")))
    while not page.full(9):
        page.y += page.pitch * 0.5
        if rng.random() < 0.1:
            page.table(page.margin, page.room, rng.randint(3, 6), rng.randint(2, 5))
        indent = rng.choice((0.0, page.body.size * 2.0))
        page.paragraph(page.margin, page.room, rng.randint(2, 7), False, indent)
    _close(page)
    return page.sheet


def _letterhead(page: Writer) -> None:
    """Logo, company, date and address, and a memorandum's fields."""
    rng, source, sheet = page.rng, page.source, page.sheet
    if rng.random() < 0.5:
        size = rng.randint(50, 110)
        left = rng.choice((page.margin, sheet.width - page.margin - size))
        stamp(sheet.ink, logo(rng, size), left, page.margin // 2)
        page.y = page.margin // 2 + size + page.pitch * 1.5
    align = rng.choice((0.0, 0.5))
    page.write(source.company(rng), page.margin + align * page.room, page.heading, align)
    page.y += page.pitch
    for make in (texts.date, source.name, source.company, source.address, source.address)[
        : rng.randint(1, 5)
    ]:
        right = make is texts.date and rng.random() < 0.5
        page.write(make(rng), page.margin + (page.room * 0.6 if right else 0))
    for label in rng.sample(MEMO_FIELDS, rng.randint(0, 4)):
        value = clip_text(source.fit(source.words(rng), rng), page.body, page.room * 0.6)
        cells = [(source.fit(label, rng), page.margin, 0.0), (value, page.margin + page.body.size * 5.5, 0.0)]
        sheet.row(cells, page.body, page.y)
        page.y += page.pitch * 1.2
    page.y += page.pitch


def _close(page: Writer) -> None:
    rng = page.rng
    page.y += page.pitch
    page.write(rng.choice(CLOSINGS))
    if rng.random() < 0.7:
        signature = scribble(rng, rng.randint(110, 240), rng.randint(36, 60))
        stamp(page.sheet.ink, signature, page.margin, round(page.y - page.pitch * 0.6))
    page.y += page.pitch * 2.4
    page.write(page.source.name(rng))
    page.write(rng.choice(PHRASES))


def invoice(source: TextSource, book: FontBook, rng: Random) -> Sheet:
    """An invoice or statement: two address blocks, a table of items, totals at the right."""
    page = Writer(source, book, rng, 900, rng.choice((1160, 1270)), rng.randint(14, 19))
    right = page.sheet.width - page.margin
    title = Pen(page.heading.face, round(page.body.size * rng.uniform(1.6, 3)))
    page.sheet.text(source.fit(rng.choice(INVOICE_TITLES), rng), title, right, page.y + 14, 1.0)
    page.write(source.company(rng), None, page.heading)
    for make in (source.address, source.address, texts.phone, source.contact)[: rng.randint(2, 4)]:
        page.write(make(rng))
    page.y += page.pitch
    _fields(page, page.y, page.margin, page.margin + page.room * 0.2)
    _fields(page, page.y, page.margin + page.room * 0.58, page.margin + page.room * 0.78)
    page.y += page.pitch * 6
    page.table(page.margin, page.room, rng.randint(4, 18), rng.randint(4, 6))
    _invoice_totals(page, right)
    if not page.full(8):
        page.y += page.pitch
        page.paragraph(page.margin, page.room, rng.randint(2, 4), False)
    if rng.random() < 0.3:
        top = min(page.y, page.sheet.height - 200)
        stamp(page.sheet.ink, rim(rng, rng.randint(90, 160)), round(right - 200), round(top))
    return page.sheet


def _invoice_totals(page: Writer, right: float) -> None:
    rng, source = page.rng, page.source
    for label in rng.sample(INVOICE_TOTALS, rng.randint(2, 5)):
        if page.full(3):
            return
        amount = source.fit(texts.price(rng), rng)
        cells = [(source.fit(label, rng), right - page.room * 0.28, 0.0), (amount, right - 6, 1.0)]
        page.sheet.row(cells, page.body, page.y)
        page.y += page.pitch * 1.1


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
        page.table(page.margin, page.room, rng.randint(4, 24), rng.randint(3, 7))
    return page.sheet
