"""git, as the scripts here need it: reading what a commit holds, and moving a branch without losing what others pushed meanwhile."""

import contextlib
import subprocess
import tempfile

# A push that another was quicker than is made anew, on top of the other.
TRIES = 5

_IDENTITY = ["-c", "user.name=prowl-delivery", "-c", "user.email=prowl-delivery@users.noreply.github.com"]


def git(*arguments, at=None, identity=False):
    """What git answers. Raises CalledProcessError where it fails."""
    command = ["git", *(["-C", str(at)] if at else []), *(_IDENTITY if identity else []), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def succeeds(*arguments, at=None):
    """Whether git says yes."""
    return subprocess.run(["git", *(["-C", str(at)] if at else []), *arguments], check=False, capture_output=True).returncode == 0


def fetch(name, remote):
    """The commit that a branch of the remote, or a commit by its name, is at."""
    git("fetch", "--quiet", remote, name)
    return git("rev-parse", "FETCH_HEAD").strip()


def exists(branch, remote):
    """Whether the remote has the branch."""
    return bool(git("ls-remote", "--heads", remote, f"refs/heads/{branch}").strip())


def show(commit, path):
    """A file as it is in a commit; empty where it is not there."""
    if not succeeds("cat-file", "-e", f"{commit}:{path}"):
        return ""
    return git("show", f"{commit}:{path}")


@contextlib.contextmanager
def checkout(commit):
    """A working tree of a commit, beside the one that the caller works in."""
    with tempfile.TemporaryDirectory() as folder:
        git("worktree", "add", "--quiet", "--detach", f"{folder}/tree", commit)
        try:
            yield f"{folder}/tree"
        finally:
            git("worktree", "remove", "--force", f"{folder}/tree")


def move(remote, branch, change, start=None):
    """Lets `change(tree)` change a tree of the newest commit of a branch, and pushes what it then is at. It tells the message of its
    commit, nothing where it has made its commits itself, or False where there is nothing to do. A branch that is new begins
    at `start`. Gives the commit that was pushed, or nothing."""
    for left in reversed(range(TRIES)):
        newest = fetch(start or branch, remote)
        with checkout(newest) as tree:
            message = change(tree)
            if message is False:
                return None
            if message:
                git("add", "--all", at=tree)
                git("commit", "--quiet", "--message", message, at=tree, identity=True)
            commit = git("rev-parse", "HEAD", at=tree).strip()
            if commit == newest:
                return None
            try:
                git("push", "--quiet", remote, f"HEAD:refs/heads/{branch}", at=tree)
            except subprocess.CalledProcessError:
                if not left:
                    raise
                continue
            return commit
    return None
