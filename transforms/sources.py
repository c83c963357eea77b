"""What a user names as input, expanded to the files to read.

An input is one of:

    a file        taken as it is, whatever its suffix: the decoder looks at the bytes
    a folder      all images, PDFs, tar and zip archives and Parquet files below it; hidden files and the
                  folders of earlier outputs are left out, files of other kinds are counted
    a glob        `*`, `?`, `[...]`, `**`: the files that it matches, whatever their suffixes, but no lists
    a list        of files that is named itself, see `transforms.lists`

on any storage of `transforms.storage`. Archives and Parquet files with image bytes stay one source here; the
reader expands them. Local names are kept as they were given, normalised (`./a//b` becomes `a/b`), never
URL-decoded.
"""

from __future__ import annotations

import glob
import itertools
import os
import posixpath
import re
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from models.records import InputError, UsageError
from transforms import lists, storage
from transforms.seen import Seen, keys_of
from transforms.storage import Source, local

__all__ = ["Source", "list_sources"]

_counting = threading.Lock()

_IMAGE = re.compile(
    r".*\.(avifs?|bmp|dib|gif|hei[cf]|hif|ico|j2[ck]|jfif|jp2|jpe|jpe?g|jp[cfx]|mpo|p[bgnp]m|pcx|pdf|png|psd|qoi|tga|tiff?|webp)",
    re.DOTALL,
)
_SHARD = re.compile(r".*\.(tar|tar\.gz|tgz|zip|parquet)", re.DOTALL)
_GLOB = re.compile(r"[*?\[]")
_OUTPUT = re.compile(r"(?:(.*)/)?(?:_manifest/\d+\.parquet|_waves/(?:\d+|lock[-\w]*)\.json)", re.DOTALL)
_LISTINGS = 16
"""Inputs that are listed at the same time."""
_TURN = 1000
"""Files of one input before it is the next one's turn."""
_GROUP = 10_000
"""Files that are looked up at a time."""
_WRITTEN = ("_manifest", "_runs", "_staged", "_waves", "errors", "pages")
"""Where the input is itself the output of earlier runs, only these folders in it are left out."""
IN_OUTPUTS = "in outputs"
"""What images are counted under, in the place of a suffix, that lie where earlier runs wrote."""
_DRAWN = "overlay.png"
"""The one picture that the project itself puts there: `ppocr-beam show`'s."""


def list_sources(inputs: Sequence[str], left_out: Counter[str] | None = None) -> Iterator[Source]:
    """Expands inputs to sources, as a stream, each file once; several inputs are listed at the same time.

    A file that several inputs name in different ways goes by the name that comes first.

    Args:
        inputs: see above.
        left_out: counts, by suffix, the files of other kinds that folders hold; and `IN_OUTPUTS`.

    Raises:
        UsageError: at once, when an input does not exist or holds nothing to read; while streaming, when a
            row of a list cannot be understood.
    """
    if not inputs:
        raise UsageError("No input given: name files, folders, globs or lists of files with --input.")
    left_out = Counter() if left_out is None else left_out
    return _once(_together([_checked(name, left_out) for name in inputs]))


def _checked(name: str, left_out: Counter[str]) -> Iterator[Source]:
    """Expands one input and makes sure, before anything runs, that there is something in it."""
    shown = storage.redacted(name)
    try:
        sources = _expand(name, left_out)
        first = next(sources, None)
    except InputError as error:
        raise UsageError(f"Cannot read the input: {error.message}") from error
    if first is None:
        lists_too = " Lists of files are to be named one by one." if _GLOB.search(name) else ""
        raise UsageError(
            f"The input {shown} holds no images, PDFs, tar or zip archives or Parquet files.{lists_too}"
        )
    return itertools.chain([first], sources)


def _together(listings: list[Iterator[Source]]) -> Iterator[Source]:
    """Lists up to so many inputs at the same time, and takes from each in turn: always in the same order.

    An object store tells a thousand names an answer, and a listing's next question needs its last answer.
    """
    if len(listings) == 1:
        yield from listings[0]
        return
    waiting = deque(listings)
    pool = ThreadPoolExecutor(_LISTINGS, thread_name_prefix="list")
    asked: deque[tuple[Iterator[Source], Future[list[Source]]]] = deque()
    try:
        while waiting or asked:
            while waiting and len(asked) < _LISTINGS:
                asked.append((waiting[0], pool.submit(_some, waiting.popleft())))
            listing, answer = asked.popleft()
            if found := answer.result():
                asked.append((listing, pool.submit(_some, listing)))
                yield from found
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _some(sources: Iterator[Source]) -> list[Source]:
    return list(itertools.islice(sources, _TURN))


def _once(sources: Iterator[Source]) -> Iterator[Source]:
    seen, here = Seen(), os.getcwd()
    while group := list(itertools.islice(sources, _GROUP)):
        new = seen.add(keys_of(storage.redacted(storage.place(source.uri, here)) for source in group))
        yield from itertools.compress(group, new.tolist())


def _expand(name: str, left_out: Counter[str]) -> Iterator[Source]:
    if storage.is_local(name):
        return _expand_local(name, left_out)
    return _expand_remote(name, left_out)


def _expand_local(name: str, left_out: Counter[str]) -> Iterator[Source]:
    path = os.path.normpath(local.path_of(name))
    if os.path.isdir(path):
        return _folder(path, left_out)
    if os.path.lexists(path) or not _GLOB.search(path):  # A file may be called `[1].jpg`.
        return _file(local.uri_of(path))
    return _glob(path, left_out)


