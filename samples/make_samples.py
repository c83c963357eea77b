"""Makes the sample pages of this folder and `expected.json`, the lines of text that stand on them.

    python samples/make_samples.py

The result is in the repository; making it again needs Debian's fonts-dejavu and fonts-liberation, and gives the
same pages, if not the same bytes, with other versions of Pillow and OpenCV. All shops, people and places on the
pages are invented.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFilter, ImageFont

HERE = Path(__file__).parent
FONTS = Path("/usr/share/fonts/truetype")
INK = (38, 36, 40)

Pixels = npt.NDArray[np.float32]
"""float32, (H, W, 3), red, green, blue, 0 to 255."""

Lines = list[str]


class Sheet:
    """A sheet of paper to write on, which remembers its lines of text in the order they were written.

    Args:
        size: width and height in pixels.
        paper: its colour.
    """

    def __init__(self, size: tuple[int, int], paper: tuple[int, int, int] = (255, 255, 255)) -> None:
        self.image = Image.new("RGB", size, paper)
        self.draw = ImageDraw.Draw(self.image)
        self.lines: Lines = []

    def write(self, xy: tuple[float, float], text: str, font: str, size: int, anchor: str = "ls", ink=INK) -> float:
        """Writes one line at a baseline point and returns its width."""
        face = ImageFont.truetype(str(FONTS / f"{font}.ttf"), size)
        self.draw.text(xy, text, ink, face, anchor)
        self.lines.append(text)
        return face.getlength(text)


def noise(shape: tuple[int, ...], amount: float, grain: float, rng: np.random.Generator) -> Pixels:
    """Grey noise, smoothed to `grain` pixels, of standard deviation `amount`."""
    values = rng.normal(size=(*shape[:2], 1)).astype(np.float32)
    smooth = cv2.GaussianBlur(values, (0, 0), grain) if grain > 0 else values[..., 0]
    return (smooth * (amount / max(float(smooth.std()), 1e-6)))[..., None]


def scanned(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Paper as a flatbed scanner sees it: slightly soft, uneven, a little grain."""
    pixels = np.asarray(image.filter(ImageFilter.GaussianBlur(0.5)), np.float32)
    pixels = pixels * 0.95 + 8 + noise(pixels.shape, 2.0, 0.7, rng) + noise(pixels.shape, 2.5, 60, rng)
    return as_image(pixels)


def as_image(pixels: Pixels) -> Image.Image:
    return Image.fromarray(pixels.clip(0, 255).round().astype(np.uint8))


# ---- a receipt, photographed on a table ----

ITEMS = [
    ("2 SOURDOUGH LOAF", "9.80"), ("1 OAT MILK 1L", "2.35"), ("3 BLOOD ORANGE", "2.97"), ("1 RICOTTA 250G", "3.49"),
    ("1 BASIL POT", "1.95"), ("2 TOMATO PASSATA", "3.18"), ("1 DARK CHOCOLATE 70%", "2.79"), ("1 PAPER BAG", "0.20"),
]  # fmt: skip


