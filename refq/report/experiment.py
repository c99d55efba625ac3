"""An experiment: every plan on one model, then one folder of files, all of them or none.

Problem
-------
A run that fails in the middle must not leave a table of half the plans, or a table and other files
than those it is about.

Conventions
-----------
Nothing is written while plans are computed. `Outcome.write` writes everything into a hidden folder
inside the target, reads every ``.refq`` file back, and only then moves file after file into place.
"""

import os
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from ..core.errors import FormatError, RefqError
from ..encodings import Method
from ..nn.costs import total_macs
from ..nn.measures import accuracy
from ..nn.model import Model
from ..nn.model_file import load, to_bytes
from ..passes.compression import compress
from .accounts import Entry, ledger
from .figures import png
from .machine import one_blas_thread, versions
from .page import html_page
from .plots import RIVAL, layers, pareto
from .results import PlanResult, Report, measure

__all__ = ["MappingPlan", "Outcome", "PlanLike", "file_name", "prepare_folder", "run_plans"]


class PlanLike(Protocol):
    """What a plan is to an experiment: a name, a sentence and a pure function of the model."""

    @property
    def name(self) -> str:
        """What the table calls it."""

    @property
    def sentence(self) -> str:
        """What it does, in one line."""

    @property
    def build(self) -> Callable[[Model, Any, int], Model | tuple[Model, Model]]:
        """Return what is saved, perhaps with a model whose weights stand for it.

        It is called with the float model, the data, whose test split it does not look at, and the
        seed of everything that is drawn.
        """


@dataclass
class Outcome:
    """What a run gave: the report, the files, and the accounts behind the plots.

    Parameters
    ----------
    report : Report
        The table.
    contents : dict of str to bytes
        The ``.refq`` files by their names.
    ledgers : dict of str to list of Entry
        By the plan's name.
    sentences : dict of str to str
        By the plan's name.
    description : str
        What the data are.
    """

    report: Report
    contents: dict[str, bytes] = field(default_factory=dict)
    ledgers: dict[str, list[Entry]] = field(default_factory=dict)
    sentences: dict[str, str] = field(default_factory=dict)
    description: str = ""

    def files(self) -> dict[str, bytes]:
        """Return everything that is written, by file name.

        Returns
        -------
        dict of str to bytes
            ``report.json``, ``report.html``, ``pareto.png``, ``layers.png`` and the ``.refq``
            files.
        """
        points = png(pareto(self.report).figure)
        # the rival's layers are other layers: they share names with the model's, nothing else
        accounts = {k: v for k, v in self.ledgers.items() if k != RIVAL} or self.ledgers
        cells = png(layers(accounts)[0].figure)
        page = html_page(
            self.report,
            {"Accuracy against bytes": points, "Bits and error of every layer": cells},
            self.sentences,
            self.ledgers,
            self.description,
        )
        return {
            **self.contents,
            "pareto.png": points,
            "layers.png": cells,
            "report.html": page.encode(),
            "report.json": self.report.to_json().encode() + b"\n",
        }

    def write(self, folder: Path) -> list[Path]:
        """Write all files into a folder, or none.

        Parameters
        ----------
        folder : Path
            Exists; old files of the same names are replaced, others are left.

        Returns
        -------
        list of Path
            What was written.

        Raises
        ------
        FormatError
            If a ``.refq`` file does not give back its bits.
        OSError
            If something cannot be written; then nothing was replaced, unless moving failed.
        """
        staging = folder / f".refq-{secrets.token_hex(6)}"
        staging.mkdir()
        try:
            files = self.files()
            for name, content in files.items():
                (staging / name).write_bytes(content)
            for name in self.contents:
                if to_bytes(load(staging / name)) != self.contents[name]:
                    raise FormatError(f"{name} does not give back the same bits")
            for name in files:
                os.replace(staging / name, folder / name)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
        return [folder / name for name in files]


def prepare_folder(folder: Path) -> list[Path]:
    """Create a folder if it is missing, and see that files can be written there.

    Parameters
    ----------
    folder : Path
        Where results will go.

    Returns
    -------
    list of Path
        The folders that were made, the deepest first: to be removed again after a failure.

    Raises
    ------
    OSError
        If it cannot be made or written; then nothing is left behind.
    """
    missing = [p for p in (folder, *folder.parents) if not p.exists()]
    made: list[Path] = []
    try:
        for path in reversed(missing):
            path.mkdir()
            made.insert(0, path)
        probe = folder / f".refq-{secrets.token_hex(6)}"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError:
        for path in made:
            path.rmdir()
        raise
    return made