def _glob(pattern: str, left_out: Counter[str]) -> Iterator[Source]:
    if "**" in pattern:  # Python's own calls itself for each folder, and goes round with links
        return _unless_lists(_walked(pattern), left_out)
    names = sorted(glob.glob(pattern))
    if not names:
        raise UsageError(f"No file matches the input {pattern}.")
    files = [name for name in names if not os.path.isdir(name)]
    if not files:
        return itertools.chain.from_iterable(_expand_local(name, left_out) for name in names)
    return _unless_lists(map(_matched, files), left_out)


def _matched(path: str) -> Source:
    """What a glob found: a link to nothing, or what is gone by now, becomes an error where it is read."""
    uri = local.uri_of(path)
    try:
        return storage.stat(uri)
    except InputError:
        return Source(uri)


def _unless_lists(sources: Iterator[Source], left_out: Counter[str]) -> Iterator[Source]:
    """Leaves out what may be a list: whoever can put one where a glob looks must not say what is read."""
    for source in sources:
        if lists.may_be_list(source.uri):
            _leave_out(source, left_out)
        else:
            yield source


def _expand_remote(name: str, left_out: Counter[str]) -> Iterator[Source]:
    if storage.scheme(name) in ("http", "https"):
        return _file(name)
    if _GLOB.search(name):
        return _unless_lists(_walked(name), left_out)
    if not name.endswith("/") and storage.exists(name):
        return _file(name)
    return _folder(name.rstrip("/") + "/", left_out)


def _walked(pattern: str) -> Iterator[Source]:
    """The files that match a glob, among all below the folder before its first wildcard."""
    fixed = re.split(_GLOB, pattern, maxsplit=1)[0]
    folder = fixed[: fixed.rfind("/") + 1]
    try:
        matches = re.compile(_glob_regex(pattern), re.DOTALL).fullmatch
    except re.error as error:
        raise UsageError(
            f"The input {storage.redacted(pattern)} is no glob ({error.msg}): correct what is in brackets; "
            "files that are called so can be named in a list of files."
        ) from error
    for source in storage.list_files(folder or "."):
        below = storage.below(folder or ".", source.uri)
        if matches(folder + below) and not (storage.is_local(pattern) and _is_hidden(below)):
            yield source


def _glob_regex(pattern: str) -> str:
    """Translates a glob in which `*` and `?` stay within a folder and `**/` crosses any number of them."""
    wildcards = {"**/": "(?:[^/]*/)*", "**": ".*", "*": "[^/]*", "?": "[^/]"}

    def translate(match: re.Match[str]) -> str:
        token = match[0]
        if token.startswith("[") and len(token) > 1:
            return token.replace("\\", r"\\").replace("[!", "[^", 1)
        return wildcards.get(token) or re.escape(token)

    return re.sub(r"\*\*/|\*\*|\[!?\]?[^\]]*\]|.", translate, pattern, flags=re.DOTALL)


def _folder(folder: str, left_out: Counter[str]) -> Iterator[Source]:
    is_output = _output_check()
    for source in storage.list_files(folder):
        below = storage.below(folder, source.uri)
        if _is_hidden(below):
            continue
        if is_output(below):
            if is_image_name(below) and posixpath.basename(below) != _DRAWN:
                _count(IN_OUTPUTS, left_out)
        elif _is_wanted(source):
            yield source
        else:
            _leave_out(source, left_out)


def _is_hidden(below: str) -> bool:
    return below.startswith(".") or "/." in below


def _leave_out(source: Source, left_out: Counter[str]) -> None:
    # Anybody may have named a file, and the suffix is printed at the user.
    suffix = os.path.splitext(source.uri)[1].lower() or "no suffix"
    _count(suffix if suffix.isprintable() else "odd suffix", left_out)


def _count(what: str, left_out: Counter[str]) -> None:
    with _counting:
        left_out[what] += 1


def _output_check() -> Callable[[str], bool]:
    """Returns a check whether a file lies in what earlier runs of this job wrote.

    It has to be asked about all files below a folder, in the order of their names: an output shows itself by
    the files in `_manifest/`, whose names come before all others that a run writes. Asking the storage about
    each folder would take hours where there are millions.
    """
    outputs: set[str] = set()

    def is_output(below: str) -> bool:
        if match := _OUTPUT.fullmatch(below):
            outputs.update([match[1]] if match[1] else _WRITTEN)
        return bool(outputs) and any(folder in outputs for folder in _parents(below))

    return is_output


def _parents(below: str) -> Iterator[str]:
    while below := posixpath.dirname(below):
        yield below


def _file(uri: str) -> Iterator[Source]:
    yield from _listed(storage.stat(uri))


def _listed(source: Source) -> Iterator[Source]:
    """Expands a list to its files; any other file is itself the source."""
    files = lists.read_list(source.uri)
    yield from [source] if files is None else files


def is_image_name(name: str) -> bool:
    """Whether a name's suffix is one of an image or a PDF."""
    return bool(_IMAGE.fullmatch(posixpath.basename(name).lower()))


def _is_wanted(source: Source) -> bool:
    if source.etag is None and source.byte_size is None:  # A dangling link or a folder that cannot be listed.
        return True
    return is_image_name(source.uri) or bool(_SHARD.fullmatch(source.uri.lower()))
