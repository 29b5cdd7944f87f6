"""The users of `load`, for locust: each asks once a second, and looks at what it gets."""

from locust import constant_pacing, task
from locust.contrib.fasthttp import FastHttpUser

TARGET = "/sis/powerschool/ws/v1/district"


class Portal(FastHttpUser):  # type: ignore[misc]  # lint has no locust
    """A caller of an app with the middleware."""

    wait_time = constant_pacing(1)

    @task
    def district(self) -> None:
        """Ask the provider through the app. An answer that is not the provider's is a lost one."""
        with self.client.get(TARGET, name="request", catch_response=True) as answer:
            if answer.status_code != 200 or b"district" not in (answer.content or b""):
                answer.failure(f"{answer.status_code}")
