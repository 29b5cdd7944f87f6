"""Answers that come in time, and are not what was asked for."""

from collections.abc import Callable

from testbed.http_server import Asked, Reply, json_reply
from testbed.troubles.syncs import BASE, answer_lists, begin_sync, pages, schools, sync
from testbed.troubles.trouble import Expected, Trouble, answers, kind, of

LOGIN = b"<!DOCTYPE html><html><head><title>Sign in</title></head><body><form></form></body></html>"
HTML = {"Content-Type": "text/html; charset=utf-8"}
JSON = {"Content-Type": "application/json"}


def _lists_were_good(at: Trouble) -> None:
    """Let a sync have read everything some hours ago."""
    answer_lists(at, pages(schools(40)))
    sync(at)
    at.scene.clock.advance(at.scene.random.uniform(3600, 7200))


def _answer_all(at: Trouble, answer: Callable[[Asked], Reply]) -> None:
    """Let the trouble's district answer everything so, but for tokens."""
    district, good = at.scene.districts[at.district], at.scene.districts[at.district].answer
    district.answer = lambda asked: (good if asked.path == "/token" else answer)(asked)


def _ask_about_the_sync(at: Trouble) -> None:
    _lists_were_good(at)
    at.subject = at.scene.random.choice((at.district, f"{at.district}/orgs", "fleet"))


@kind()
def lists_break_off(at: Trouble) -> Expected:
    """Answers to lists end before their length is reached."""
    _ask_about_the_sync(at)
    body = b'{"orgs": [{"sourcedId": "org-1", "status": "act'
    cut = {**JSON, "Content-Length": str(10 * len(body))}
    answer_lists(at, lambda _: (200, cut, body))
    begin_sync(at)
    return of("provider", "answers_invalid", "provider_down", name=at.district, says="broke off")


@kind(bench_only=True)
def lists_are_text(at: Trouble) -> Expected:
    """A gateway of the vendor answers lists with a word."""
    _ask_about_the_sync(at)
    answer_lists(at, lambda _: (200, {"Content-Type": "text/plain"}, b"OK"))
    sync(at)
    return of("provider", "answers_invalid", name=at.district, says="JSON")


@kind(wants_key=True, bench_only=True)
def login_page(at: Trouble) -> Expected:
    """Everything is answered by the page of a login, with status 200."""
    at.district = "clark"
    _ask_about_the_sync(at)
    _answer_all(at, lambda _: (200, HTML, LOGIN))
    sync(at)
    return of("provider", "answers_invalid", name="clark", says="HTML")


@kind()
def pages_for_data(at: Trouble) -> Expected:
    """Requests of apps are answered by the page of a log-in, with status 200."""
    _answer_all(at, lambda _: (200, HTML, LOGIN))
    at.load = max(at.load, 6)
    at.subject = at.scene.random.choice((at.district, "fleet"))
    return of("provider", "answers_invalid", name=at.district, says="HTML", may_doubt=True)


@kind()
def pages_as_ever(at: Trouble) -> Expected:
    """A provider answers some apps by pages as ever: that is none of our concern."""
    _answer_all(at, lambda _: (200, HTML, LOGIN))
    at.scene.clock.advance(8 * 86_400)
    at.load = max(at.load, 6)
    return Expected()


@kind(wants_key=True)
def login_elsewhere(at: Trouble) -> Expected:
    """Everything is redirected to the single sign-on of another host."""
    at.district = "clark"
    _ask_about_the_sync(at)
    to = "https://sso.example.org/login?continue=/ims"
    _answer_all(at, lambda _: (302, {"Location": to}, b""))
    sync(at)
    at.load = max(at.load, 6)
    return of("provider", "provider_moved", "dataset_fails", name="clark", says="redirect")


@kind(bench_only=True)
def error_documents(at: Trouble) -> Expected:
    """Lists are answered by a document that tells of an error, with status 200."""
    _ask_about_the_sync(at)
    document = {"status": "error", "code": 4711, "message": "Reporting database unavailable"}
    answer_lists(at, lambda _: json_reply(document))
    sync(at)
    return of("provider", "answers_invalid", name=at.district)


@kind()
def same_page_again(at: Trouble) -> Expected:
    """The list begins again at each page: it has no end."""
    at.scene.clock.advance(60)
    every = schools(100)

    def answer(asked: Asked) -> Reply:
        return json_reply({"orgs": every[: int(asked.query.get("limit", 100))]})

    answer_lists(at, answer)
    at.subject = f"{at.district}/orgs"
    sync(at)
    return of("provider", "list_incomplete", name=at.district, says="same page")


