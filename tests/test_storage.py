import pytest

from skfer._storage import partial_file


def test_the_file_appears_when_it_is_whole(tmp_path):
    target = tmp_path / "rows.csv"
    with partial_file(target) as part:
        part.write_text("half")
        assert not target.exists()
        assert part.suffix == ".csv"
    assert target.read_text() == "half"
    ordinary = tmp_path / "ordinary"
    ordinary.touch()
    assert target.stat().st_mode == ordinary.stat().st_mode


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_failure_leaves_nothing(tmp_path, failure):
    target = tmp_path / "rows.csv"
    target.write_text("old")

    def write():
        with partial_file(target) as part:
            part.write_text("half")
            raise failure

    with pytest.raises(failure):
        write()
    assert [path.name for path in tmp_path.iterdir()] == ["rows.csv"]
    assert target.read_text() == "old"


def test_a_place_where_nothing_can_be_written(tmp_path):
    with (
        pytest.raises(FileNotFoundError, match=r"nowhere.* can't be written"),
        partial_file(tmp_path / "nowhere" / "rows.csv"),
    ):
        pass
    with pytest.raises(IsADirectoryError, match="is a folder"), partial_file(tmp_path):
        pass
