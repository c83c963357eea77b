"""What made lines say in Chinese and Japanese, and which fonts of this machine draw that.

Words come from wordfreq's lists and are set one behind the other, as print has them, with punctuation of full
width, numbers, dates and Latin words between them. Characters that words seldom have are drawn evenly, so
that each has a floor.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from heapq import nlargest
from itertools import accumulate
from operator import itemgetter
from pathlib import Path
from random import Random

from fontTools.ttLib import TTFont

from models.records import UsageError
from training.synthesis.fonts import Face, can_draw, font_files, font_folders, load_font
from training.synthesis.text import TextSource, code, digits, number

FONT_PACKAGES = "fonts-noto-cjk fonts-wqy-zenhei fonts-lxgw-wenkai fonts-ipafont fonts-vlgothic fonts-mplus"
"""Debian packages named where no usable font is found; docs/training.md lists all that were used."""

FLATTENED = 0.7
"""Words are drawn by their frequency to this power: rare ones a little more often than they are written."""
WORDS = 60_000
"""The commonest words of a language that lines are made of."""
COMMON = 1_500
"""A face is used if it draws nine in ten of so many characters, a language's commonest."""
_SPECIMEN = 24  # pixels an em that glyphs are looked at with


@dataclass(frozen=True, slots=True)
class Language:
    """What lines of a language have beside its words.

    Attributes:
        stops: between words, behind them.
        pairs: around words.
        labels: of fields, and headings, a space between them.
        date: a template of `{y}`, `{m}` and `{d}`.
        units: behind amounts.
    """

    stops: str
    pairs: tuple[str, ...]
    labels: str
    date: str
    units: tuple[str, ...]


LANGUAGES = {
    "zh": Language(
        "，，，，。。。、、：；！？",
        ("（）", "《》", "“”", "【】", "()", "「」", "‘’", "〈〉", "［］"),
        "姓名 地址 电话 日期 编号 金额 合计 总计 备注 数量 单价 规格 型号 公司 部门 单位 发票 收款人 开户行 "
        "账号 第一章 目录 摘要 附件 签字 盖章 审核 联系人 传真 邮编 說明 總計 電話 地址 日期 金額",
        "{y}年{m}月{d}日",
        ("元", "万元", "亿元", "人", "个", "吨", "公里", "平方米", "%", "％", "℃", "次", "項"),
    ),
    "ja": Language(
        "、、、、。。。・：！？",
        ("「」", "（）", "『』", "【】", "()", "〈〉", "《》", "［］", "〔〕"),
        "氏名 住所 電話番号 日付 番号 金額 合計 小計 備考 数量 単価 税込 消費税 会社名 部署 領収書 請求書 "
        "担当者 お支払い お問い合わせ 目次 はじめに まとめ 第一章 株式会社 ページ サイズ メニュー キャンセル",
        "{y}年{m}月{d}日",
        ("円", "万円", "人", "個", "本", "トン", "キロ", "％", "%", "回", "点", "年度"),
    ),
}
"""The languages that lines can be made in, by wordfreq's names."""


def is_east_asian(char: str) -> bool:
    """Whether a character belongs to Chinese or Japanese writing: Han, kana, punctuation of full width."""
    return bool(re.match(r"[\u2e80-\u30ff\u3200-\u9fff\uff00-\uffef\U00020000-\U0003ffff]", char))


@lru_cache(maxsize=len(LANGUAGES))
def _frequencies(language: str) -> dict[str, float]:
    """A language's commonest words, the commonest first, and how often they are written."""
    from wordfreq import get_frequency_dict

    return dict(nlargest(WORDS, get_frequency_dict(language).items(), key=itemgetter(1)))


def common_characters(language: str) -> list[str]:
    """The characters of a language's words, the commonest first."""
    counts: Counter[str] = Counter()
    for word, frequency in _frequencies(language).items():
        for char in filter(is_east_asian, word):
            counts[char] += frequency  # type: ignore[assignment]  # a Counter adds floats as well
    return [char for char, _ in counts.most_common()]


