"""A store (docs/formats.md) as far as a model has to be carried: files by their paths, in a folder or in a bucket of any S3."""

import datetime
import hashlib
import hmac
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from release import Refused


def open_store(url, secrets):
    """The store at a URL such as file:///srv/prowl or s3://bucket/prefix."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme == "file":
        return Folder(Path(urllib.parse.unquote(parts.path)))
    if parts.scheme == "s3":
        missing = {"spaces_endpoint", "spaces_region", "spaces_key", "spaces_secret"} - set(secrets)
        if missing:
            raise Refused(f"the secrets of {url} lack {', '.join(sorted(missing))}")
        return Bucket(parts.netloc, parts.path.strip("/"), secrets)
    raise Refused(f"{url!r} is no store: file:///folder or s3://bucket/prefix")


class Folder:
    """Below a folder."""

    def __init__(self, root):
        self.root = root

    def get(self, path):
        file = self.root / path
        return file.read_bytes() if file.exists() else None

    def put(self, path, content):
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)


class Bucket:
    """Below a prefix of a bucket; requests are signed as AWS describes it (Signature Version 4)."""

    def __init__(self, bucket, prefix, secrets):
        self.root = f"/{bucket}/{prefix}" if prefix else f"/{bucket}"
        self.endpoint = secrets["spaces_endpoint"].rstrip("/")
        self.region, self.key, self.secret = secrets["spaces_region"], secrets["spaces_key"], secrets["spaces_secret"]

    def get(self, path):
        try:
            return self._ask("GET", path)
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            raise Refused(f"the store answers {error.code} to a read of {path}") from None

    def put(self, path, content):
        try:
            self._ask("PUT", path, content)
        except urllib.error.HTTPError as error:
            raise Refused(f"the store answers {error.code} to a write of {path}") from None

    def _ask(self, method, path, content=b""):
        path = urllib.parse.quote(f"{self.root}/{path}", safe="/-_.~")
        now = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
        body = hashlib.sha256(content).hexdigest()
        headers = {"host": urllib.parse.urlsplit(self.endpoint).netloc, "x-amz-content-sha256": body, "x-amz-date": now}
        names = ";".join(headers)
        lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
        request = f"{method}\n{path}\n\n{lines}\n{names}\n{body}"
        scope = f"{now[:8]}/{self.region}/s3/aws4_request"
        text = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
        key = f"AWS4{self.secret}".encode()
        for part in (*scope.split("/"), text):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        headers["authorization"] = f"AWS4-HMAC-SHA256 Credential={self.key}/{scope}, SignedHeaders={names}, Signature={key.hex()}"
        data = content if method == "PUT" else None
        try:
            with urllib.request.urlopen(urllib.request.Request(self.endpoint + path, data=data, method=method, headers=headers), timeout=120) as answer:
                return answer.read()
        except urllib.error.HTTPError:
            raise
        except OSError as failed:
            raise Refused(f"the store at {self.endpoint} does not answer: {failed}") from None
