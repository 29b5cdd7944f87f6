"""docker-compose.yml says only what exists: programs, modules, queues, secrets, volumes."""

import importlib.util
import re
import shutil
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: s for name, s in SERVICES.items() if s["image"].startswith("sisgate")}
WORKERS = {name: s for name, s in OURS.items() if "worker" in s["command"]}
ONE_SHOT = {"migrate", "configure"}


def text_of(command: str | list[str]) -> str:
    """A command as one line, with the script of `sh -c` for itself."""
    words = [command] if isinstance(command, str) else command
    return words[2] if words[:2] == ["sh", "-c"] else " ".join(words)


def option(service: dict[str, Any], flag: str) -> str:
    """The value of a command's option."""
    found = re.search(rf"{flag} (\S+)", text_of(service["command"]))
    assert found is not None, f"no {flag} in {service['command']}"
    return found[1]


@pytest.mark.parametrize("name", OURS)
def test_program_of_each_service_is_installed(name: str) -> None:
    """`celery` and `sisgate` come with the project."""
    program = re.search(r"\b(celery|sisgate)\b", text_of(OURS[name]["command"]))
    assert program is not None
    assert shutil.which(program[1], path=str(Path(sys.executable).parent))


@pytest.mark.parametrize("name", OURS)
def test_a_proxy_with_a_password_reaches_each_service_by_its_environment(name: str) -> None:
    """It cannot be in a version of the configuration. Unset where neither shell nor .env has it."""
    environment = OURS[name]["environment"]
    assert environment["HTTPS_PROXY"] is None
    assert environment["NO_PROXY"] is None


CELERY = {name for name, s in OURS.items() if "celery" in text_of(s["command"])}


@pytest.mark.parametrize("name", sorted(CELERY))
def test_celery_app_of_each_service_exists(name: str) -> None:
    """What `-A` names can be imported."""
    assert importlib.util.find_spec(option(OURS[name], "-A")) is not None


def test_every_provider_has_a_worker_whatever_is_configured() -> None:
    """A worker without -Q serves all, also those added later; so does the image."""
    assert WORKERS
    assert all("-Q" not in text_of(service["command"]) for service in WORKERS.values())
    image = (ROOT / "Dockerfile").read_text("utf-8")
    assert 'CMD ["celery", "-A", "workers", "worker"]' in image


@pytest.mark.parametrize("name", WORKERS)
def test_health_check_asks_the_worker_of_its_own_container(name: str) -> None:
    """The node name of `inspect ping -d` is that of `worker -n`."""
    node = option(WORKERS[name], "-n").replace("%h", "$$HOSTNAME")
    assert f"-d {node}" in " ".join(WORKERS[name]["healthcheck"]["test"])


@pytest.mark.parametrize("name", sorted(set(SERVICES) - ONE_SHOT))
def test_each_lasting_service_is_checked_restarted_and_given_time(name: str) -> None:
    """A service that fails is noticed and comes back."""
    service = SERVICES[name]
    assert service["healthcheck"]["test"]
    assert service["restart"] == "unless-stopped"


def test_what_the_health_check_of_beat_uses_exists() -> None:
    """Mypy does not see a script in YAML: what it imports, and what it takes of the context."""
    script = OURS["beat"]["healthcheck"]["test"][3]
    namespace: dict[str, Any] = {}
    for line in script.splitlines():
        if line.startswith(("from ", "import ")):
            exec(line, namespace)
    used = re.findall(r"Context\(.*?\)\.(\w+)", script)
    assert used
    assert all(hasattr(namespace["Context"], name) for name in used)


@pytest.mark.parametrize("kind", ["secrets", "volumes"])
def test_what_services_refer_to_is_declared_and_used(kind: str) -> None:
    """Named volumes and secrets, in both directions."""
    entries = [e.split(":")[0] for s in SERVICES.values() for e in s.get(kind, ())]
    named = {entry for entry in entries if not entry.startswith((".", "/"))}
    assert named == set(COMPOSE[kind])


def test_secret_files_in_the_environment_and_commands_are_mounted() -> None:
    """Each /run/secrets/NAME is among the secrets of the service that reads it."""
    for name, service in SERVICES.items():
        paths = set(re.findall(r"/run/secrets/(\w+)", yaml.safe_dump(service)))
        assert paths <= set(service["secrets"]), name


SHOWN_IN_BROWSERS = {"SISGATE_FLOWER_URL", "SISGATE_CONSOLE_URL"}


def test_no_secret_stands_in_the_file() -> None:
    """Passwords come by file only."""
    for service in SERVICES.values():
        for variable, value in service.get("environment", {}).items():
            if variable in SHOWN_IN_BROWSERS:
                assert "@" not in value
            elif re.search("PASSWORD|KEY|URL|SECRET", variable):
                assert variable.endswith("_FILE")
                assert value.startswith("/run/secrets/")


def test_nothing_is_published_beyond_the_loopback_interface() -> None:
    """Redis and PostgreSQL are not published at all, Flower on 127.0.0.1."""
    published = [port for service in SERVICES.values() for port in service.get("ports", ())]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_services_wait_for_what_exists() -> None:
    """Each `depends_on` names a service, and a healthy one has a health check."""
    for service in SERVICES.values():
        for other, how in service.get("depends_on", {}).items():
            one_shot = how["condition"] == "service_completed_successfully"
            assert one_shot == (other in ONE_SHOT)
            assert one_shot or "healthcheck" in SERVICES[other]


def test_celery_of_the_image_finds_the_workers_where_the_wheel_has_them() -> None:
    """PYTHONPATH leads to a link, and the link to the folder of pyproject.toml."""
    dockerfile = (ROOT / "Dockerfile").read_text("utf-8")
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]["build"]
    folder = Path(wheel["targets"]["wheel"]["sources"]["workers"]).parent
    (version,) = set(re.findall(r"^FROM python:([\d.]+)-", dockerfile, re.MULTILINE))
    (path,) = re.findall(r"PYTHONPATH=(\S+)", dockerfile)
    assert f"ln -s lib/python{version}/site-packages/{folder} {path}" in dockerfile


def test_image_is_built_from_what_the_dockerfile_copies() -> None:
    """.dockerignore lets in each file and folder that the Dockerfile copies, and all exist."""
    dockerfile = (ROOT / "Dockerfile").read_text("utf-8")
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().split() if line[0] == "!"}
    copies = re.findall(r"^COPY (?!--)(.+) \S+$", dockerfile, re.MULTILINE)
    sources = {word.removeprefix("./") for copy in copies for word in copy.split()}
    assert sources == allowed
    assert [source for source in sources if not (ROOT / source).exists()] == []


def test_the_worker_that_keeps_the_heads_of_the_audit_log_can_write_them() -> None:
    """Its own file system is read-only; the data folder of the image is a volume that lasts."""
    folder = re.search(r"SISGATE_DATA_DIR=(\S+)", (ROOT / "Dockerfile").read_text("utf-8"))
    assert folder is not None
    keepers = list(WORKERS.values())  # each plans
    assert keepers
    for service in keepers:
        assert service["read_only"]
        assert folder[1] in [entry.split(":")[1] for entry in service["volumes"]]
