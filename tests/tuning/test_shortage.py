import pytest

from mhray.tuning.capacity import Capacity, Node, parallel_trials
from mhray.tuning.shortage import checkpoint_bytes, missing_resources, missing_room
from mhray.tuning.study import Resources

MACHINE = Capacity(8, 2, "a machine", 2**33)

CLUSTER = Capacity.of_nodes(
    [Node(0, 0, 2**30), Node(16, 0, 2**36), Node(4, 1, 2**34, count=3)], "a cluster", "found"
)


@pytest.mark.parametrize(
    ("resources", "fit"),
    [
        ({"per_worker": {"memory": "3GiB"}}, 2),
        ({"per_worker": {"memory": "2GiB"}, "workers_per_trial": 2}, 2),
        ({"per_worker": {"gpus": 0.5}}, 4),
        ({"per_worker": {"cpus": 3.0}}, 2),
        ({"per_worker": {"memory": "16GiB"}}, 1),
        ({"parallel_trials": 7}, 7),
    ],
)
def test_as_many_trials_run_as_what_is_scarcest_allows(resources, fit):
    assert parallel_trials(Resources.model_validate(resources), MACHINE) == fit


@pytest.mark.parametrize(
    ("resources", "fit"),
    [
        ({"per_worker": {"cpus": 3.0}}, 5 + 3),
        ({"per_worker": {"cpus": 1.0, "gpus": 0.5}}, 6),
        ({"per_worker": {"gpus": 1.0}, "workers_per_trial": 2}, 1),
    ],
)
def test_a_worker_is_on_one_node_of_a_cluster(resources, fit):
    assert parallel_trials(Resources.model_validate(resources), CLUSTER) == fit


@pytest.mark.parametrize(
    ("resources", "key", "message"),
    [
        (
            {"per_worker": {"gpus": 2.0}},
            "per_worker.gpus",
            "2 GPUs can never be given, since no node has more than 1; write 1 or less",
        ),
        (
            {"per_worker": {"cpus": 8.0, "gpus": 1.0}},
            "per_worker",
            "no node has all of it together; write less of one of them",
        ),
        (
            {"per_worker": {"cpus": 3.0}, "workers_per_trial": 9},
            "workers_per_trial",
            "9 workers need as many places, but the nodes have 8; write 8 or less",
        ),
        (
            {"per_worker": {"cpus": 3.0}, "workers_per_trial": 3, "parallel_trials": 3},
            "parallel_trials",
            "3 trials need 9 places for workers, but the nodes have 8; write 2 or less, or auto",
        ),
        ({"per_worker": {"gpus": 1.0}, "workers_per_trial": 3}, "", ""),
    ],
)
def test_what_no_node_of_a_cluster_can_give_is_named(resources, key, message):
    found = list(missing_resources(Resources.model_validate(resources), CLUSTER))
    expected = [(("resources", *key.split(".")), message)] if key else []
    assert found == expected


@pytest.mark.parametrize(
    ("asked", "cores", "message"),
    [
        (
            {"cpus": 1.0},
            0,
            "1 CPUs can never be given, since there are 0; add a node to the cluster ",
        ),
        ({"gpus": 1.0}, 2, "1 GPUs can never be given, since there are 0; write 0"),
    ],
)
def test_a_cluster_that_has_none_of_it_yet_is_told_from_a_wish_too_large(asked, cores, message):
    head = Capacity.of_nodes([Node(cores, 0, 2**30)], "a cluster", "found")
    [(_, told)] = missing_resources(Resources.model_validate({"per_worker": asked}), head)
    assert told.startswith(message)


def test_memory_of_which_nobody_knows_is_never_too_little():
    brought = Capacity.of_nodes([Node(4, 0)], "a cluster", "found")
    asked = Resources.model_validate({"per_worker": {"memory": "9GiB"}})
    assert list(missing_resources(asked, brought)) == []


@pytest.fixture
def room(a_study, tmp_path):
    """What is said of a study of three trials of a million parameters, where so much is free."""
    study = a_study(storage=str(tmp_path))
    return lambda free: list(missing_room(study, 10**6, lambda _: free))


def test_a_disk_has_to_hold_two_checkpoints_of_each_trial(room, tmp_path):
    assert room(72 * 10**6) == []
    [(location, message)] = room(50 * 10**6)
    assert location == ("budget", "trials")
    assert message == (
        f"the checkpoints of 3 trials take 68.66 MiB in {tmp_path}, where 47.68 MiB are free; "
        "write a storage with more room, or fewer trials"
    )


def test_checkpoints_that_a_study_has_written_already_need_no_more_room(room, tmp_path):
    written = tmp_path / "s" / "checkpoints" / "0"
    written.mkdir(parents=True)
    (written / "last.ckpt").write_bytes(b"0" * 10**6)
    assert room(71 * 10**6) == []


def test_a_checkpoint_is_as_large_as_what_is_counted_for_it(tmp_path):
    import torch

    net = torch.nn.Linear(999, 1000)
    optimizer = torch.optim.AdamW(net.parameters())
    net(torch.randn(2, 999)).sum().backward()
    optimizer.step()
    state = {"state_dict": net.state_dict(), "optimizer_states": [optimizer.state_dict()]}
    torch.save(state, tmp_path / "last.ckpt")
    counted = checkpoint_bytes(10**6) / 2
    assert counted <= (tmp_path / "last.ckpt").stat().st_size < 1.01 * counted
