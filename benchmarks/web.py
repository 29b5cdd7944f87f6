"""Waiting over HTTP: many requests that wait for jobs, and what they cost the service.

One service, as `sisgate serve` starts it. Each caller waits for a job of its own by long poll; then
all jobs end at once. Also counts answers that don't fit the OpenAPI document, by schemathesis, to
strangers, an app and an admin.
"""

import asyncio
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

import psutil

from benchmarks.report import Report, tell
from benchmarks.scale import FULL, QUICK, Scale
from sisgate import Gateway, NewSync
from sisgate.ledger import migrate
from testbed.installation import install, variables_of
from testbed.redis import RedisServer
from testbed.shapes import Shapes, examine
from testbed.web_service import WebService

CONFIG = """
[web]
limit = "10000000/m"
failed_logins = "10000000/m"
[providers.lincoln]
kind = "oneroster"
auth = "none"
max_waiting_jobs = 1000000
[[providers.lincoln.endpoints]]
url = "https://lincoln.test"
"""
LONGEST_SECONDS = 60
ROLES = ("stranger", "app", "admin")


def run(scale: Scale) -> Report:
    """Measure the waiting, then the answers."""
    import tempfile

    report = Report("web")
    waiters = 200 if scale is QUICK else 1000
    cases = 2 if scale is QUICK else 100 if scale is FULL else 15
    redis = RedisServer()
    try:
        with tempfile.TemporaryDirectory(prefix="sisgate-web-") as folder:
            settings = install(Path(folder), CONFIG, redis_url=redis.url)
            gateway = Gateway(settings)
            migrate.upgrade(gateway.context.database)
            tell(f"{waiters} requests that wait")
            waited = _waiting(gateway, variables_of(settings), waiters)
            report.figures["waiting"] = waited
            report.add_table(
                f"{waiters} requests that wait for a job each",
                ["", ""],
                [[name, f"{value:,}"] for name, value in waited.items()],
            )
            tell("answers against the document")
            rows = []
            for role in ROLES:
                shapes = _shapes(gateway, role, cases)
                counts = {"cases": shapes.cases, "failures": len(shapes.failures)}
                report.figures[f"shapes, {role}"] = counts
                rows.append([role, *(f"{count:,}" for count in counts.values())])
                report.notes += shapes.failures[:20]
            report.add_table(
                "Answers against the OpenAPI document", ["caller", "cases", "failures"], rows
            )
            gateway.close()
    finally:
        redis.stop()
    return report


def _shapes(gateway: Gateway, role: str, cases: int) -> Shapes:
    """Draw requests of a caller with a role, where tokens are required."""
    closed = gateway.settings.model_copy(update={"access": "tokens"})
    token = None
    if role != "stranger":
        made = gateway.tokens.add(role, [role]).token
        token = made.get_secret_value() if made is not None else None
    with WebService(Gateway(closed, database=gateway.context.database)) as service:
        return examine(service.app, service.url, token, cases=cases)


def _waiting(gateway: Gateway, variables: dict[str, str], waiters: int) -> dict[str, float]:
    """Start the service, let callers wait, end all jobs; return what was measured."""
    orders = [NewSync("lincoln", "orgs", idempotency_key=str(n)) for n in range(waiters)]
    jobs = [job.id for job in gateway.enqueue(orders)]
    command = [sys.executable, "-m", "sisgate.cli", "serve", "--port", "0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=variables) as process:
        try:
            assert process.stdout is not None
            url = json.loads(process.stdout.readline())["url"]
            return asyncio.run(_measure(gateway, process.pid, int(url.rpartition(":")[2]), jobs))
        finally:
            process.terminate()


async def _measure(gateway: Gateway, pid: int, port: int, jobs: list[str]) -> dict[str, float]:
    service = psutil.Process(pid)
    idle = service.memory_info().rss
    ended: dict[str, float] = {}
    callers = [asyncio.create_task(_caller(port, job, ended)) for job in jobs]
    while len(service.net_connections("tcp")) < len(jobs):  # noqa: ASYNC110 - of another process
        await asyncio.sleep(0.2)
    await asyncio.sleep(5)  # the last ones are read
    before = service.cpu_times()
    await asyncio.sleep(5)
    after = service.cpu_times()
    listening = len(gateway.context.redis.client_list(_type="pubsub"))
    begun = time.perf_counter()

    def end_all() -> None:
        for job in jobs:
            gateway.jobs.cancel(job)
            ended[job] = time.perf_counter()

    await asyncio.to_thread(end_all)
    results = await asyncio.gather(*callers)
    delays = sorted(seconds for state, seconds in results if state == "cancelled")
    return {
        "answers": len(results),
        "lost or wrong": sum(state != "cancelled" for state, _ in results),
        "connections that listen to Redis": listening,
        "threads": service.num_threads(),
        "memory MB, idle": round(idle / 2**20),
        "memory MB, at the end": round(service.memory_info().rss / 2**20),
        "CPU ms a second while all wait": round(
            (after.user + after.system - before.user - before.system) * 1000 / 5
        ),
        "seconds to end all": round(max(ended.values()) - begun, 1),
        "ms to the answer, median": round(statistics.median(delays) * 1000),
        "ms to the answer, 99 %": round(delays[int(len(delays) * 0.99)] * 1000),
    }


async def _caller(port: int, job: str, ended: dict[str, float]) -> tuple[str, float]:
    """Wait for a job by long poll; return its state, and the seconds since it ended."""
    while True:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        request = f"GET /v1/jobs/{job} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        writer.write(f"{request}Prefer: wait={LONGEST_SECONDS}\r\n\r\n".encode())
        answer = await reader.read()
        writer.close()
        body = json.loads(answer.partition(b"\r\n\r\n")[2])
        if body.get("is_final", True):
            now = time.perf_counter()
            return str(body.get("state", body.get("code"))), now - ended.get(job, now)
