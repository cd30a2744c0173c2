"""MLflow's registry of models, as far as a release needs it."""

import base64
import urllib.parse

import http_json


class Registry:
    """One server, and who asks it."""

    def __init__(self, uri, token=None):
        parts = urllib.parse.urlsplit(uri)
        host = parts.hostname + (f":{parts.port}" if parts.port else "")
        self.url = urllib.parse.urlunsplit((parts.scheme, host, parts.path.rstrip("/"), "", ""))
        self.headers = {}
        if parts.username:
            user = f"{urllib.parse.unquote(parts.username)}:{urllib.parse.unquote(parts.password or '')}"
            self.headers["authorization"] = f"Basic {base64.b64encode(user.encode()).decode()}"
        if token:
            self.headers["authorization"] = f"Bearer {token}"

    def candidate(self, name, alias):
        """The version of the registered model that has the alias, with its tags as a dictionary; nothing where there is none."""
        query = urllib.parse.urlencode({"name": name, "alias": alias})
        try:
            answer = http_json.call("GET", f"{self.url}/api/2.0/mlflow/registered-models/alias?{query}", headers=self.headers)
        except http_json.Failed as failed:
            # MLflow 3 says INVALID_PARAMETER_VALUE of an alias that no version has.
            if failed.status == 404 or failed.status == 400 and "alias" in failed.answer.lower():
                return None
            raise
        version = answer["model_version"]
        return {**version, "tags": {tag["key"]: tag["value"] for tag in version.get("tags", [])}}
