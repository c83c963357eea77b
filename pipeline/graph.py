"""The graph of one wave: from the manifest's lines to Parquet."""

from __future__ import annotations

from dataclasses import dataclass, field

import apache_beam as beam

from models.reader import detector, direction_classifier, recognizer, rereader
from pipeline import dealing, progress
from pipeline.manifest import read_sources
from pipeline.options import JobOptions
from transforms import (
    ClassifyDirection,
    Detect,
    Finish,
    ReadPages,
    Recognize,
    Rectify,
    Reread,
    ToRows,
    WriteRows,
)
from transforms.elements import Element, PageOrFailure
from transforms.handler import PageModelHandler
from transforms.storage import Source


@dataclass(frozen=True, slots=True)
class WaveJob:
    """What a wave's graph has to know.

    Attributes:
        manifest: URI of the Parquet file that lists the wave's files.
        name: what the names of its data files begin with.
        options: the job's.
        output: where the data files go.
        bundle_id: for the rows.
        run_id: likewise.
        one_channel: whether the bundle's models all take grey pages.
        second: whether there is a second recogniser.
        facts: for the data files' metadata.
        takers: worker processes on this machine that take the files by turns; 0: Beam deals them out.
        alone: whether each of them is to have but one file at hand.
    """

    manifest: str
    name: str
    options: JobOptions
    output: str
    bundle_id: str
    run_id: str
    one_channel: bool = False
    second: bool = False
    facts: dict[str, str] = field(default_factory=dict)
    takers: int = 0
    alone: bool = False


def build(pipeline: beam.Pipeline, job: WaveJob) -> None:
    """Puts a wave's transforms into a pipeline.

    The one Reshuffle deals out files' names, or wakes all workers, who take them by turns. All after it, up
    to the sinks, is one fused stage: a page's pixels stay in the process that read them.
    """
    options, read = job.options, job.options.read
    bundle, private = options.bundle, options.allow_private_hosts
    ahead = (dealing.alone if job.alone else dealing.ahead) if job.takers else None
    wave = pipeline | "Wave" >> beam.Create([job.manifest] * max(1, job.takers), reshuffle=False)
    if job.takers:
        sources = (
            wave
            | "Deal" >> beam.Reshuffle()
            | "TakeFiles" >> beam.FlatMap(dealing.taken, job.takers).with_output_types(Source)
        )
    else:
        listed = wave | "ReadManifest" >> beam.FlatMap(read_sources).with_output_types(Source)
        sources = listed | "Deal" >> beam.Reshuffle()
    read_pages = (
        sources
        | "ReadPages"
        >> ReadPages(
            read.limits,
            job.one_channel,
            private_hosts=private,
            ahead=ahead,
            advance=progress.advance,
            carry=options.carry,
        )
        | "Detect" >> Detect(bundle, read, options.detection_batch, private)
        | "Rectify" >> Rectify(bundle, private, read.second)
        | "ClassifyDirection" >> ClassifyDirection(bundle, read, options.recognition_batch, private)
        | "Recognize" >> Recognize(bundle, read, options.recognition_batch, private)
    )
    if job.second:
        read_pages |= "Reread" >> Reread(bundle, read, options.recognition_batch, private)
    rows = (
        read_pages
        | "Finish" >> Finish()
        | "Count" >> beam.Map(_count).with_output_types(Element)
        | "ToRows" >> ToRows(job.bundle_id, job.run_id)
    )
    rows | "WriteRows" >> WriteRows(job.output, job.name, job.facts)


def load_models(options: JobOptions) -> None:
    """Loads what the stages will ask for into this process."""
    for load in (detector, direction_classifier, recognizer, rereader):
        PageModelHandler(
            "load", load, options.bundle, options.read, private_hosts=options.allow_private_hosts
        ).load_model()


def _count(element: PageOrFailure) -> PageOrFailure:
    progress.count(element)
    return element
