"""The folders of a copy's attempts: a slow one leaves alone what a later one has made."""

from pathlib import Path

from shuqiao.plane.bulk.preparing import _make_folder


def test_an_attempt_removes_what_it_and_earlier_ones_left(tmp_path: Path) -> None:
    for attempt in (1, 2, 3, 10):
        folder = tmp_path / "job" / str(attempt)
        folder.mkdir(parents=True)
        (folder / "part-00001.arrow").write_bytes(b"sealed")
    _make_folder(tmp_path / "job" / "3")
    assert sorted(file.parent.name for file in tmp_path.rglob("*.arrow")) == ["10"]
    assert sorted(folder.name for folder in (tmp_path / "job").iterdir()) == ["10", "3"]


def test_the_first_attempt_makes_the_folder_of_its_copy(tmp_path: Path) -> None:
    _make_folder(tmp_path / "job" / "1")
    assert list((tmp_path / "job" / "1").iterdir()) == []
    assert (tmp_path / "job" / "1").stat().st_mode & 0o077 == 0
