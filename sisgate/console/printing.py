"""What a browser may do with a page, also with one that is printed and has its own style sheet."""

from base64 import b64encode
from hashlib import sha256

from starlette.responses import HTMLResponse, Response

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""Nothing runs or is shown but what this service sends in files of its own."""

HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "same-origin",  # with `no-referrer`, forms would not say where they are from
}


def printed(html: str) -> Response:
    """Return a whole page, which is shown with its own style sheet and no other."""
    style = html.partition("<style>")[2].partition("</style>")[0]
    digest = b64encode(sha256(style.encode()).digest()).decode()
    policy = POLICY.replace("style-src 'self'", f"style-src 'sha256-{digest}'")
    return HTMLResponse(html, headers=HEADERS | {"Content-Security-Policy": policy})
