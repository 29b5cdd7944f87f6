"""Trying the rules that change requests and responses, over HTTP."""

from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Any

from sisgate.client.connection import Connection
from sisgate.client.paths import provider_path
from sisgate.client.reading import reads_answers
from sisgate.client.twins import twin
from sisgate.client.values import order_of
from sisgate.gateway.orders import NewRequest
from sisgate.gateway.transforms import Transforms, TransformTrial
from sisgate.transforms import Transformed

_OF_REQUEST = ("method", "path", "query", "json", "body", "headers")


@reads_answers
class HttpTransforms:
    """`gateway.transforms` over HTTP."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @twin(Transforms.test)
    def test(
        self, request: NewRequest, response: bytes | None, headers: Mapping[str, str] | None,
        **options: Any,
    ) -> TransformTrial:  # fmt: skip
        order = order_of(request)
        body = {
            **{name: order[name] for name in _OF_REQUEST if name in order},
            "name": request.transform, **options,
            "response": b64encode(response).decode() if response is not None else None,
            "response_headers": dict(headers) if headers is not None else None,
        }  # fmt: skip
        path = f"{provider_path(request.provider)}/transforms/test"
        tried = self._connection.post(path, body, may_repeat=True)
        done = tried["response"] and Transformed(
            tried["response"]["headers"], b64decode(tried["response"]["body"])
        )
        return TransformTrial(request.provider, tried["transform"], tried["request"], done)