def run_plans(
    name: str,
    model: Model,
    data: Any,
    plans: Iterable[PlanLike],
    seed: int = 0,
    progress: Callable[[Any], Any] = iter,
) -> Outcome:
    """Run plans on a model and measure each on the bytes that it would ship.

    Parameters
    ----------
    name : str
        What the report calls the model.
    model : Model
        The float model.
    data : Dataset
        With a ``test`` split.
    plans : iterable of PlanLike
        In the order of the table.
    seed : int
        Handed to every plan.
    progress : callable
        Wraps the iterable of finished plans, each with a ``name``: `tqdm`, or nothing.

    Returns
    -------
    Outcome
        Nothing is written yet.

    Raises
    ------
    RefqError
        From a plan; the message names it.

    Notes
    -----
    Two plans run at a time, each in a process of its own with one BLAS thread: see
    `refq.report.machine.one_blas_thread`. One process or two give the same bits.
    """
    with one_blas_thread():
        return _run_plans(name, model, data, plans, seed, progress)


def _run_plans(
    name: str,
    model: Model,
    data: Any,
    plans: Iterable[PlanLike],
    seed: int,
    progress: Callable[[Any], Any],
) -> Outcome:
    logits = model.predict(data.test.X)
    report = Report(
        model=name,
        seed=seed,
        versions=versions(),
        float_accuracy=accuracy(logits, data.test.y),
        float_bytes=4 * model.n_parameters,
        float_macs=total_macs(model),
    )
    outcome = Outcome(report, description=getattr(data, "description", ""))
    listed = list(plans)
    rows = {row.name: row for row in progress(_rows(listed, model, data, seed, logits))}
    for plan in listed:
        row = rows[plan.name]
        report.plans.append(row.result)
        outcome.contents[file_name(plan.name)] = row.content
        outcome.ledgers[plan.name] = row.ledger
        outcome.sentences[plan.name] = plan.sentence
    return outcome


@dataclass(frozen=True)
class _Row:
    """What one plan gave."""

    name: str
    result: PlanResult
    content: bytes
    ledger: list[Entry]


def _rows(
    plans: list[PlanLike], model: Model, data: Any, seed: int, logits: NDArray[Any]
) -> Iterator[_Row]:
    """Yield the plans' rows as they are finished; two plans run at a time where there are cores."""
    from joblib import Parallel, cpu_count, delayed

    jobs = min(2, len(plans), cpu_count())
    # the last plan of the table is the longest: it starts first
    calls = [delayed(_row)(plan, model, data, seed, logits) for plan in reversed(plans)]
    yield from Parallel(n_jobs=jobs, return_as="generator_unordered")(calls)


def _row(plan: PlanLike, model: Model, data: Any, seed: int, logits: NDArray[Any]) -> _Row:
    with one_blas_thread():
        try:
            after, shown = _built(plan, model, data, seed)
            result = measure(plan.name, after, model, data, shown=shown, logits=logits)
        except RefqError as error:
            raise type(error)(f"plan {plan.name!r}: {error}") from error
        named = replace(result, file=file_name(plan.name))
        return _Row(plan.name, named, to_bytes(after), ledger(model, after, shown))


def _built(plan: PlanLike, model: Model, data: Any, seed: int) -> tuple[Model, Model | None]:
    made = plan.build(model, data, seed)
    return made if isinstance(made, tuple) else (made, None)


def file_name(plan: str) -> str:
    """Return the name of a plan's ``.refq`` file.

    Parameters
    ----------
    plan : str
        Its name.

    Returns
    -------
    str
        Letters, digits, "_" and "." only.

    Examples
    --------
    >>> file_name("int8 per tensor"), file_name("../k-means")
    ('int8_per_tensor.refq', '___k_means.refq')
    """
    return "".join(c if c.isascii() and c.isalnum() else "_" for c in plan) + ".refq"


@dataclass(frozen=True)
class MappingPlan:
    """A dictionary of methods as a plan of an experiment.

    Parameters
    ----------
    name : str
        What the table calls it.
    methods : mapping of str to Method
        As `refq.passes.compress` takes it.

    Examples
    --------
    >>> from refq.encodings import Cast
    >>> MappingPlan("halves", {"fc*": Cast()}).sentence
    'fc*: Cast()'
    """

    name: str
    methods: Mapping[str, Method]

    @property
    def sentence(self) -> str:
        """Which method each pattern gets."""
        return "; ".join(f"{pattern}: {method!r}" for pattern, method in self.methods.items())

    def build(self, model: Model, data: Any, random_state: int) -> Model:
        """Return the compressed model; methods that look at inputs see the calibration split.

        Parameters
        ----------
        model : Model
            The float model.
        data : Dataset
            With a ``calibration`` split.
        random_state : int
            Not used: the methods carry their own.

        Returns
        -------
        Model
            Same graph, same shapes.
        """
        return compress(model, self.methods, calibration=data.calibration)
