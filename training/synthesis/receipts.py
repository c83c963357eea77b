"""Receipts: a narrow roll, a centred head, items with prices at the right, totals, a greeting."""

from __future__ import annotations

from random import Random

import cv2

from training.synthesis import text as texts
from training.synthesis.distractors import barcode, logo, matrix_code, scribble
from training.synthesis.drawing import stamp
from training.synthesis.fonts import FontBook
from training.synthesis.sheet import Pen, Sheet
from training.synthesis.text import TextSource
from training.synthesis.vocabulary import ITEM_HEADINGS, RECEIPT_ENDINGS, RECEIPT_FIELDS, RECEIPT_TOTALS

_RULES = ("-", "=", "*", "_", ".", "- ", "~", "line", "line", "none")


class Receipt:
    """Writes one receipt down a sheet; `draw` gives the sheet cut to its length."""

    def __init__(self, source: TextSource, book: FontBook, rng: Random) -> None:
        self.source, self.rng = source, rng
        size = rng.choice((17, 18, 20, 22, 24, 26))
        self.width = round(size * rng.uniform(17, 27))
        face, _ = book.pick(
            rng, "Aé0", "mono" if rng.random() < 0.6 else rng.choice(("common", "common", "plain"))
        )
        head, _ = book.pick(rng, "Aé0", "bold") if rng.random() < 0.3 else (face, "")
        stretch = rng.choice((1.0, 1.0, rng.uniform(0.75, 1.15)))
        self.pen = Pen(face, size, stretch=stretch)
        self.head = Pen(head, round(size * rng.choice((1.0, 1.0, 1.2, 1.5, 1.9))), stretch=stretch)
        self.pitch = size * rng.uniform(1.02, 1.6)
        self.left = size * rng.uniform(0.4, 2.2)
        self.right = self.width - size * rng.uniform(0.4, 2.2)
        self.upper = rng.random() < 0.45
        self.sheet = Sheet(self.width, round(self.pitch * 95), rng, source.allowed)
        self.y = size * rng.uniform(1.5, 5)

    def draw(self) -> Sheet:
        """The whole receipt."""
        rng = self.rng
        self._header()
        self._rule()
        self._meta()
        self._rule()
        self._items()
        self._rule()
        self._totals(rng.randint(2, 8))
        self._rule()
        if rng.random() < 0.4:
            self._summary()
        self._footer()
        self._marks()
        return self._cut()

    def _say(self, text: str) -> str:
        text = text.upper() if self.upper else text
        return self.source.fit(text, self.rng)

    def _down(self, lines: float = 1.0) -> bool:
        """Moves on; false at the end of the roll."""
        self.y += self.pitch * lines
        return self.y < self.sheet.height - self.pitch * 3

    def _shorten(self, text: str, pen: Pen, width: float) -> str:
        while text and pen.width(text) > width:
            text = text[
                : max(0, min(len(text) - 1, int(len(text) * width / max(pen.width(text), 1))))
            ].rstrip()
        return text

    def _centred(self, text: str, pen: Pen | None = None, x: float | None = None) -> None:
        pen = pen or self.pen
        room = self.right - self.left
        align, place = (0.5, (self.left + self.right) / 2) if x is None else (0.0, x)
        self.sheet.text(self._shorten(self._say(text), pen, room), pen, place, self.y, align)

    def _header(self) -> None:
        rng, source = self.rng, self.source
        place = None if rng.random() < 0.75 else self.left
        if rng.random() < 0.2:
            size = rng.randint(self.width // 6, self.width // 3)
            stamp(self.sheet.ink, logo(rng, size), (self.width - size) // 2, round(self.y - self.pen.size))
            self.y += size + self.pitch
        self._centred(source.company(rng), self.head, place)
        self._down(self.head.size / self.pen.size)
        kinds = (
            texts.code,
            source.address,
            source.address,
            source.address,
            self._telephone,
            self._register,
            source.contact,
        )
        for make in kinds[: rng.randint(2, 7)]:
            self._centred(make(rng) if make is not texts.code else f"({texts.code(rng)})", None, place)
            self._down()
        if rng.random() < 0.7:
            self._down(rng.uniform(0.1, 1.0))
            title = rng.choice(
                (
                    "Tax Invoice",
                    "TAX INVOICE",
                    "Simplified Tax Invoice",
                    "RECEIPT",
                    "Cash Sales",
                    "INVOICE",
                    "Facture",
                    "Quittung",
                    "*** COPY ***",
                )
            )
            self._centred(title, self.head if rng.random() < 0.4 else None)
            self._down(1.3)

    def _telephone(self, rng: Random) -> str:
        label = rng.choice(("Tel", "TEL", "Tel No.", "Phone", "Tél."))
        return f"{label}{rng.choice((': ', ' : ', ' '))}{texts.phone(rng)}"

    def _register(self, rng: Random) -> str:
        label = rng.choice(("GST ID", "GST Reg No", "Co. Reg", "VAT No", "SIRET", "USt-IdNr."))
        return f"{label}{rng.choice((': ', ' : ', ' NO: '))}{texts.digits(rng, 9, 12)}"

    def _rule(self) -> None:
        rng, kind = self.rng, self.rng.choice(_RULES)
        if kind == "line":
            self.sheet.rule(
                self.left,
                self.y - self.pitch * 0.4,
                self.right,
                self.y - self.pitch * 0.4,
                rng.randint(1, 2),
                rng.randint(120, 255),
            )
        elif kind != "none":
            count = int((self.right - self.left) / max(self.pen.width(kind * 10) / 10, 1))
            self.sheet.text((kind * count).strip(), self.pen, self.left, self.y, label=False)
        self._down(rng.uniform(0.7, 1.2) if kind != "none" else 0.4)

    def _pair(self, label: str, value: str, label_x: float, value_x: float, align: float) -> None:
        room = (value_x - label_x) - (self.pen.width(value) if align else 0) - self.pen.size * 0.6
        label = self._shorten(self._say(label), self.pen, room)
        self.sheet.row(
            [
                (label, label_x, 0.0),
                (self._shorten(self._say(value), self.pen, self.right - self.left), value_x, align),
            ],
            self.pen,
            self.y,
        )

    def _meta(self) -> None:
        rng = self.rng
        column = self.left + self.pen.size * rng.uniform(4.5, 8)
        colon = rng.choice((": ", ":", ""))
        for _ in range(rng.randint(1, 6)):
            value = rng.choice(
                (texts.code, texts.date, texts.time, self.source.name, texts.code, texts.date)
            )(rng)
            if rng.random() < 0.25:
                self._pair(texts.date(rng)[:16], texts.time(rng), self.left, self.right, 1.0)
            elif rng.random() < 0.3:
                self._centred(f"{rng.choice(RECEIPT_FIELDS)}: {value}", None, self.left)
            else:
                self._pair(rng.choice(RECEIPT_FIELDS), f"{colon}{value}", self.left, column, 0.0)
            self._down()

    def _columns(self) -> list[float]:
        """Right ends of the number columns."""
        span = self.right - self.left
        return [
            self.left + span * share
            for share in ((0.5, 0.74, 1.0) if self.rng.random() < 0.6 else (0.6, 1.0))
        ]

    def _items(self) -> None:
        rng, ends = self.rng, self._columns()
        if rng.random() < 0.65:
            names = rng.choice(ITEM_HEADINGS).split("|")
            cells = [(self._say(names[0]), self.left, 0.0)]
            cells += [(self._say(name), x, 1.0) for name, x in zip(names[1:], ends, strict=False)]
            self.sheet.row(cells, self.pen, self.y)
            self._down()
            if rng.random() < 0.6:
                self._rule()
        style = rng.randrange(3)
        for _ in range(rng.choice((1, 2, 3, 5, 8, 12, 20))):
            if not self._item(style, ends):
                return

    def _item(self, style: int, ends: list[float]) -> bool:
        rng = self.rng
        count, each = rng.randint(1, 12), round(rng.random() * 60, 2)
        total, name = f"{count * each:.2f}{rng.choice(('', '', '', ' S', ' SR', '*'))}", self.source.item(rng)
        if style == 0:  # everything on one row
            self._pair(f"{count} {name}"[:22], total, self.left, self.right, 1.0)
            return self._down()
        self.sheet.text(
            self._shorten(self._say(name), self.pen, self.right - self.left), self.pen, self.left, self.y
        )
        self._down()
        if style == 1:
            cells = [(texts.digits(rng, 5, 13), self.left, 0.0)] if rng.random() < 0.5 else []
            cells += [
                (value, x, 1.0)
                for value, x in zip((str(count), f"{each:.2f}", total), ends[-3:], strict=False)
            ]
            self.sheet.row(cells, self.pen, self.y)
        else:
            self._pair(
                f"{count} {rng.choice('xX@')} {each:.2f}", total, self.left + self.pen.size, self.right, 1.0
            )
        return self._down(rng.choice((1.0, 1.0, 1.25)))

    def _totals(self, count: int) -> None:
        rng = self.rng
        label_x = rng.choice((self.left, self.left, self.left + (self.right - self.left) * 0.25))
        currency = rng.choice(("", "", "RM ", "$", "€ ", "£", "RM"))
        ending = rng.choice(("", ":", " :"))
        flush = rng.random() < 0.3
        for _ in range(count):
            value, label = (
                f"{currency}{rng.random() * 10 ** rng.randint(1, 4):.2f}",
                rng.choice(RECEIPT_TOTALS) + ending,
            )
            if flush:
                edge = self.right - self.pen.size * 6
                self.sheet.row([(self._say(label), edge, 1.0), (value, self.right, 1.0)], self.pen, self.y)
            else:
                self._pair(label, value, label_x, self.right, 1.0)
            if not self._down(rng.choice((1.0, 1.0, 1.2))):
                return

    def _summary(self) -> None:
        rng, span = self.rng, self.right - self.left
        ends = (self.left + span * 0.62, self.right)
        top = self.y - self.pitch
        for row in range(rng.randint(2, 4)):
            cells = (
                ("GST Summary", "Amount(RM)", "Tax(RM)")
                if row == 0
                else (
                    rng.choice(("SR @ 6%", "S = 6%", "ZRL 0%", "A 19%")),
                    f"{rng.random() * 90:.2f}",
                    f"{rng.random() * 9:.2f}",
                )
            )
            self.sheet.row(
                [
                    (self._say(cells[0]), self.left, 0.0),
                    (self._say(cells[1]), ends[0], 1.0),
                    (cells[2], ends[1], 1.0),
                ],
                self.pen,
                self.y,
            )
            self._down()
        if rng.random() < 0.4:
            self.sheet.frame((self.left - 6, top - 2, self.right + 6, self.y - self.pitch * 0.5))
        self._down(0.5)

    def _footer(self) -> None:
        rng = self.rng
        for _ in range(rng.randint(1, 5)):
            text = rng.choice(RECEIPT_ENDINGS) if rng.random() < 0.7 else self.source.sentence(rng, 28)
            self._centred(text)
            self._down()
        if rng.random() < 0.3:
            wide, tall = (
                round((self.right - self.left) * rng.uniform(0.5, 0.95)),
                round(self.pitch * rng.uniform(1.5, 3)),
            )
            stamp(
                self.sheet.ink,
                barcode(rng, wide, tall),
                (self.width - wide) // 2,
                round(self.y - self.pen.size * 0.6),
            )
            self.y += tall + self.pitch * 0.7
            self._centred(texts.digits(rng, 8, 14))
            self._down()
        elif rng.random() < 0.12:
            size = round((self.right - self.left) * rng.uniform(0.25, 0.5))
            stamp(
                self.sheet.ink,
                matrix_code(rng, size),
                (self.width - size) // 2,
                round(self.y - self.pen.size * 0.6),
            )
            self.y += size + self.pitch

    def _marks(self) -> None:
        """A customer's pen: ticks, rings, strokes."""
        rng = self.rng
        if rng.random() < 0.2:
            wide, tall = rng.randint(40, max(41, self.width // 2)), rng.randint(24, 80)
            x, y = rng.randint(0, max(1, self.width - wide)), rng.randint(0, max(1, int(self.y) - tall))
            if not self.sheet.ink[y : y + tall, x : x + wide].any():
                stamp(self.sheet.ink, scribble(rng, wide, tall), x, y)
        if rng.random() < 0.1 and self.sheet.found:
            box = rng.choice(self.sheet.found)[0]
            middle = (round((box[0] + box[2]) / 2), round((box[1] + box[3]) / 2))
            axes = (round((box[2] - box[0]) * 0.7) + 6, round((box[3] - box[1]) * 0.9) + 4)
            cv2.ellipse(
                self.sheet.ink,
                middle,
                axes,
                rng.uniform(-8, 8),
                0,
                360,
                rng.randint(120, 255),
                2,
                cv2.LINE_AA,
            )

    def _cut(self) -> Sheet:
        end = min(self.sheet.height, round(self.y + self.pitch * self.rng.uniform(0.5, 3)))
        sheet = self.sheet
        sheet.ink, sheet.light, sheet.ground, sheet.height = (
            sheet.ink[:end],
            sheet.light[:end],
            sheet.ground[:end],
            end,
        )
        return sheet


def receipt(source: TextSource, book: FontBook, rng: Random) -> Sheet:
    """Draws a receipt."""
    return Receipt(source, book, rng).draw()
