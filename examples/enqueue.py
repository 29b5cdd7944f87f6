"""From another app: enqueue a sync, wait for it, read what changed, make one call."""

from sisgate import Gateway, SisgateError


def main() -> None:
    """Sync students, read what changed since cursor 0, and make one call."""
    gateway = Gateway.from_env(app="gradebook")

    job = gateway.sync("powerschool", "students", priority="high")
    status = job.wait(timeout=600)
    print(f"{status.state}: {status.inserted} new, {status.updated} changed, {status.note or ''}")

    cursor = 0
    for change in gateway.changes("powerschool", "students", since=cursor):
        cursor = change.sequence
        print(change.operation, change.sourced_id)
    print(f"the next cursor is {cursor}")

    answer = gateway.request("powerschool", "GET", "/ws/v1/district", timeout=5.0)
    print(answer.status, len(answer.body), "bytes")


if __name__ == "__main__":
    try:
        main()
    except TimeoutError as error:  # the wait is over; the job continues
        raise SystemExit(str(error)) from error
    except SisgateError as error:
        raise SystemExit(f"{error.code}: {error}") from error
