"""The base of the three model stages: pages through RunInference, each error kept with its page."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar

import apache_beam as beam
import cv2
from apache_beam.ml.inference.base import ModelHandler, RunInference

from models.bundle import Bundle
from models.options import DEFAULTS
from models.reader import PageStage, ReadOptions
from models.records import Failure, InputError, Page
from transforms import metrics
from transforms.bundles import open_bundle
from transforms.elements import Element, PageOrFailure, byte_size, text_length

Load = Callable[[Bundle, ReadOptions], PageStage]
"""Makes a stage of models/ ready to run; a module's function, so that it pickles as its name."""

FULL = 1 << 20
"""Parts that a batch has."""
PARTS_A_HEIGHT = 1 << 10
"""A line takes so many for each of its heights that it is long, and a batch has 1,024 heights: after a dozen
of a recogniser's calls there is nothing to gain by waiting for more."""
BYTES_A_PART = 16
"""Of pixels: a batch has at most 16 MiB."""

_log = logging.getLogger(__name__)


class PageModelHandler(ModelHandler[PageOrFailure, PageOrFailure, PageStage]):
    """Runs one of the stages that have a model.

    RunInference never sees an exception: a batch that fails is run again page by page, and a page that fails
    alone becomes a `Failure`. Failures of earlier stages pass by.

    Args:
        stage: the stage's name in metrics and failures.
        load: makes the stage.
        bundle: whose model it is: name, folder or URI, opened where the work is done.
        options: what to read and how.
        batch_size: most pages in a batch, which `FULL` bounds too. Beam's adaptive sizing would time
            everything fused below along with the model.
        private_hosts: see `open_bundle`.
    """

    def __init__(
        self,
        stage: str,
        load: Load,
        bundle: str,
        options: ReadOptions,
        batch_size: int = 1,
        private_hosts: bool = False,
    ) -> None:
        super().__init__(
            min_batch_size=FULL, max_batch_size=FULL, element_size_fn=functools.partial(parts, batch_size)
        )
        self.stage = stage
        self._load = load
        self._bundle = bundle
        self._options = options
        self._private_hosts = private_hosts

    def load_model(self) -> PageStage:
        """The stage, loaded once a process."""
        return _loaded(self._load, self._bundle, self._options, self._private_hosts)

    def run_inference(
        self, batch: Sequence[PageOrFailure], model: PageStage, inference_args: dict[str, Any] | None = None
    ) -> list[PageOrFailure]:
        """Runs the stage on a batch's pages; see `run_isolated`."""
        with metrics.timed(self.stage):
            return run_isolated(self.stage, model, batch)

    def get_num_bytes(self, batch: Sequence[PageOrFailure]) -> int:
        """Bytes of a batch, by arithmetic (the default pickles it)."""
        return sum(map(byte_size, batch))

    def get_metrics_namespace(self) -> str:
        """Where RunInference's own metrics go."""
        return f"{metrics.NAMESPACE}/{self.stage}"

    def infer(self) -> beam.PTransform:
        """RunInference with this handler."""
        inference: beam.PTransform = RunInference(self).with_output_types(Element)
        return inference


class ModelStage(beam.PTransform):
    """One of the stages that have a model, on pages and failures.

    Args:
        bundle: a built-in bundle's name, or the path or URI of a folder.
        options: what to read and how.
        batch_size: pages in a batch.
        private_hosts: whether a bundle on https:// may lie on a host that is not public.
    """

    made_by: ClassVar[tuple[str, Load]]
    """The stage's name in metrics and failures, and what makes it."""

    def __init__(
        self,
        bundle: str,
        options: ReadOptions = DEFAULTS,
        batch_size: int = 1,
        private_hosts: bool = False,
    ) -> None:
        super().__init__()
        self._handler = PageModelHandler(*self.made_by, bundle, options, batch_size, private_hosts)

    def expand(self, pages: beam.pvalue.PCollection) -> beam.pvalue.PCollection:
        """Applies the stage to pages and failures."""
        return pages | self._handler.infer()


def parts(batch_size: int, element: PageOrFailure) -> int:
    """How much of a batch an element takes: 1 to `FULL`, so that a page larger than a batch is one alone."""
    length, size = text_length(element) * PARTS_A_HEIGHT, byte_size(element) / BYTES_A_PART
    needs = max(FULL // batch_size, length, size)
    return min(FULL, max(1, round(needs)))


# A process keeps its models from wave to wave; Beam's own sharing holds them by weak references only.
@functools.lru_cache(maxsize=8)
def _loaded(load: Load, bundle: str, options: ReadOptions, private_hosts: bool) -> PageStage:
    cv2.setNumThreads(1)  # there are as many worker processes as cores
    return load(open_bundle(bundle, private_hosts=private_hosts, second=options.second), options)


def run_isolated(stage: str, work: PageStage, batch: Sequence[PageOrFailure]) -> list[PageOrFailure]:
    """Runs a stage on the pages of a batch so that an error fails no other page than its own.

    Args:
        stage: the stage's name, for failures.
        work: the stage.
        batch: pages and failures of earlier stages.

    Returns:
        As many elements in the same order: pages that went through, failures for those that did not, and the
        failures that came in.
    """
    pages = [element for element in batch if isinstance(element, Page)]
    done = _run(stage, work, pages)
    return [next(done) if isinstance(element, Page) else element for element in batch]


def _run(stage: str, work: PageStage, pages: Sequence[Page]) -> Iterator[PageOrFailure]:
    """Runs a stage on pages; where that raises, on each page alone."""
    if not pages:
        return
    try:
        results = work(pages)
        if len(results) != len(pages):
            raise RuntimeError(f"{stage} was given {len(pages)} pages and gave back {len(results)}")
    except Exception as error:  # whatever a page does to a stage, its neighbours shall not notice
        if len(pages) == 1:
            yield failed(stage, pages[0], error)
        else:
            for page in pages:
                yield from _run(stage, work, [page])
    else:
        yield from results


def failed(stage: str, page: Page, error: Exception) -> Failure:
    """The failure of a page; its traceback, for developers, goes to the log."""
    if isinstance(error, InputError):
        return Failure(page.uri, page.index, stage, error.kind, error.message)
    _log.info("%s failed on page %d of %s", stage, page.index, page.uri, exc_info=error)
    reason = str(error).partition("\n")[0] or "no message"
    message = f"{stage} failed on this page: {type(error).__name__}: {reason}"
    return Failure(page.uri, page.index, stage, "model_failure", message)