class EastAsianText:
    """Makes texts of many kinds whose characters are all in `charset`.

    Args:
        charset: the characters allowed; a space is taken as allowed.
        language: a key of `LANGUAGES`.
    """

    def __init__(self, charset: Sequence[str], language: str) -> None:
        self._latin = TextSource(charset)
        self._own = LANGUAGES[language]
        self._labels = self._own.labels.split()
        allowed = self._latin.allowed
        spelled = {
            word: frequency
            for word, frequency in _frequencies(language).items()
            if allowed.issuperset(word) and any(map(is_east_asian, word))
        }
        self._words = list(spelled)
        self._chances = list(accumulate(frequency**FLATTENED for frequency in spelled.values()))
        self.characters = sorted(char for char in allowed if is_east_asian(char) and char.strip())
        if not self._words:
            raise UsageError(f"the charset cannot spell any word of the language {language!r}")
        self._kinds = {
            self.sentence: 40, self.words: 14, self.labelled: 9, self.date: 5, self.amount: 6,
            self.mixed: 9, self.rare: 16, self.single: 2, self._latin.line: 9,
        }  # fmt: skip

    def line(self, rng: Random) -> str:
        """One line of any kind, without spaces at its ends or twice in a row."""
        return self._latin.fit(rng.choices(list(self._kinds), list(self._kinds.values()))[0](rng), rng)

    def sign(self, rng: Random) -> str:
        """A few characters as signs and labels have them."""
        make = rng.choice((self.words, self.words, self.labelled, self.rare, self.amount, self._latin.sign))
        return self._latin.fit(make(rng)[:12], rng)

    def word(self, rng: Random) -> str:
        """A word of the language."""
        return rng.choices(self._words, cum_weights=self._chances)[0]

    def words(self, rng: Random) -> str:
        """A heading, a name, a cell of a table."""
        return "".join(self.word(rng) for _ in range(rng.randint(1, 4)))

    def sentence(self, rng: Random) -> str:
        """A line out of running text."""
        length, text = rng.choice((6, 10, 14, 18, 24, 30)), ""
        while len(text) < length:
            chance = rng.random()
            if chance < 0.74:
                text += self.word(rng)
            elif chance < 0.88:
                text += self.word(rng) + rng.choice(self._own.stops)
            elif chance < 0.94:
                text += self.word(rng).join(rng.choice(self._own.pairs))
            else:
                text += rng.choice((digits(rng, 1, 4), f"{rng.randint(1, 99)}{rng.choice(self._own.units)}"))
        return text

    def labelled(self, rng: Random) -> str:
        """A field and its value."""
        make = rng.choice((self.words, self.date, self.amount, code, number))
        return f"{rng.choice(self._labels)}{rng.choice(('：', ':', '： ', ': ', ' ', '　'))}{make(rng)}"

    def date(self, rng: Random) -> str:
        """A date, in digits of either width."""
        year, month, day = rng.randint(1950, 2030), rng.randint(1, 12), rng.randint(1, 31)
        text = self._own.date.format(y=year, m=month, d=day)
        return widened(text) if rng.random() < 0.15 else text

    def amount(self, rng: Random) -> str:
        """An amount with its unit, in digits of either width."""
        sign = rng.choice(("", "", "¥", "￥", "约", "計"))
        text = f"{sign}{number(rng)}{rng.choice((*self._own.units, ''))}"
        return widened(text) if rng.random() < 0.2 else text

    def mixed(self, rng: Random) -> str:
        """Words of the language and Latin ones, with or without a space between them."""
        space = rng.choice(("", "", " "))
        parts = [self.words(rng), self._latin.word(rng), self.words(rng), rng.choice((code, number))(rng)]
        return space.join(parts[: rng.randint(2, 4)])

    def rare(self, rng: Random) -> str:
        """Characters drawn evenly from the charset, alone or between words."""
        drawn = rng.choices(self.characters, k=rng.randint(2, 7))
        return "".join(char + (self.word(rng) if rng.random() < 0.4 else "") for char in drawn)

    def single(self, rng: Random) -> str:
        """One or two characters, as tables have them."""
        return "".join(rng.choice((self.word(rng), rng.choice(self.characters)))[:2])


def widened(text: str) -> str:
    """Digits, letters and signs of ASCII in full width."""
    return "".join(chr(ord(char) + 0xFEE0) if "!" <= char <= "~" else char for char in text)


def east_asian_faces(
    charset: Sequence[str], language: str, held_out: bool = False, folders: Sequence[Path] | None = None
) -> list[Face]:
    """The faces that draw a language's common characters, as far as the charset has them.

    Of a collection (`.ttc`) its first face is taken.

    Args:
        charset: the characters to be learnt.
        language: a key of `LANGUAGES`.
        held_out: the families kept from training, in place of the others.
        folders: where to look; the system's font folders by default.

    Raises:
        UsageError: where there is none.
    """
    known = frozenset(charset)
    wanted = tuple(char for char in common_characters(language) if char in known)[:COMMON]
    paths = sorted(font_files(font_folders() if folders is None else folders, (".ttf", ".otf", ".ttc")))
    faces = [face for path in paths if (face := _face(path, tuple(charset), wanted)) is not None]
    chosen = [face for face in faces if face.held_out == held_out]
    if not chosen:
        kept = " among the families held out for development sets" if held_out else ""
        raise UsageError(
            f"No usable font found{kept}. Install some, such as: apt-get install {FONT_PACKAGES}"
        )
    return chosen


@lru_cache(maxsize=1_000)  # looking at a font takes seconds, and a run asks twice
def _face(path: str, charset: tuple[str, ...], wanted: tuple[str, ...]) -> Face | None:
    try:
        with TTFont(path, lazy=True, fontNumber=0) as font:
            cmap, names = font.getBestCmap() or {}, font["name"]
            family = names.getDebugName(16) or names.getDebugName(1) or Path(path).stem
            style = names.getDebugName(17) or names.getDebugName(2) or ""
        if sum(ord(char) in cmap for char in wanted) < 0.9 * len(wanted):
            return None
        pen = load_font(path, _SPECIMEN, shaped=False)
        glyphs = "".join(char for char in charset if ord(char) in cmap and can_draw(pen, char))
    except Exception:  # as in `fonts.inspect`: a file that is refused is no font of ours
        return None
    return Face(path, family, style, glyphs, mono=False, cased=True, digest="")
