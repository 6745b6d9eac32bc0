"""Running what is missing of a study, as far as its budget goes."""

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from mhray.errors import StorageError
from mhray.training.resume import mend
from mhray.training.staging import Arrivals, shared_data
from mhray.tuning.admission import working
from mhray.tuning.checked_study import CheckedStudy
from mhray.tuning.confirm import Confirming
from mhray.tuning.courses import Reached
from mhray.tuning.gpu_probe import packed_study
from mhray.tuning.journal import Journal
from mhray.tuning.kept import KeptCheckpoints
from mhray.tuning.limits import Limits
from mhray.tuning.page.wording import counted
from mhray.tuning.places import files_of, meeting_place
from mhray.tuning.progress import Progress
from mhray.tuning.quote import Quote
from mhray.tuning.quoting import Quoting
from mhray.tuning.recording import MlflowObserver
from mhray.tuning.search import SearchPlan
from mhray.tuning.shipment import Shipment
from mhray.tuning.speeds import USUAL_LEAD
from mhray.tuning.standings import Standings
from mhray.tuning.sweep import SweepPlan, run_trials
from mhray.tuning.terms import Terms
from mhray.tuning.time_left import TimeLeft


def run_missing(
    checked: CheckedStudy, journal: Journal, mlflow: MlflowObserver, console: Console
) -> bool:
    """Run the trials that are missing, and what confirms the best of them.

    Returns:
        Whether the study is at its end, or its budget.
    """
    study, ended = checked.study, journal.ended()
    confirming = Confirming(checked, journal, mlflow, console)
    is_searched = len(ended) >= study.budget.trials
    if is_searched:
        console.print(f"all {len(ended)} trials have ended; this is their result", markup=False)
        if not confirming.is_wanted():
            return True
    _refuse_checkpoints_of_others(checked, journal)
    checked = packed_study(checked, console)
    study, confirming = checked.study, replace(confirming, checked=checked)
    quoting = Quoting(checked)
    stand = [Reached.of(record) for record in journal.trials()]
    known = quoting.of(stand, journal.spent.seconds, confirming.epochs())
    limits = Limits(
        study,
        checked.max_epochs,
        journal.spent,
        journal.trials,
        known.by_options if known else {},
    )
    if limits.leaves_nothing(journal.orphans()):
        console.print(_what_ended(limits, journal), markup=False)
        return True
    for line in quoting.lines(known):
        console.print(line, markup=False)
    progress = _progress(checked, journal, console, known)
    terms = Terms(meeting_place(study)) if checked.ray_there else None
    with (
        terms.noted() if terms else nullcontext(),
        working(checked) as shipment,
        shared_data(_data_of(checked), checked.ray_there) as arrivals,
    ):
        plan = _plan(checked, mlflow, limits, terms, shipment, arrivals)
        is_searched = is_searched or _search(checked, journal, plan, mlflow, progress)
        return is_searched and confirming.run(plan)


def _search(
    checked: CheckedStudy,
    journal: Journal,
    plan: SweepPlan,
    mlflow: MlflowObserver,
    progress: Progress,
) -> bool:
    study = checked.study
    kept = KeptCheckpoints(study, journal, checked.trial_directory)
    kept.delete_superfluous()
    for orphan in journal.orphans():
        if damage := mend(checked.trial_directory(orphan.number)):
            line = f"trial {orphan.number}: {damage}"
            progress.console.print(line, markup=False, soft_wrap=True)
    is_at_its_end = run_trials(study, journal, plan, [mlflow, kept], progress)
    kept.delete_left_over()
    if is_at_its_end and len(journal.ended()) < study.budget.trials:
        progress.console.print(_what_ended(plan.limits, journal), markup=False)
    return is_at_its_end


def _refuse_checkpoints_of_others(checked: CheckedStudy, journal: Journal) -> None:
    """A trial goes on from what lies in its directory, which an empty journal knows nothing of."""
    if not journal.trials() and files_of(checked.study).holds_checkpoints():
        where = checked.study.storage
        raise StorageError(
            f"journal: holds no trial of this study, but {where} does; put the "
            "journal back that they belong to, or write another name to start anew"
        )


def _plan(
    checked: CheckedStudy,
    mlflow: MlflowObserver,
    limits: Limits,
    terms: Terms | None,
    shipment: Shipment,
    arrivals: Arrivals,
) -> SweepPlan:
    return SweepPlan(
        directory=checked.directory,
        data_dir=_data_of(checked),
        config_dir=shipment.config_dir,
        terms=terms,
        arrivals=arrivals,
        parallel_trials=checked.parallel_trials,
        search=SearchPlan(
            max_epochs=checked.max_epochs,
            seed=checked.base.seed,
            files=files_of(checked.study),
            run_id_of=mlflow.run_id_of,
            heads=checked.compared_heads,
            has_room=limits.has_room,
        ),
        limits=limits,
    )


def _data_of(checked: CheckedStudy) -> Path:
    return Path(checked.base.data.data_dir).resolve()


def _progress(
    checked: CheckedStudy, journal: Journal, console: Console, known: Quote | None
) -> Progress:
    study, max_epochs = checked.study, checked.max_epochs
    standings = Standings(
        study.selection, checked.shown_metrics, study.budget.trials, journal.ended()
    )
    past = journal.trials()
    usual = (known.epoch, known.lead) if known else (None, USUAL_LEAD)
    time_left = TimeLeft(study, max_epochs, checked.parallel_trials, past, *usual)
    return Progress(console, standings, time_left, max_epochs)


def _what_ended(limits: Limits, journal: Journal) -> str:
    """The limit that ended the sweep, and what becomes of the trials that it left."""
    standing = len(journal.orphans())
    left = f"; a larger one goes on with {standing} more that stand" if standing else ""
    ended = counted(len(journal.ended()), "trial")
    return f"{limits.came_too_short()} is used up after {ended}{left}; this is their result"
