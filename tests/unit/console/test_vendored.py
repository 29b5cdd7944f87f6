"""Code of others that the console serves is what the registry has, and says its licence."""

import tomllib
from hashlib import sha256
from pathlib import Path

import sisgate.console

VENDOR = Path(sisgate.console.__file__).parent / "static" / "vendor"


def test_each_file_is_listed_with_its_hash_and_licence() -> None:
    """No file that is not listed, none that was changed."""
    packages = tomllib.loads((VENDOR / "vendored.toml").read_text("utf-8"))["package"]
    known = {"vendored.toml"}
    for package in packages:
        known.add(package["licence_file"])
        assert (VENDOR / package["licence_file"]).read_text("utf-8").strip()
        for name, digest in package["sha256"].items():
            known.add(name)
            assert sha256((VENDOR / name).read_bytes()).hexdigest() == digest, name
    assert {file.name for file in VENDOR.iterdir()} == known
