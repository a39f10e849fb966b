"""`archdsl.predict_stream`: run a network on any number of images, with bounded memory.

Inputs are listed, cut into chunks of a fixed size, and run batch by batch in worker threads, each of which decodes,
prepares and runs its batch with one shared session. Rows come in the order of the inputs. A shard is a part of the
chunks; an engine runs chunks elsewhere.
"""

from __future__ import annotations

import os
import threading
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from math import prod
from pathlib import Path
from typing import Protocol, Self, TypeVar

from archdsl.diagnostics import ArchError, Diagnostic, error
from archdsl.diagnostics.arguments import check_choice, conflict
from archdsl.prediction.inputs import Entry, Remote, Sample, find_samples, sample_name
from archdsl.prediction.opening import ModelSource
from archdsl.prediction.parts import ResultFolder, digest, model_digest, table_format, write_table
from archdsl.prediction.picture import PictureWriter
from archdsl.prediction.predictor import Predictor, Reading, open_predictor
from archdsl.prediction.result import Missed, ModelInfo, Row
from archdsl.prediction.tables import Columns, TableFormat
from archdsl.progress import Watch, watched
from archdsl.runtime.images import Source
from archdsl.runtime.session import Device, Tuning
from archdsl.version import __version__

FEW = 16
"""Up to so many entries run one by one, on all cores: a pipeline would gain nothing."""
BATCH = 8
CHUNK = 512
"""Samples per chunk: the unit that is finished, repeated or run elsewhere."""
MAX_WORKERS = 256
_DEFAULT_WORKERS = 16
_LARGE = 1 << 21
"""Values of an input from which runs take turns: each needs much memory, and uses all cores by itself."""

_TABLES = "leave out `output`; for tables of the rows set `format` to jsonl, csv or parquet"

T = TypeVar("T")
R = TypeVar("R")

Piece = tuple[int, list[Row]]
"""Consecutive rows of a chunk, and its number."""


def in_order(work: Callable[[T], R], tasks: Iterable[T], workers: int) -> Iterator[R]:
    """Yield the results of `work` in the order of the tasks, with at most twice as many under way as workers."""
    if workers == 1:
        yield from map(work, tasks)
        return
    pool = ThreadPoolExecutor(workers, "predict")
    waiting: deque[Future[R]] = deque()
    try:
        for task in tasks:
            waiting.append(pool.submit(work, task))
            if len(waiting) == 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


@dataclass(frozen=True, slots=True)
class Job:
    """How to run chunks: with the model file `model` on a device, as `reading` says, in `workers` threads.

    `threads` is the number of threads of one run on the CPU: 1 if the workers run at the same time, which wastes no
    time on waiting for each other; None for all cores.
    """

    model: Path
    device: Device
    reading: Reading
    workers: int
    threads: int | None

    def open(self) -> Predictor:
        """The model, ready for the threads of this process. Raises E0802 to E0806."""
        predictor = open_predictor(self.model, self.device, Tuning(self.threads))
        if self.workers == 1:
            return predictor
        on_gpu = predictor.model.session.on_gpu
        if not on_gpu and not _large(predictor):
            return predictor
        if not on_gpu:
            predictor = open_predictor(self.model, self.device)
        return replace(predictor, turn=threading.Lock())

    def run(self, predictor: Predictor, chunks: Iterable[tuple[int, Sequence[Sample]]]) -> Iterator[Piece]:
        """Yield the rows of the chunks, batch by batch and in order."""

        def batches() -> Iterator[tuple[int, Sequence[Sample]]]:
            for number, samples in chunks:
                for start in range(0, len(samples), self.reading.batch):
                    yield number, samples[start : start + self.reading.batch]

        def work(task: tuple[int, Sequence[Sample]]) -> Piece:
            return task[0], predictor.rows(task[1], self.reading)

        return in_order(work, batches(), self.workers)


class Engine(Protocol):
    """Runs chunks elsewhere; yields the rows of each, in the order of the chunks."""

    def run(self, job: Job, chunks: Iterable[tuple[int, Sequence[Sample]]]) -> Iterator[Piece]: ...