def receipt(rng: np.random.Generator) -> tuple[Image.Image, Lines]:
    sheet = Sheet((620, 1120), (247, 245, 238))
    sheet.write((310, 78), "JUNIPER & FIG", "liberation/LiberationSans-Bold", 52, "ms")
    for i, text in enumerate(["Neighbourhood Grocer", "14 Tannery Lane, Ostwick", "Tel. 0555 014 2277"]):
        sheet.write((310, 122 + 36 * i), text, "dejavu/DejaVuSansMono", 25, "ms")
    mono = "dejavu/DejaVuSansMono"
    sheet.write((45, 252), "14.03.2025 17:42", mono, 25)
    sheet.write((575, 252), "Receipt 004871", mono, 25, "rs")
    sheet.draw.line((45, 272, 575, 272), INK, 2)
    y = 322
    for name, price in ITEMS:
        sheet.write((45, y), name, mono, 26)
        sheet.write((575, y), price, mono, 26, "rs")
        y += 42
    sheet.draw.line((45, y - 16, 575, y - 16), INK, 2)
    sheet.write((45, y + 38), "TOTAL EUR", "dejavu/DejaVuSansMono-Bold", 38)
    sheet.write((575, y + 38), "26.73", "dejavu/DejaVuSansMono-Bold", 38, "rs")
    for i, (name, price) in enumerate([("CARD", "26.73"), ("VAT 7%", "1.75")]):
        sheet.write((45, y + 92 + 38 * i), name, mono, 25)
        sheet.write((575, y + 92 + 38 * i), price, mono, 25, "rs")
    sheet.write((310, y + 210), "Thank you, see you soon!", mono, 25, "ms")
    sheet.write((310, y + 248), "www.juniper-and-fig.example", mono, 23, "ms")
    barcode(sheet, (130, y + 280, 490, y + 350), rng)
    paper = np.asarray(sheet.image.filter(ImageFilter.GaussianBlur(0.7)), np.float32)
    fold = np.exp(-(((np.arange(1120) - 560) / 9) ** 2))[:, None, None]
    paper = paper - 14 * fold + noise(paper.shape, 3, 1.2, rng) + noise(paper.shape, 5, 70, rng)
    corners = np.float32([[170, 90], [742, 118], [800, 1255], [96, 1232]])
    return photo(paper, corners, table((1350, 900), rng), rng), sheet.lines


def barcode(sheet: Sheet, box: tuple[int, int, int, int], rng: np.random.Generator) -> None:
    x, top, right, bottom = box
    while x < right:
        width = int(rng.integers(2, 7))
        sheet.draw.rectangle((x, top, min(x + width, right), bottom), INK)
        x += width + int(rng.integers(2, 7))


