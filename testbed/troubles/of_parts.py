"""Troubles of a part of a provider: one endpoint, one dataset, one method, a few calls."""

from testbed.http_server import Asked, Reply, json_reply
from testbed.troubles.syncs import answer_lists, begin_sync, pages, schools, sync
from testbed.troubles.trouble import Expected, Trouble, answers, kind, of


def _calls(at: Trouble, method: str, count: int) -> None:
    """Let an app ask for calls by a method."""
    gateway = at.scene.as_app(at.scene.random.choice(at.scene.apps))
    body = {"body": b"{}"} if method == "POST" else {}
    for number in range(count):
        gateway.enqueue_request(at.district, method, f"/x/{number}", timeout=3600, **body)  # type: ignore[arg-type]  # as named


@kind(usual=24, settings="page_size = 100")
def slow_dataset(at: Trouble) -> Expected:
    """The pages of one dataset take long, while everything else is as quick as ever."""
    good, clock = pages(schools(700)), at.scene.clock
    answer_lists(at, good)
    for _ in range(4):
        sync(at)
    clock.advance(900)
    least = at.scene.random.uniform(6, 12)

    def slow(asked: Asked) -> Reply:
        clock.advance(least * at.scene.random.uniform(1, 1.5))
        return good(asked)

    answer_lists(at, slow)
    begin_sync(at)
    at.load = max(at.load, 5)
    at.subject = at.scene.random.choice((at.district, f"{at.district}/orgs"))
    return of("provider", "provider_slow", name=at.district, says="orgs")


@kind(usual=24)
def slow_now_and_then(at: Trouble) -> Expected:
    """One call of twenty takes long: too few to be told, or the provider is slow."""
    district, made = at.scene.districts[at.district], [0]
    good = district.answer

    def answer(asked: Asked) -> Reply:
        made[0] += 1
        if made[0] % 20 == 0:
            at.scene.clock.advance(20)
        return good(asked)

    district.answer = answer
    at.load = 20
    return of("provider", "provider_slow", name=at.district, or_well=True)


@kind(usual=24, endpoints=2)
def slow_endpoint(at: Trouble) -> Expected:
    """One of two endpoints takes long."""
    district = at.scene.districts[at.district]
    district.twin_latency_seconds = at.scene.random.uniform(8, 20)
    at.load = max(at.load, 6)
    assert district.twin is not None
    return of("provider", "provider_slow", name=at.district, says=str(district.twin.port))


@kind(endpoints=2)
def failing_endpoint(at: Trouble) -> Expected:
    """One of two endpoints answers 5xx; calls go to the other one."""
    district = at.scene.districts[at.district]
    district.twin_answer = answers(at.scene.random.choice((500, 502, 503)))
    at.load = 16
    assert district.twin is not None
    return of("provider", "provider_down", name=at.district, says=str(district.twin.port))


@kind(endpoints=2)
def lost_endpoint(at: Trouble) -> Expected:
    """One of two endpoints accepts no connection; calls go to the other one."""
    district = at.scene.districts[at.district]
    assert district.twin is not None
    port = district.twin.port
    district.stop_twin()
    at.load = 16
    return of(
        "provider", "provider_down", "provider_unreachable", name=at.district, says=str(port)
    )  # fmt: skip


@kind()
def posts_fail(at: Trouble) -> Expected:
    """It answers 5xx to what changes something, and everything else as ever."""
    good = at.scene.districts[at.district].answer
    bad = answers(at.scene.random.choice((500, 502)))

    def answer(asked: Asked) -> Reply:
        return bad(asked) if asked.method == "POST" else good(asked)

    at.scene.districts[at.district].answer = answer

    def more() -> None:
        for method in ("POST", "GET", "POST", "GET", "POST", "GET"):
            _calls(at, method, 1)

    at.more = more
    return of("provider", "provider_down", "outcome_unknown", name=at.district)


@kind()
def failing_dataset(at: Trouble) -> Expected:
    """It answers 5xx to the pages of one dataset, and everything else as ever."""
    answer_lists(at, answers(500))
    begin_sync(at)
    at.subject = at.scene.random.choice((at.district, f"{at.district}/orgs"))
    return of("provider", "provider_down", "retry_waits", name=at.district)


@kind()
def forbidden_dataset(at: Trouble) -> Expected:
    """It refuses one dataset for want of a permission."""
    status = at.scene.random.choice((403, 404))
    answer_lists(at, lambda _: json_reply({"message": "no"}, status))
    sync(at)
    at.subject = f"{at.district}/orgs"
    return of("provider", "dataset_absent", "requests_refused", name=at.district)


@kind()
def never_read(at: Trouble) -> Expected:
    """No schedule reads a dataset, and nobody ever did."""
    at.subject = f"{at.district}/{at.scene.random.choice(('users', 'classes'))}"
    return of("nobody", "never_read")


@kind()
def half_invalid(at: Trouble) -> Expected:
    """A sync's answers cannot be read, while requests of apps are answered as ever."""
    half = b'{"orgs": [{"sourcedId": '
    answer_lists(at, lambda _: (200, {"Content-Type": "application/json"}, half))
    sync(at)
    at.load = max(at.load, 6)
    at.subject = at.scene.random.choice((at.district, f"{at.district}/orgs"))
    return of("provider", "answers_invalid", name=at.district)