@dataclass(slots=True)
class PredictStream:
    """The rows of a run, computed as they are read: iterate over it once.

    `info` is what ran, `notes` those of the network, `total` the number of rows of this shard. `status` is the exit
    status for the rows so far, `counts` how many there are, failed and were skipped. `samples` are those of all shards,
    `chunks` the chunks of this one by number, each of at most `chunk` samples. Close it, or use it in a `with` block,
    if not all rows are read.
    """

    job: Job
    predictor: Predictor
    samples: Sequence[Sample]
    chunks: Mapping[int, range]
    chunk: int
    notes: tuple[Diagnostic, ...]
    inputs: tuple[str | Path, ...]
    engine: Engine | None
    pictures: tuple[PictureWriter, bool] | None
    files: ExitStack
    watch: Watch | None
    counts: Counter[str] = field(default_factory=Counter)
    status: int = 0
    shards: int = 1

    @property
    def total(self) -> int:
        return sum(map(len, self.chunks.values()))

    @property
    def images(self) -> Iterator[str]:
        """The names of all samples that the model runs on, also of those in other shards."""
        return (sample.name for sample in self.samples if isinstance(sample, (Source, Remote)))

    @property
    def columns(self) -> Columns:
        """The columns of a table of the rows."""
        found = self.predictor.model.session.inference.get_outputs()
        top = self.job.reading.top
        types, sizes = {value.name: value.type for value in found}, found[0].shape[1:]
        classes = prod(sizes) if all(isinstance(size, int) for size in sizes) else top
        return Columns(min(top, classes), {name: types[name] for name in self.job.reading.outputs})

    @property
    def info(self) -> ModelInfo:
        model, session = self.predictor, self.predictor.model.session
        return ModelInfo(model.name, model.precision, model.weights, session.provider, session.version)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove the model file if the stream compiled it."""
        self.files.close()

    def __iter__(self) -> Iterator[Row]:
        for _, row in self.numbered():
            yield row

    def numbered(self, finished: Collection[int] = ()) -> Iterator[tuple[int, Row]]:
        """Yield the rows with the number of their chunk, without the chunks that are finished."""
        tasks = {number: chunk for number, chunk in self.chunks.items() if number not in finished}
        done = self.total - sum(map(len, tasks.values()))
        self.counts.update({"images": 0, "failed": 0, "skipped": 0, "finished before": done})
        progress, total = watched(self.watch if self.total > 1 else None, "predicting"), self.total
        progress(done, total)
        chunks = ((number, self.samples[chunk.start : chunk.stop]) for number, chunk in tasks.items())
        pieces = self.job.run(self.predictor, chunks) if self.engine is None else self.engine.run(self.job, chunks)
        for number, rows in pieces:
            for row in map(self._written, rows):
                self._count(row)
                done += 1
                progress(done, total)
                yield number, row

    def write(
        self, output: str | Path, format: TableFormat | None = None, *, resume: bool = False, force: bool = False
    ) -> None:
        """Write the rows to a table, completely or not at all, or to a folder with one table per chunk.

        `output` is a file `.jsonl`, `.csv` or `.parquet`, or a folder, whose tables have the `format` (default:
        `jsonl`). A folder's `_manifest.json` has hashes of the model, the options and the list of samples. With
        `resume`, finished chunks of the folder are left as they are; `force` replaces a file. After a kill at any
        moment, a run with `resume` completes the folder, in which every image then is once.

        Raises E0001 for an unknown format, E0003 for a file of another format and for `resume` with a file, E0831 for a
        folder of another run, E0832 for finished chunks without `resume`, E0834 for outputs that do not fit an array,
        E07xx for a file that cannot be written.
        """
        path = Path(output)
        format, one = table_format(path, format)
        if not one:
            folder = ResultFolder(path, format, self.columns)
            finished = folder.begin(self._manifest(format), self.chunks, resume)
            folder.write(self.numbered(finished), self.chunks)
            return
        if resume:
            raise conflict(f"`resume` needs a folder, and `{path.name}` names a file", "name a folder")
        write_table(self, path, format, self.columns, self.total, force=force, inputs=self.inputs)

    @property
    def summary(self) -> str:
        """The rows so far in one line, and how to get a part for every shard if there are too few chunks."""
        counted = [(count, what) for what, count in self.counts.items() if count or what == "images"]
        counts = ", ".join(f"{n:,} {'image' if (n, what) == (1, 'images') else what}" for n, what in counted)
        number = -(-len(self.samples) // self.chunk)
        few = f"; {number} chunk{'s' if number != 1 else ''} of {self.chunk:,} images for {self.shards} shards: lower"
        return f"{counts}{few} --chunk" if number < self.shards else counts

    @property
    def placement(self) -> str:
        """How many nodes of the first run were on the GPU; empty before it, and on the CPU."""
        session = self.predictor.model.session
        return session.place if session.placement else ""

    @property
    def warnings(self) -> tuple[Diagnostic, ...]:
        """W0885 if nodes of the first run were not on the GPU."""
        return self.predictor.model.session.warnings

    def _count(self, row: Row) -> None:
        self.counts["images"] += 1
        if isinstance(row, Missed):
            self.counts["skipped" if row.skipped else "failed"] += 1
            self.status = max(self.status, row.status)

    def _manifest(self, format: TableFormat) -> dict[str, object]:
        """All that decides the rows, with hashes of the model and the list."""
        names = (sample_name(sample).encode("utf-8", "surrogatepass") for sample in self.samples)
        return {
            "archdsl": __version__,
            "onnxruntime": self.info.onnxruntime,
            "provider": self.info.provider,
            "model": model_digest(self.job.model),
            "format": format,
            "top": self.job.reading.top,
            "outputs": self.job.reading.outputs,
            "batch": self.job.reading.batch,
            "chunk": self.chunk,
            "list": digest(names),
            "samples": len(self.samples),
        }

    def _written(self, row: Row) -> Row:
        """The row with the file of its picture; an error of the file's name is one of the row."""
        if isinstance(row, Missed) or self.pictures is None:
            return row
        writer, must_write = self.pictures
        if row.picture is None:
            if must_write:
                message = f"`output` is for images, and `{self.info.model}` outputs none"
                raise error("E0806", message, status=2, help=_TABLES)
            return row
        if not writer.names:
            writer.reserve(self.images)
        try:
            file = writer.write(row.picture, row.image, self.info.model, self.predictor.model.recipe.scale)
        except ArchError as problem:
            if {d.code for d in problem.diagnostics} != {"E0003"}:
                raise
            return Missed(row.image, problem.diagnostics, status=problem.status, frame=row.frame)
        return replace(row, file=file)


