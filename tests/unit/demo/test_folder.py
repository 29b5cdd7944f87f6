"""What the demo writes leads to its sandbox, and what it removes was its own."""

import tomllib
from pathlib import Path

import pytest

from sisgate.demo import folder as demo_folder
from sisgate.errors import UsageError
from sisgate.sandbox import DEFAULT_DISTRICTS, RunningDistrict
from sisgate.settings import ProviderConfig


@pytest.mark.parametrize("burst", [True, False])
@pytest.mark.parametrize("district", DEFAULT_DISTRICTS, ids=lambda d: d.name)
def test_the_table_of_a_district_is_a_valid_provider(district: object, burst: bool) -> None:
    """For the demo with the whole hour's calls at once, for others with the default."""
    assert hasattr(district, "name")
    url = "http://127.0.0.1:7701"
    running = RunningDistrict(
        district.name, district.kind, url, f"{url}/token", f"{url}/base", "id", "secret"  # type: ignore[attr-defined]
    )  # fmt: skip
    text = demo_folder.provider_toml(district, running, burst=burst)  # type: ignore[arg-type]
    table = tomllib.loads(text)["providers"][district.name]
    config = ProviderConfig(name=district.name, **table)
    assert config.burst == (config.windows[0].calls if burst else None)
    assert config.endpoints[0].url == url
    assert "secret" not in text


def test_the_demo_keeps_its_size_and_ports(tmp_path: Path) -> None:
    """Records carry the server's address, so another port would change every one of them."""
    folder = tmp_path / "demo"
    first = demo_folder.open_demo(folder, 500)
    assert demo_folder.open_demo(folder, None) == first
    assert [d.students for d in first.spec.districts] == [500, 420, 340]
    with pytest.raises(UsageError, match="demo of 500"):
        demo_folder.open_demo(folder, 600)
    demo_folder.remove_demo(folder)
    assert not folder.exists()


def test_a_folder_that_is_no_demo_is_not_removed(tmp_path: Path) -> None:
    """Whatever --fresh was asked for."""
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(UsageError):
        demo_folder.remove_demo(tmp_path)
    assert (tmp_path / "thesis.txt").exists()
