"""A key source for PowerSchool, where client id and secret are regenerated together.

Regenerating the credentials of a plugin ends the old ones at once: there is no overlap. So the
district installs the plugin twice, under two names, each with the same access. Calls use one; the
credentials of the other, which is idle, are regenerated in PowerSchool and written to its file by
whoever may do that. A rotation then goes over to the idle one, and the next one back.

Install it under the entry point that sisgate looks for, and name it in sisgate.toml::

    [project.entry-points."sisgate.key_sources"]        # pyproject.toml of your package
    powerschool-plugins = "your_package.powerschool_key_source:TwoPlugins"

    [providers.powerschool.rotation]                    # sisgate.toml
    interval = "P90D"
    source = "powerschool-plugins"
    options = { files = ["/run/secrets/plugin-a.json", "/run/secrets/plugin-b.json"] }

Each file holds `{"client_id": "…", "client_secret": "…"}` and is readable by the workers only.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sisgate.credentials.sources import KeyRequest, NewKey, read_new_key
from sisgate.errors import ConfigurationError, KeySourceFailed


class TwoPlugins:
    """Gives the credentials of the plugin that is not in use."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        files = options.get("files")
        if not isinstance(files, list) or len(files) != 2:
            raise ConfigurationError(
                "The key source powerschool-plugins needs the files of two plugins: "
                'options = { files = ["…", "…"] }.'
            )
        self._files = [Path(file) for file in files]

    def provision(self, request: KeyRequest) -> NewKey:
        """Return the pair of the idle plugin. Asked again, it is the same one."""
        in_use = request.current.client_id if request.current else None
        for file in self._files:
            pair = _read(file)
            if pair is not None and pair.client_id != in_use:
                return pair
        raise KeySourceFailed(
            f"No new credentials for {request.config.name}: regenerate those of the idle plugin in "
            f"PowerSchool and write them to its file ({' or '.join(map(str, self._files))})."
        )

    def deprovision(self, request: KeyRequest, client_id: str) -> None:
        """Remove the file of a pair that is no longer used, so that it is never given again.

        PowerSchool accepts the pair until the plugin's credentials are regenerated.
        """
        for file in self._files:
            pair = _read(file)
            if pair is not None and pair.client_id == client_id:
                file.unlink(missing_ok=True)


def _read(file: Path) -> NewKey | None:
    try:
        return read_new_key(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise KeySourceFailed(f"{file} cannot be read: {error.strerror}.") from None
