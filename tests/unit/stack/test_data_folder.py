"""A data folder that cannot be used is a sentence, not a traceback."""

from pathlib import Path

import pytest

from sisgate.errors import ConfigurationError
from sisgate.stack import data_folder


def test_a_lock_that_cannot_be_opened_names_the_folder_and_the_way_on(tmp_path: Path) -> None:
    """A directory in its place stands for every reason; root may write anywhere."""
    (tmp_path / data_folder.LOCK).mkdir()
    with (
        pytest.raises(ConfigurationError, match="cannot be written") as caught,
        data_folder.held(tmp_path),
    ):
        pass
    assert "--data-dir" in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_a_folder_that_cannot_be_made_says_why(tmp_path: Path) -> None:
    """Below a file there is no folder."""
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="cannot be created"):
        data_folder.make(tmp_path / "file" / "data")