def open_stream(
    source: ModelSource,
    entries: Sequence[Entry],
    reading: Reading,
    *,
    batch: int | None = None,
    workers: int | None = None,
    shard: tuple[int, int] = (1, 1),
    chunk: int = CHUNK,
    device: Device = "auto",
    engine: Engine | None = None,
    pictures: tuple[PictureWriter, bool] | None = None,
    watch: Watch | None = None,
) -> PredictStream:
    """Open the model, and find the samples. Raises as `predict_stream` does."""
    few = len(entries) <= FEW and batch is None
    workers = workers or (1 if few else min(_cores(), _DEFAULT_WORKERS))
    with ExitStack() as files:
        model, notes = files.enter_context(source.opened(watch))
        job = Job(model, device, reading, workers, None if workers == 1 else 1)
        predictor = job.open()
        known = predictor.model.session.outputs
        names = known if reading.outputs == ("all",) else reading.outputs
        for name in names:
            check_choice("outputs", name, known)
        size = 1 if few and batch is None else _batch(predictor, batch)
        job = replace(job, reading=replace(reading, outputs=names, batch=size))
        samples = [*find_samples(entries, predictor.model.axes)]
        count = len(samples)
        chunks = dict(enumerate(range(start, min(start + chunk, count)) for start in range(0, count, chunk)))
        mine = {number: span for number, span in chunks.items() if number % shard[1] == shard[0] - 1}
        inputs = (*source.files, *(entry for entry in entries if isinstance(entry, Path)))
        notes = (*notes, *predictor.notes)
        kept = files.pop_all()
    return PredictStream(
        job, predictor, samples, mine, chunk, notes, inputs, engine, pictures, kept, watch, shards=shard[1]
    )


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _large(predictor: Predictor) -> bool:
    """Whether an input may need much memory: it has many values, or free sizes."""
    _, *sizes = next(iter(predictor.model.session.inputs.values()))
    known = [size for size in sizes if isinstance(size, int)]
    return len(known) < len(sizes) or prod(known) > _LARGE


def _batch(predictor: Predictor, wanted: int | None) -> int:
    """The size of a batch. By default 1 for large inputs, and for a file of another tool: only of its own archdsl knows
    that samples of a batch do not affect each other."""
    free = not isinstance(next(iter(predictor.model.session.inputs.values()))[0], int)
    if wanted is None:
        return BATCH if free and predictor.model.facts.producer == "archdsl" and not _large(predictor) else 1
    if wanted > 1 and not free:
        raise conflict(f"`batch` cannot be {wanted}: the batch of `{predictor.name}` has a fixed size", "leave it out")
    return wanted