@kind(bench_only=True)
def lists_moved(at: Trouble) -> Expected:
    """A dataset that was read every day is no longer found where it was."""
    _ask_about_the_sync(at)
    answer_lists(at, lambda _: (404, HTML, b"<html>Not found</html>"))
    for _ in range(2):
        sync(at)
        at.scene.clock.advance(60)
    at.subject = f"{at.district}/orgs"
    return of(
        "provider", "dataset_absent", "dataset_fails", "requests_refused", name=at.district,
        says="404",
    )  # fmt: skip


@kind()
def all_moved(at: Trouble) -> Expected:
    """Nothing is found where it was, by no app: that is no mistake of the apps."""
    _answer_all(at, lambda _: (404, HTML, b"<html>Not found</html>"))
    at.scene.apps = ["portal", "reports", "lms"]
    at.load = max(at.load, 8)
    return of("provider", "provider_moved", name=at.district, says="404")


@kind(wants_key=True, bench_only=True)
def one_right_missing(at: Trouble) -> Expected:
    """The key may read everything but one dataset, of which apps and a sync ask."""
    at.district = "clark"
    _lists_were_good(at)
    answer_lists(at, lambda _: json_reply({"message": "insufficient scope"}, 403))
    sync(at)
    at.load = max(at.load, 6)
    at.subject = at.scene.random.choice(("clark/orgs", "clark"))
    return of("provider", "dataset_fails", "requests_refused", name="clark", says="403")


@kind(wants_key=True)
def tokens_end_at_once(at: Trouble) -> Expected:
    """Each new token is refused as expired: the provider's clocks disagree."""
    at.district = "clark"
    made = [0]

    def answer(asked: Asked) -> Reply:
        if asked.path == "/token":
            made[0] += 1
            return json_reply({"access_token": f"t{made[0]}", "expires_in": 3600})
        why = 'Bearer error="invalid_token", error_description="The access token expired"'
        return json_reply({"message": "token expired"}, 401, WWW_Authenticate=why)

    at.scene.districts["clark"].answer = answer
    for key in at.scene.runtime.redis.scan_iter("sisgate:*token*"):
        at.scene.runtime.redis.delete(key)
    at.load = max(at.load, 5)
    return of(
        "provider", "tokens_fail", "tokens_refused", name="clark", says="token", may_doubt=True
    )  # fmt: skip


@kind(limit="200/h", burst=200, bench_only=True)
def quota_used_elsewhere(at: Trouble) -> Expected:
    """It answers 429, though most permits are left: somebody else uses the same account."""
    at.scene.districts[at.district].answer = answers(429, Retry_After="120")
    at.load = max(at.load, 3)
    return of("provider", "provider_throttles", name=at.district, says="were left")


@kind(over_tls=True, bench_only=True)
def certificate_of_another(at: Trouble) -> Expected:
    """Its name leads to a host that shows the certificate of another one."""
    district, authority = at.scene.districts[at.district], at.scene.authority
    assert district.tls is not None
    assert authority is not None
    district.tls.load_cert_chain(authority.issue("other.example.org"))
    at.scene.runtime.transport.close()
    at.others_work = True
    return of(
        "provider", "provider_down", "provider_unreachable", name=at.district, says="certificate"
    )  # fmt: skip


@kind(usual=40)
def slow_tail(at: Trouble) -> Expected:
    """One call of eight takes long, all others are as quick as ever."""
    district, made = at.scene.districts[at.district], [0]
    good = district.answer

    def answer(asked: Asked) -> Reply:
        made[0] += 1
        if made[0] % 8 == 0:
            at.scene.clock.advance(at.scene.random.uniform(15, 25))
        return good(asked)

    district.answer = answer
    at.load = 24
    return of("provider", "provider_slow", name=at.district)


@kind(settings="max_body_mb = 1", bench_only=True)
def lists_too_large(at: Trouble) -> Expected:
    """Pages are larger than the configuration takes."""
    _lists_were_good(at)
    body = b'{"orgs": ["' + b"x" * 1_200_000 + b'"]}'
    answer_lists(at, lambda asked: (200, JSON, body if asked.path.startswith(BASE) else b"{}"))
    sync(at)
    at.subject = at.scene.random.choice((at.district, f"{at.district}/orgs"))
    return of("provider", "answers_invalid", "dataset_fails", name=at.district, says="max_body_mb")
