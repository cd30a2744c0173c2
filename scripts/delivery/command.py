"""How the scripts here end: 0 done, 1 refused or failed, 2 wrong use, with one sentence on stderr."""

import subprocess
import sys

from release import Refused


def run(main):
    """Runs a script's main function."""
    name = sys.argv[0].rsplit("/", 1)[-1]
    try:
        sys.exit(main())
    except Refused as refused:
        sys.exit(f"{name}: refused: {refused}")
    except subprocess.CalledProcessError as failed:
        words = failed.stderr or failed.stdout or ""
        sys.exit(f"{name}: {' '.join(map(str, failed.cmd[:6]))} failed: {words.strip()}")
    except OSError as failed:
        sys.exit(f"{name}: {failed}")
