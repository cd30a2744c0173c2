"""A repository with a long history, made by `git fast-import`: squash merges named as GitHub names them."""

import random
import shutil
import subprocess

PATHS = 3_000
LINES = 60
CHANGED = 4
"""Most files of a commit."""


def git(folder, *arguments, **more):
    subprocess.run(["git", "-C", folder, *arguments], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **more)


def make(folder, commits):
    """Makes the repository in `folder`, which is not there yet."""
    partial = folder.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    git(partial, "init", "--quiet", "--bare", "--initial-branch=main")
    importing = subprocess.Popen(["git", "-C", partial, "fast-import", "--quiet"], stdin=subprocess.PIPE)
    for piece in stream(commits):
        importing.stdin.write(piece)
    importing.stdin.close()
    if importing.wait():
        raise SystemExit("git fast-import failed")
    # As a clone has it: one pack, with deltas.
    git(partial, "repack", "-a", "-d", "-f", "--window=5", "--quiet")
    partial.rename(folder)


def stream(commits):
    dice = random.Random(1)
    files = {}
    for number in range(1, commits + 1):
        author = dice.randrange(200)
        message = f"Change part {dice.randrange(100)} of it (#{number})\n\nFor the {number}th time.\n".encode()
        time = 1_400_000_000 + number * 600
        head = f"commit refs/heads/main\nmark :{number}\n"
        for role in ["author", "committer"]:
            head += f"{role} Author {author} <{author}+author-{author}@users.noreply.github.com> {time} +0000\n"
        yield head.encode() + b"data %d\n" % len(message) + message
        if number > 1:
            yield f"from :{number - 1}\n".encode()
        for _ in range(dice.randint(1, CHANGED)):
            index = dice.randrange(PATHS)
            path = f"part-{index % 30}/module-{index % 300}/file-{index}.rs"
            text = files.setdefault(path, [f"line {line} of {path}" for line in range(LINES)])
            for _ in range(dice.randint(1, 5)):
                text[dice.randrange(LINES)] = f"changed by {number}: {dice.random()}"
            content = "\n".join(text).encode() + b"\n"
            yield f"M 100644 inline {path}\n".encode() + b"data %d\n" % len(content) + content + b"\n"
        yield b"\n"
