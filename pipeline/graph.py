"""The graph of one wave: from the manifest's lines to Parquet."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field

import apache_beam as beam

from models.reader import detector, direction_classifier, recognizer
from pipeline import progress
from pipeline.manifest import read_groups
from pipeline.options import JobOptions
from transforms import ClassifyDirection, Detect, ReadPages, Recognize, Rectify, ToRows, WriteRows
from transforms.elements import Element, PageOrFailure
from transforms.handler import PageModelHandler
from transforms.storage import Source

NEIGHBOURS = 240
"""Files of similar size that are dealt out together: a multiple of most numbers of workers."""


@dataclass(frozen=True, slots=True)
class WaveJob:
    """What a wave's graph has to know.

    Attributes:
        manifest: URI of the Parquet file that lists the wave's files.
        name: what the names of its data files begin with.
        options: the job's.
        bundle_id: for the rows.
        run_id: likewise.
        one_channel: whether the bundle's models all take grey pages.
        facts: for the data files' metadata.
    """

    manifest: str
    name: str
    options: JobOptions
    bundle_id: str
    run_id: str
    one_channel: bool = False
    facts: dict[str, str] = field(default_factory=dict)


def build(pipeline: beam.Pipeline, job: WaveJob) -> None:
    """Puts a wave's transforms into a pipeline.

    The one Reshuffle deals out files' names. All after it, up to the sinks, is one fused stage: a page's
    pixels stay in the process that read them.
    """
    options, read = job.options, job.options.read
    bundle, private = options.bundle, options.allow_private_hosts
    rows = (
        pipeline
        | "Wave" >> beam.Create([job.manifest], reshuffle=False)
        | "ReadManifest" >> beam.FlatMap(dealt).with_output_types(Source)
        | "Deal" >> beam.Reshuffle()
        | "ReadPages" >> ReadPages(read.limits, job.one_channel, private_hosts=private)
        | "Detect" >> Detect(bundle, read, options.detection_batch, private)
        | "Rectify" >> Rectify(bundle, private)
        | "ClassifyDirection" >> ClassifyDirection(bundle, read, options.recognition_batch, private)
        | "Recognize" >> Recognize(bundle, read, options.recognition_batch, private)
        | "Count" >> beam.Map(_count).with_output_types(Element)
        | "ToRows" >> ToRows(job.bundle_id, job.run_id, read)
    )
    rows | "WriteRows" >> WriteRows(options.output, job.name, job.facts)


def load_models(options: JobOptions) -> None:
    """Loads what the stages will ask for into this process."""
    for load in (detector, direction_classifier, recognizer):
        PageModelHandler(
            "load", load, options.bundle, options.read, private_hosts=options.allow_private_hosts
        ).load_model()


def dealt(manifest: str) -> Iterator[Source]:
    """A wave's sources, in an order that gives workers who take turns the same amount of work.

    The local runner gives each worker every n-th element, once and for all. Sorted by size and cut into
    groups, each worker gets as many small files as large ones; the groups come in random order, so that the
    first ones are no measure of the others by their size, and the time left can be told from them.
    """
    chance = random.Random(manifest)
    for sources in read_groups(manifest):
        sources.sort(key=lambda source: source.byte_size or 0)
        groups = [sources[i : i + NEIGHBOURS] for i in range(0, len(sources), NEIGHBOURS)]
        chance.shuffle(groups)
        for group in groups:
            yield from group


def _count(element: PageOrFailure) -> PageOrFailure:
    progress.count(element)
    return element
