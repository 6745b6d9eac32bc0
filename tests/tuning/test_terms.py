import pytest

from mhray.errors import ClusterError, StorageError
from mhray.tuning.terms import Terms, own_versions


def test_a_node_that_sees_what_the_driver_sees_takes_part(tmp_path):
    terms = Terms(str(tmp_path / "studies" / "s"))
    with terms.noted():
        assert terms.mark("one") == []
        assert terms.unmarked("one") == []


def test_nothing_is_left_of_the_look_at_a_node(tmp_path):
    terms = Terms(str(tmp_path / "studies" / "s"))
    with terms.noted():
        terms.mark("one")
    assert list(tmp_path.iterdir()) == []


def test_directories_that_others_use_by_then_stay(tmp_path):
    terms = Terms(str(tmp_path / "studies" / "s"))
    with terms.noted():
        (tmp_path / "studies" / "other").mkdir()
    assert [path.name for path in (tmp_path / "studies").iterdir()] == ["other"]


def test_a_node_without_the_directory_leaves_nothing_there(tmp_path):
    elsewhere = tmp_path / "not-mounted"
    problem = f"does not see {elsewhere}; write a storage on a disk that every node mounts"
    assert Terms(str(elsewhere)).mark("one") == [problem]
    assert not elsewhere.exists()


def test_a_directory_of_the_same_name_on_another_disk_is_not_the_drivers(tmp_path):
    terms = Terms(str(tmp_path))
    (tmp_path / f".sweep-{terms.token}").write_text("of another driver")
    assert "does not see" in terms.mark("one")[0]


def test_what_a_node_writes_has_to_arrive(tmp_path):
    problem = f"what it writes in {tmp_path} does not arrive here; write a storage on a disk that"
    assert Terms(str(tmp_path)).unmarked("one")[0].startswith(problem)


def test_every_other_version_is_named_with_both(tmp_path):
    own = own_versions()
    terms = Terms(str(tmp_path), versions={**own, "torch": "1.0", "Python": "2.7"})
    with terms.noted(), pytest.raises(ClusterError) as refused:
        terms.refuse_this_node()
    both = [
        f"{name} is {own[name]} there and {wanted} here; install {wanted} there"
        for name, wanted in (("Python", "2.7"), ("torch", "1.0"))
    ]
    assert " and ".join(both) in str(refused.value).replace(", and", " and")


def test_builds_of_torch_for_other_devices_are_the_same_version():
    assert "+" not in own_versions()["torch"]


def test_a_storage_that_the_driver_cannot_write_is_refused():
    message = "storage: /dev/null/s cannot be written"
    with pytest.raises(StorageError, match=message), Terms("/dev/null/s").noted():
        pass


def test_nodes_meet_in_an_object_store_as_well(tmp_path):
    terms = Terms(f"file://{tmp_path}/studies/s")
    with terms.noted():
        assert terms.mark("one") == []
        assert terms.unmarked("one") == []
        assert terms.unmarked("two")[0].startswith("what it writes in file://")
    assert list((tmp_path / "studies" / "s").iterdir()) == []


def test_a_node_without_the_means_to_reach_a_store_says_so(tmp_path):
    [problem] = Terms("nosuch://bucket").mark("one")
    assert "nosuch://bucket cannot be used (Protocol not known: nosuch)" in problem
