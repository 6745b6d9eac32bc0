import pytest

from mhray.errors import StorageError
from mhray.training.directory import refuse_links


@pytest.mark.parametrize("link", ["study", "study/checkpoints", "study/checkpoints/3"])
def test_a_study_does_not_lie_behind_a_link(tmp_path, link):
    elsewhere, path = tmp_path / "elsewhere", tmp_path / link
    elsewhere.mkdir()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(elsewhere)
    with pytest.raises(StorageError) as error:
        refuse_links(tmp_path / "study")
    assert str(error.value) == (
        f"storage: {path} is a link to {elsewhere}, outside of the study; remove it, or write a "
        "storage there"
    )


def test_a_study_without_links_is_let_through(tmp_path):
    (tmp_path / "study" / "checkpoints" / "0").mkdir(parents=True)
    refuse_links(tmp_path / "study")
    refuse_links(tmp_path / "new")
