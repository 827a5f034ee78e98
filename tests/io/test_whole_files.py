"""Files that are written whole or not at all."""

import pytest

from galjax.io.whole_files import partial_of, replacing, write_whole


def test_a_file_and_its_folders_are_made_or_replaced(tmp_path):
    path = tmp_path / "a" / "b.txt"
    write_whole(path, b"one")
    write_whole(path, b"two")
    assert path.read_bytes() == b"two"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("error", [OSError("No space left on device"), KeyboardInterrupt()])
def test_where_writing_fails_the_file_is_as_it_was(tmp_path, error):
    path = tmp_path / "b.txt"
    path.write_bytes(b"before")

    def fail():
        with replacing(path) as partial:
            assert partial == partial_of(path) == tmp_path / "b.txt.partial"
            partial.write_bytes(b"hal")
            raise error

    with pytest.raises(type(error)):
        fail()
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]