def table(size: tuple[int, int], rng: np.random.Generator) -> Pixels:
    """Dark wood, its grain along the longer side; `size` is height and width."""
    grain = noise((size[0] // 12, size[1]), 1, 1.5, rng)[..., 0]
    grain = cv2.resize(grain, (size[1], size[0]), interpolation=cv2.INTER_CUBIC)[..., None]
    return np.float32([104, 74, 50]) + grain * np.float32([16, 13, 10])


def photo(paper: Pixels, corners: npt.NDArray[np.float32], ground: Pixels, rng: np.random.Generator) -> Image.Image:
    """Lays paper on a ground, its corners clockwise from the top left, with a shadow and the light of a window."""
    height, width = paper.shape[:2]
    size = (ground.shape[1], ground.shape[0])
    source = np.float32([[0, 0], [width, 0], [width, height], [0, height]])
    matrix = cv2.getPerspectiveTransform(source, corners)
    mask = cv2.warpPerspective(np.ones((height, width), np.float32), matrix, size, flags=cv2.INTER_AREA)[..., None]
    shadow = cv2.GaussianBlur(np.roll(mask[..., 0], (14, 16), (0, 1)), (0, 0), 12)[..., None]
    laid = cv2.warpPerspective(paper, matrix, size, flags=cv2.INTER_CUBIC)
    scene = ground * (1 - 0.6 * shadow) * (1 - mask) + laid * mask
    x, y = np.meshgrid(np.linspace(0, 1, size[0]), np.linspace(0, 1, size[1]))
    light = (1.05 - 0.28 * x - 0.12 * y - 0.18 * np.exp(-(((x - y * 0.4 - 0.75) / 0.14) ** 2)))[..., None]
    warm = np.float32([1.02, 1.0, 0.93])
    scene = scene * light.astype(np.float32) * warm + noise(scene.shape, 3.5, 0.6, rng)
    return as_image(scene)


# ---- a form, scanned ----

FIELDS = [
    (("Family name", "Okafor-Lindqvist"), ("Given names", "Maren Adaeze")),
    (("Date of birth", "27.08.1986"), ("Place of birth", "Port Ellery")),
    (("Street and number", "Weaver's Yard 31b"), ("Postcode, town", "40918 Brightmoor")),
    (("Telephone", "+49 555 0192 8841"), ("E-mail", "maren@okafor.example")),
]


def form(rng: np.random.Generator) -> tuple[Image.Image, Lines]:
    sheet = Sheet((1240, 1500))
    sans, bold, typed = "liberation/LiberationSans-Regular", "liberation/LiberationSans-Bold", "liberation/LiberationMono-Bold"
    sheet.write((90, 130), "Application for a library card", bold, 50)
    sheet.write((1150, 130), "Form LC-7", sans, 30, "rs")
    sheet.write((90, 190), "Please type or use block letters. Fields marked * are required.", sans, 27)
    y = 270
    for row in FIELDS:
        for x, (label, _) in zip((90, 635), row):
            sheet.draw.rectangle((x, y, x + 515, y + 100), outline=(70, 70, 70), width=2)
            sheet.write((x + 14, y + 32), f"{label} *", sans, 23, ink=(80, 80, 80))
        for x, (_, value) in zip((90, 635), row):
            sheet.write((x + 16, y + 82), value, typed, 34, ink=(36, 52, 120))
        y += 122
    sheet.write((90, y + 56), "Which card do you apply for?", bold, 30)
    for i, (label, ticked) in enumerate([("Adult, 24.00 a year", True), ("Reduced, 12.00 a year", False), ("Child, free of charge", False)]):
        top = y + 90 + 58 * i
        sheet.draw.rectangle((92, top, 122, top + 30), outline=INK, width=3)
        if ticked:
            sheet.draw.line((96, top + 14, 106, top + 26, 134, top - 8), (36, 52, 120), 5)
        sheet.write((145, top + 27), label, sans, 29)
    y += 320
    for i, text in enumerate(["I have read the rules of use and agree that my data are stored", "for as long as the card is valid."]):
        sheet.write((90, y + 40 * i), text, sans, 28)
    sheet.write((100, y + 150), "Brightmoor, 2 May 2025", typed, 34, ink=(36, 52, 120))
    for x, label in ((90, "Place and date"), (700, "Signature")):
        sheet.draw.line((x, y + 168, x + 450, y + 168), INK, 2)
        sheet.write((x, y + 200), label, sans, 23, ink=(80, 80, 80))
    t = np.linspace(0, 1, 90)
    curve = np.stack([730 + 340 * t + 12 * np.sin(31 * t), y + 130 - 26 * np.sin(19 * t) * (1 - t) - 14 * np.cos(47 * t)], 1)
    sheet.draw.line([tuple(point) for point in curve], (36, 52, 120), 4, "curve")
    sheet.write((90, 1440), "Municipal Library of Brightmoor - Canal Square 2 - 40918 Brightmoor", sans, 24)
    soft = sheet.image.filter(ImageFilter.GaussianBlur(0.6)).rotate(-0.6, Image.Resampling.BICUBIC, fillcolor="white")
    grainy = as_image(np.asarray(soft, np.float32) + noise((1500, 1240), 5, 1.0, rng) + 6)
    return grainy.quantize(16, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE), sheet.lines


# ---- a dense page in two columns ----

ARTICLE = [
    "The tide mill at Sennock Quay had ground flour for three hundred years before anyone thought to ask how much water it used. "
    "When the harbour board sent its first surveyor in 1871, he brought a brass gauge, two boys and a notebook, and stayed for eleven weeks.",
    "His figures survive. At spring tides the pond held 46,200 cubic metres; at neaps barely half of that. "
    "Twice a day the gates were closed at high water and opened again two hours later, when the head had reached 1.4 metres and the wheel would turn.",
    "What he could not measure he asked about. The miller, a widow called Hester Vane, answered every question in writing, and her "
    "letters are now the best account we have of the working day: when the stones were dressed, who carried the sacks, what was paid and what was owed.",
    "She complained of silt above all. Every winter the creek laid down a hand's breadth of it, and every spring six men dug for a fortnight "
    "to win back what the pond had lost. In a bad year the digging cost more than the grain brought in.",
    "Steam settled the matter. By 1884 the roller mills at Port Ellery sold flour at a price which no tide could match, and the wheel at Sennock "
    "was let go to rust. The gates were chained open. Within ten years samphire grew where boats had been moored.",
    "The building itself stood, because nobody wanted the stone. It was a net store, a dance hall and, for one summer, a school. "
    "When the roof fell in during the gale of 1953 the parish put up a fence and a notice and forgot about it.",
    "Our own survey began with the notebook. We levelled the old pond, cored its bed at forty places and counted the layers. They agree with "
    "the surveyor's figures to within four per cent, and with the widow's complaints to the year.",
    "Volunteers cleared the wheel pit in the autumn of 2019. Under two metres of mud they found the lower half of the wheel, eleven paddles "
    "still bolted to it, and a clay pipe that somebody must have dropped on the last day of work.",
    "The oak was sound. Tree rings date the axle to the winter of 1786, which is forty years later than the parish book would have it; the "
    "difference is explained by a fire that the book does not mention and the beams remember.",
    "Reading the silt took longer. Each spring tide leaves a film no thicker than paper, and each storm a band of sand. Between them lie the "
    "years: pale for a dry summer, dark for a wet one, and black for 1816, when there was no summer at all.",
    "We compared the cores with the logbook of the pilot station, which gives the wind three times a day from 1842. Of sixty-one storms in the "
    "book, fifty-eight left their mark in the pond. The other three came at low water.",
    "Money was kept as carefully as time. A sack of barley meal cost the baker one shilling and four pence in 1860, and the same in 1880; "
    "wages rose by a third in those years, and the widow's profit fell to nothing.",
    "Her last letter is dated 3 November 1883. She asks the surveyor, by then an old man in another town, whether his gauge had been right, "
    "and says that she would like to know before she sells. We have no answer from him, but we can give her one now.",
    "It was right to within the thickness of a hand. The pond he measured is the pond we found, and the head of water that he gave is the "
    "head that the sluice still holds when the boards are in.",
    "A model of the wheel at one tenth of its size was built in the workshop of the college at Ostwick. It turns for one hour and fifty minutes "
    "on a full pond, and lifts its stones by the breadth of a grain, just as the notebook says it should.",
    "Visitors come on the first Sunday of the month. Most of them ask how old the mill is, some ask where the flour went, and children ask "
    "whether it was dangerous. The answers are: older than we thought, up the river by barge, and yes.",
    "The mill will not grind again. But the pond, dug out once more by volunteers, now fills and empties with the tide, and on a still evening "
    "you can hear the water find the gap in the gates, as it did when there was work for it.",
]  # fmt: skip


def article(rng: np.random.Generator) -> tuple[Image.Image, Lines]:
    sheet = Sheet((1240, 1640), (250, 248, 243))
    serif = "liberation/LiberationSerif-Regular"
    sheet.write((100, 90), "Coastal Notes", "liberation/LiberationSerif-Italic", 28)
    sheet.write((1140, 90), "Volume 12, 2025", "liberation/LiberationSerif-Italic", 28, "rs")
    sheet.draw.line((100, 108, 1140, 108), INK, 2)
    sheet.write((620, 190), "What the Tide Left Behind", "liberation/LiberationSerif-Bold", 58, "ms")
    sheet.write((620, 240), "Ines Marlowe and Tobias Quill", "liberation/LiberationSerif-Italic", 30, "ms")
    face = ImageFont.truetype(str(FONTS / f"{serif}.ttf"), 24)
    rows = [row for text in ARTICLE for row in broken(text, face, 500)]
    half = (len(rows) + 1) // 2
    for x, column in ((100, rows[:half]), (640, rows[half:])):
        for i, (row, last) in enumerate(column):
            justified(sheet, (x, 300 + 30 * i), row, face, 500, last)
    sheet.write((620, 1590), "37", serif, 26, "ms")
    return scanned(sheet.image, rng).convert("L"), sheet.lines


def broken(text: str, face: ImageFont.FreeTypeFont, width: int) -> list[tuple[str, bool]]:
    """Breaks a paragraph into lines of a width in pixels; each with whether it is the last."""
    rows = [""]
    for word in text.split():
        longer = f"{rows[-1]} {word}".strip()
        if face.getlength(longer) > width:
            rows.append(word)
        else:
            rows[-1] = longer
    return [(row, i == len(rows) - 1) for i, row in enumerate(rows)]


def justified(sheet: Sheet, xy: tuple[int, int], row: str, face: ImageFont.FreeTypeFont, width: int, last: bool) -> None:
    words = row.split()
    gap = face.getlength(" ") if last else (width - sum(map(face.getlength, words))) / max(len(words) - 1, 1)
    x = float(xy[0])
    for word in words:
        sheet.draw.text((x, xy[1]), word, INK, face, "ls")
        x += face.getlength(word) + gap
    sheet.lines.append(row)


# ---- a letter, scanned lying on its side ----

LETTER = [
    "Harrow & Dunn, Piano Workshop", "8 Cooper's Row", "Millbrook", "", "19 September 2025", "",
    "Dear Mrs Abernathy,", "",
    "thank you for letting us look at your upright piano. The case is", "sound and the strings are younger than they look, but eleven of the",
    "hammers are worn through and the damper felt has been eaten by", "moths. We can replace both in about three weeks.", "",
    "Repair of the action: 840.00", "New damper felt: 215.00", "Two tunings, the second after six months: 180.00", "",
    "If you agree, please sign the second copy and send it back to us.", "We would collect the piano on a Tuesday or Thursday morning.", "",
    "Yours sincerely,", "Felix Harrow",
]  # fmt: skip


def letter() -> Sheet:
    sheet = Sheet((1000, 1300), (252, 251, 247))
    for i, text in enumerate(LETTER):
        if text:
            sheet.write((100, 130 + 50 * i), text, "dejavu/DejaVuSerif", 25)
    return sheet


def turned(rng: np.random.Generator) -> tuple[Image.Image, Lines]:
    sheet = letter()
    return scanned(sheet.image, rng).convert("L").transpose(Image.Transpose.ROTATE_90), sheet.lines


# ---- a folded card for a table: the upper half stands on its head ----


def card(rng: np.random.Generator) -> tuple[Image.Image, Lines]:
    half = Sheet((1000, 560), (244, 236, 214))
    half.draw.rectangle((24, 24, 976, 536), outline=(120, 60, 50), width=5)
    half.write((500, 150), "RESERVED", "dejavu/DejaVuSerif-Bold", 90, "ms", (120, 40, 35))
    half.write((500, 250), "Saturday, 8 November, 19:30", "dejavu/DejaVuSerif", 42, "ms")
    half.write((500, 330), "Party of Dr Sunniva Hale", "dejavu/DejaVuSerif", 42, "ms")
    half.write((500, 460), "The Copper Kettle, Market Street 5", "dejavu/DejaVuSans", 32, "ms")
    whole = Image.new("RGB", (1000, 1120))
    whole.paste(half.image.transpose(Image.Transpose.ROTATE_180), (0, 0))
    whole.paste(half.image, (0, 560))
    pixels = np.asarray(whole.filter(ImageFilter.GaussianBlur(0.6)), np.float32)
    pixels -= 30 * np.exp(-(((np.arange(1120) - 560) / 5) ** 2))[:, None, None].astype(np.float32)
    pixels += noise(pixels.shape, 2, 1.0, rng) + noise(pixels.shape, 3, 50, rng)
    return as_image(pixels), half.lines[::-1] + half.lines


# ---- a street, photographed ----


def street(rng: np.random.Generator) -> tuple[Image.Image, Lines]:
    scene = bricks((900, 1200), rng)
    lines: Lines = []
    shop = Sheet((1100, 190), (28, 68, 62))
    shop.draw.rectangle((8, 8, 1092, 182), outline=(214, 178, 96), width=4)
    shop.write((550, 125), "HARBOUR BAKERY", "liberation/LiberationSerif-Bold", 96, "ms", (236, 206, 132))
    shop.write((550, 166), "BREAD & CAKES SINCE 1926", "liberation/LiberationSans-Bold", 28, "ms", (236, 206, 132))
    paste(scene, shop, [[90, 96], [1130, 160], [1130, 322], [90, 286]], lines)
    window = Sheet((600, 420), (52, 60, 66))
    window.draw.polygon([(0, 0), (260, 0), (60, 420), (0, 420)], (86, 98, 106))
    window.write((300, 150), "Fresh Coffee", "liberation/LiberationSerif-BoldItalic", 84, "ms", (240, 238, 230))
    window.write((300, 240), "to take away", "liberation/LiberationSerif-BoldItalic", 60, "ms", (240, 238, 230))
    paste(scene, window, [[130, 330], [640, 360], [640, 740], [130, 740]], lines)
    hours = Sheet((300, 360), (238, 234, 222))
    for i, text in enumerate(["OPEN", "Mon - Fri 7 - 18", "Saturday 7 - 14", "Sunday closed"]):
        size, font = (62, "liberation/LiberationSans-Bold") if i == 0 else (32, "liberation/LiberationSans-Regular")
        hours.write((150, 90 + 72 * i), text, font, size, "ms")
    paste(scene, hours, [[740, 400], [980, 410], [980, 700], [740, 700]], lines)
    x, y = np.meshgrid(np.linspace(-1, 1, 1200), np.linspace(-1, 1, 900))
    vignette = (1.04 - 0.22 * (x**2 + y**2) + 0.1 * x)[..., None].astype(np.float32)
    soft = cv2.GaussianBlur(scene, (0, 0), 0.9)
    return as_image(soft * vignette + noise(scene.shape, 4.5, 0.6, rng)), lines


def bricks(size: tuple[int, int], rng: np.random.Generator) -> Pixels:
    height, width = size
    wall = np.full((height, width, 3), (150, 140, 128), np.float32)
    for row, top in enumerate(range(0, height, 30)):
        for left in range(-40 * (row % 2), width, 80):
            color = np.float32([142, 74, 58]) * rng.uniform(0.8, 1.12)
            wall[top : top + 26, max(left, 0) : left + 76] = color
    wall[760:] = np.float32([92, 92, 96]) + noise((height - 760, width), 8, 1.5, rng)
    return wall + noise(wall.shape, 7, 1.2, rng)


def paste(scene: Pixels, sheet: Sheet, corners: Sequence[Sequence[int]], lines: Lines) -> None:
    """Puts a sign into the scene, its corners clockwise from the top left, and its lines into the list."""
    width, height = sheet.image.size
    source = np.float32([[0, 0], [width, 0], [width, height], [0, height]])
    matrix = cv2.getPerspectiveTransform(source, np.float32(corners))
    size = (scene.shape[1], scene.shape[0])
    mask = cv2.warpPerspective(np.ones((height, width), np.float32), matrix, size)[..., None]
    shadow = cv2.GaussianBlur(np.roll(mask[..., 0], (10, 6), (0, 1)), (0, 0), 7)[..., None]
    sign = cv2.warpPerspective(np.asarray(sheet.image, np.float32), matrix, size, flags=cv2.INTER_AREA)
    scene *= 1 - 0.45 * shadow * (1 - mask)
    scene *= 1 - mask
    scene += sign * mask
    lines += sheet.lines


# ---- a fax of three pages ----

FAX = [
    ["FAX", "To: Ridgeway Nursery, Order Desk", "From: Elm Park Gardens", "Pages: 3", "Please deliver the plants on the next pages by 10 April."],
    ["Page 2", "24 x Lavender, 2 litre pot", "12 x Hydrangea, white", "6 x Quince, bare root", "40 x Boxwood, 30 cm"],
    ["Page 3", "Delivery to the north gate, Elm Park Road 77.", "Please call 0555 018 3360 one hour before.", "Kind regards, P. Nakamura"],
]  # fmt: skip


def fax(rng: np.random.Generator) -> tuple[list[Image.Image], list[Lines]]:
    sheets = []
    for page, texts in enumerate(FAX):
        sheet = Sheet((1240, 900))
        sheet.write((60, 40), f"10-MAR-2025 09:14  ELM PARK GARDENS  P.{page + 1}/3", "dejavu/DejaVuSansMono", 24)
        for i, text in enumerate(texts):
            sheet.write((110, 180 + 110 * i), text, "liberation/LiberationSans-Regular", 60 if i == 0 else 44)
        sheets.append(sheet)
    pages = []
    for sheet in sheets:
        pixels = np.asarray(sheet.image.convert("L"), np.float32)
        grain = noise(pixels.shape, 34, 0.8, rng)[..., 0]
        pages.append(Image.fromarray((pixels + grain > 128).astype(np.uint8) * 255).convert("1"))
    return pages, [sheet.lines for sheet in sheets]


# ---- an invoice as PDF, its text drawn with the standard fonts ----

INVOICE = [
    [
        (72, 770, 22, "Larkspur Instruments Ltd"), (400, 770, 16, "Invoice 2025-0388"),
        (72, 748, 11, "Unit 6, Foundry Close, Ostwick"), (400, 748, 11, "Date: 30 June 2025"),
        (72, 690, 12, "Bill to: Aldous Weather Station, Ridge Road 1, Kestrel Hill"),
        (72, 640, 12, "Quantity"), (150, 640, 12, "Description"), (460, 640, 12, "Amount"),
        (72, 612, 12, "2"), (150, 612, 12, "Barometer, calibrated"), (460, 612, 12, "318.00"),
        (72, 590, 12, "1"), (150, 590, 12, "Rain gauge, heated"), (460, 590, 12, "142.50"),
        (72, 568, 12, "5"), (150, 568, 12, "Sensor cable, 10 m"), (460, 568, 12, "96.25"),
        (150, 530, 14, "Total"), (460, 530, 14, "556.75"),
    ],
    [
        (72, 770, 16, "Terms of payment"), (72, 730, 12, "Payable within 30 days to the account named in our offer."),
        (72, 708, 12, "Goods remain our property until they are paid in full."),
        (72, 686, 12, "Questions? Write to accounts@larkspur.example."),
    ],
]  # fmt: skip


def invoice() -> tuple[bytes, list[Lines]]:
    """Writes the PDF by hand: pages, one font, a content stream each."""
    count = len(INVOICE)
    kids = " ".join(f"{4 + 2 * i} 0 R" for i in range(count))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {count} >>".encode(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
    ]
    for i, texts in enumerate(INVOICE):
        drawn = "\n".join(f"BT /F1 {size} Tf {x} {y} Td ({text}) Tj ET" for x, y, size, text in texts)
        stream = zlib.compress(f"{drawn}\n0.8 w 72 632 m 520 632 l S\n".encode("cp1252"))
        page = f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources << /Font << /F1 3 0 R >> >> /Contents {5 + 2 * i} 0 R >>"
        objects += [
            page.encode(),
            f"<< /Length {len(stream)} /Filter /FlateDecode >>\nstream\n".encode() + stream + b"\nendstream",
        ]
    out, offsets = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += f"{number} 0 obj\n".encode() + body + b"\nendobj\n"
    table_at = len(out)
    rows = "".join(f"{offset:010d} 00000 n \n" for offset in offsets)
    out += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{rows}".encode()
    out += f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{table_at}\n%%EOF\n".encode()
    return out, [[text for *_, text in texts] for texts in INVOICE]


def main() -> None:
    expected: dict[str, list[Lines]] = {}
    pictures: dict[str, Callable[[np.random.Generator], tuple[Image.Image, Lines]]] = {
        "receipt.jpg": receipt, "form.png": form, "article.jpg": article, "turned.jpg": turned, "card.jpg": card,
        "street.jpg": street,
    }  # fmt: skip
    for seed, (name, make) in enumerate(pictures.items()):
        image, lines = make(np.random.default_rng(seed))
        options = {"optimize": True} if name.endswith("png") else {"quality": 70, "optimize": True}
        image.save(HERE / name, **options)
        expected[name] = [lines]
    pages, expected["fax.tif"] = fax(np.random.default_rng(99))
    pages[0].save(HERE / "fax.tif", save_all=True, append_images=pages[1:], compression="group4", dpi=(150, 150))
    data, expected["invoice.pdf"] = invoice()
    (HERE / "invoice.pdf").write_bytes(data)
    whole = (HERE / "receipt.jpg").read_bytes()
    (HERE / "broken.jpg").write_bytes(whole[: len(whole) // 40])
    text = json.dumps(expected, indent=1, ensure_ascii=False)
    (HERE / "expected.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
