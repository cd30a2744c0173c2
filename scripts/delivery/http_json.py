"""Calls of REST interfaces that speak JSON."""

import json
import urllib.error
import urllib.request


class Failed(Exception):
    """An answer that is no, or none."""

    def __init__(self, what, status, answer):
        super().__init__(f"{what}: {status} {answer}")
        self.status = status
        self.answer = answer


def call(method, url, body=None, headers=None, timeout=30):
    """The answer as JSON; empty where there is no body."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, method=method, headers={"content-type": "application/json", **(headers or {})})
    what = f"{method} {url.split('?')[0]}"
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            text = answer.read().decode()
    except urllib.error.HTTPError as error:
        raise Failed(what, error.code, error.read().decode(errors="replace")[:500]) from None
    except (urllib.error.URLError, OSError) as error:
        raise Failed(what, "no answer", str(error)) from None
    return json.loads(text) if text else {}
