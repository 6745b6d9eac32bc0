"""A sweep comes to a cluster: every node is looked at before anything is begun.

A process on each writes a file that the driver reads, and reads one that the driver wrote. Nodes
that an autoscaler brings later are looked at by their trials.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from mhray.errors import ClusterError
from mhray.training.connection import connected, job_environment
from mhray.tuning.autoscaler import node_of
from mhray.tuning.checked_study import CheckedStudy
from mhray.tuning.places import is_in_store, meeting_place
from mhray.tuning.shipment import Shipment, packed
from mhray.tuning.terms import Terms

ANSWER_SECONDS = 300.0  # for an environment to be set up there, and torch to be imported


def refuse_unfit_nodes(checked: CheckedStudy) -> None:
    """Refuse a cluster with a node that cannot take part, or a store; leaves nothing behind.

    Raises:
        ClusterError: a node sees another storage, or has other versions than the driver.
        StorageError: the Ray that should be there does not answer, or the store cannot be written.
    """
    terms = Terms(meeting_place(checked.study))
    if checked.ray_there is None:
        if is_in_store(checked.study):
            _refuse_unwritable(terms)
        return
    with working(checked), terms.noted():
        nodes = list(_hosts(checked))
        if problems := _problems(nodes, terms):
            raise ClusterError(_refusal(problems, len(nodes)))


@contextmanager
def working(checked: CheckedStudy) -> Iterator[Shipment]:
    """Ray, connected, with what its processes need of the project."""
    resources = checked.study.resources
    with (
        _packed(checked) as shipment,
        connected(
            checked.ray_there,
            needs_dashboard=resources.workers_per_trial > 1,
            is_open=resources.open_to_network,
            code=shipment.environment,
        ),
    ):
        yield shipment


@contextmanager
def _packed(checked: CheckedStudy) -> Iterator[Shipment]:
    if checked.ray_there is None:
        yield Shipment(config_dir=str(checked.config_dir or ""))
        return
    with packed(checked.config_dir, job_environment()) as shipment:
        yield shipment


def _hosts(checked: CheckedStudy) -> Iterator[Mapping[str, Any]]:
    """The nodes that are there and may train."""
    worker = checked.study.resources.per_worker
    for node in ray.nodes():  # type: ignore[no-untyped-call]
        if node["Alive"] and node_of(node["Resources"]).fitting(worker):
            yield node


def _refuse_unwritable(terms: Terms) -> None:
    with terms.noted():
        pass


def _problems(nodes: list[Mapping[str, Any]], terms: Terms) -> dict[str, list[str]]:
    """What is wrong with each node with which something is."""
    answers = {node["NodeID"]: _ask(node["NodeID"], terms) for node in nodes}
    found: dict[str, list[str]] = {}
    for node in nodes:
        number = node["NodeID"]
        if problems := _answer(answers[number]) or terms.unmarked(number):
            found[f"{node['NodeManagerAddress']} ({number[:8]})"] = problems
    return found


def _ask(number: str, terms: Terms) -> Any:
    strategy = NodeAffinitySchedulingStrategy(number, soft=False)
    # No core: a node may be full, and a head without any is not one of them.
    asked = ray.remote(Terms.mark).options(num_cpus=0, scheduling_strategy=strategy, max_retries=0)
    return asked.remote(terms, number)


def _answer(answer: Any) -> list[str]:
    try:
        problems: list[str] = ray.get(answer, timeout=ANSWER_SECONDS)
    except GetTimeoutError:
        return [f"did not answer within {ANSWER_SECONDS:g} s"]
    except RayError as error:
        last = (str(error).strip().splitlines() or ["no word"])[-1]
        return [f"cannot run mhray ({last}); install what this machine has"]
    return problems


def _refusal(problems: Mapping[str, list[str]], asked: int) -> str:
    lines = [f"  {node}: {problem}" for node, found in problems.items() for problem in found]
    head = f"cluster: {len(problems)} of {asked} nodes cannot take part:"
    return "\n".join([head, *lines])
