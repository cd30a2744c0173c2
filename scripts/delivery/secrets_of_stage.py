"""The secrets of a stage, from where the programs have them too (docs/secrets.md): Vault where VAULT_ADDR is set, the environment else."""

import os
from pathlib import Path

import http_json
from release import Refused


def read(*names, of=""):
    """Their values by name; one that is missing is left out. `of` stands before the names of all variables, where there are two stages."""
    told = {name.removeprefix(of): value for name, value in os.environ.items() if name.startswith(of) and value}
    address = told.get("VAULT_ADDR", "").rstrip("/")
    if not address:
        return {name: told[name.upper()] for name in names if name.upper() in told}
    try:
        mount = told.get("VAULT_AUTH_MOUNT", "jwt")
        token = Path(told["VAULT_JWT_FILE"]).read_text().strip()
        login = http_json.call("POST", f"{address}/v1/auth/{mount}/login", {"role": told["VAULT_ROLE"], "jwt": token})
        engine, path = told["VAULT_SECRET_PATH"].split("/", 1)
        headers = {"x-vault-token": login["auth"]["client_token"]}
        data = http_json.call("GET", f"{address}/v1/{engine}/data/{path}", headers=headers)["data"]["data"]
    except KeyError as missing:
        raise Refused(f"{of}VAULT_ADDR is set, and {missing} is missing") from None
    except OSError as failed:
        raise Refused(f"{of}VAULT_JWT_FILE has to name a file that holds a token: {failed}") from None
    except http_json.Failed as failed:
        raise Refused(f"Vault gives no secret: {failed}") from None
    return {name: data[name] for name in names if data.get(name)}
