"""What the documents name of this repository: commands, links, paths, targets of make, flags of programs."""

import fnmatch
import re
import shlex
import subprocess
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

import stages

ROOT = Path(__file__).resolve().parent.parent
# Those that are looked through.
DOCUMENTS = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "docs/*.md"]
PROGRAMS = ["prowl", *(f"prowl-{target}" for target in stages.TARGETS)]
# Where programs lie that are no binaries of ours; their flags are looked for as words.
SCRIPTS = ["bench", "e2e-kubernetes", "helm/vault", "images", "scripts/delivery", "scripts/environments"]
# What stands without its program, which is somebody else's: Argo CD, mongoexport, mongoexport, MLflow, Helm.
FLAGS_OF_OTHERS = {"--cascade", "--jsonArray", "--pretty", "--serve-artifacts", "--wait"}
# What comes to be later: the record of what was tested.
LATER = {"helm/environments/tested.json"}


class Command(NamedTuple):
    """A command of a ```sh block, which may take several lines, the line on which it begins, and its section."""

    section: str
    line: int
    text: str


class Line(NamedTuple):
    """A line, the language of the block that it is in (None outside), and the section (`## …`) that it is in."""

    number: int
    text: str
    language: str | None
    section: str


def lines_of(text):
    """The lines, without those that begin and end a block."""
    language, section = None, ""
    for number, line in enumerate(text.splitlines(), 1):
        if fence := re.match(r" *```(\w*)", line):
            language = (fence[1] or "text") if language is None else None
            continue
        if language is None and line.startswith("## "):
            section = line.removeprefix("## ")
        yield Line(number, line, language, section)


def whole(text):
    """Whether bash takes this for whole commands."""
    if text.endswith("\\"):
        return False
    return subprocess.run(["bash", "-n"], check=False, input=text, text=True, capture_output=True).returncode == 0


def commands(text):
    """The commands of the ```sh blocks. What is not whole at the end of its block is one, too, for bash to refuse."""
    found, begun = [], None
    for line in [*lines_of(text), Line(0, "", None, "")]:
        if line.language != "sh":
            found += [begun] if begun else []
            begun = None
        elif begun:
            begun = begun._replace(text=f"{begun.text}\n{line.text}")
        elif line.text.strip() and not line.text.startswith("#"):
            begun = Command(line.section, line.number, line.text)
        if begun and whole(begun.text):
            found.append(begun)
            begun = None
    return found


def code(text):
    """What is written as code, with its line: each command, and each piece of `inline code`."""
    for command in commands(text):
        yield command.line, command.text
    for line in lines_of(text):
        if line.language is None:
            for _, piece in re.findall(r"(`+)(.+?)\1", line.text):
                # In a table a bar is written so.
                yield line.number, piece.replace("\\|", "|")


def simple(text):
    """The simple commands in a piece of code, each as its words, without comments and the variables set before it."""
    text = re.sub(r"(^|\s)#.*", r"\1", text.replace("\\\n", " ")).replace("\n", ";")
    tokens = shlex.shlex(text, posix=True, punctuation_chars="|&;()")
    tokens.whitespace_split, tokens.commenters = True, ""
    try:
        tokens = list(tokens)
    except ValueError:
        # Half a quotation, as in a sentence about one.
        tokens = text.split()
    words = []
    for token in [*tokens, ";"]:
        if set(token) <= set("|&;()"):
            if words:
                yield words
            words = []
        elif words or not (re.match(r"\w+=", token) or token in ("{", "do", "then", "exec")):
            words.append(token)


def anchors(text):
    """The names that GitHub gives to the headings: small letters, no punctuation, a number where one comes again."""
    names, times = set(), {}
    for line in lines_of(text):
        if line.language is None and (heading := re.match(r"#{1,6} +(.*?)[ #]*$", line.text)):
            plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading[1])
            name = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
            count = times[name] = times.get(name, -1) + 1
            names.add(f"{name}-{count}" if count else name)
    return names


def links(file, text, places):
    """What is wrong with links that stay here: the place has to be in the repository, the heading in the document."""
    for line in lines_of(text):
        prose = re.sub(r"`[^`]*`", "", line.text) if line.language is None else ""
        for target in re.findall(r"\]\(([^)\s]+)\)", prose):
            if re.match(r"[a-z]+:", target):
                continue
            path, _, anchor = unquote(target).partition("#")
            there = (file.parent / path).resolve() if path else file
            if not there.is_relative_to(ROOT) or str(there.relative_to(ROOT)) not in places:
                yield line.number, f"there is no {path}"
            elif anchor and anchor not in anchors(there.read_text()):
                yield line.number, f"{path or file.name} has no heading #{anchor}"


def paths(text, places):
    """What is wrong with paths in code: what begins with a folder of the repository has to be in it."""
    for number, piece in code(text):
        for word in re.split(r"[\s'\"=(),;|]+", piece):
            path = word.rstrip(".:/")
            ours = re.fullmatch(r"[\w.*-]+/[\w./*-]*", word) and path.split("/")[0] in places
            if ours and path not in LATER and not fnmatch.filter(places, path):
                yield number, f"there is no {path}"


def targets(text, known):
    """What is wrong with calls of make: `make help` or `make bench` has to list the target."""
    for number, piece in code(text):
        for name, *words in simple(piece):
            for word in words if name == "make" else []:
                if re.fullmatch(r"[a-z][a-z0-9-]*", word) and word not in known:
                    yield number, f"make help does not list {word}"


def targets_of_make():
    """The targets that make tells of."""
    make = ["make", "--no-print-directory", "-C", ROOT]
    told = [subprocess.run([*make, which], check=True, capture_output=True, text=True) for which in ("help", "bench")]
    return {name for each in told for name in re.findall(r"^  make (\S+)", each.stdout, re.M)}


def flags(text, known):
    """What is wrong with flags: beside a program of ours one has to be of its command, alone of any program here."""
    anywhere = FLAGS_OF_OTHERS.union(*(some for program in known.values() for some in program.values()))
    for number, piece in code(text):
        for first, *words in simple(piece):
            program = Path(first).name
            given = [word.split("=")[0].rstrip(".,:") for word in [first, *words] if re.match(r"--[A-Za-z]", word)]
            if program in known:
                command = words[0] if words and words[0] in known[program] else ""
                for flag in given:
                    if flag not in known[program][command]:
                        yield number, f"{f'{program} {command}'.strip()} has no {flag}"
            elif first.startswith("--"):
                for flag in given:
                    if not flag.endswith("…") and flag not in anywhere and not in_scripts(flag):
                        yield number, f"no program here has {flag}"


def flags_of(program):
    """The flags of a program, as --help tells: those of each of its commands by name, and those without one as \"\"."""

    def told(*command):
        return subprocess.run([program, *command, "--help"], check=True, capture_output=True, text=True).stdout

    def named(text):
        return {"--help", "--version", *re.findall(r"^ +(?:-\w, )?(--[A-Za-z0-9][\w-]*)", text, re.M)}

    alone = told()
    listing = re.search(r"^Commands:\n((?: .*\n)+)", alone, re.M)
    names = re.findall(r"^  ([a-z-]+)", listing[1], re.M) if listing else []
    return {"": named(alone)} | {name: named(told(name)) for name in names if name != "help"}


def in_scripts(flag):
    """Whether a script has the flag."""
    grep = ["git", "-C", ROOT, "grep", "--quiet", "--word-regexp", "--fixed-strings", "-e", flag, "--"]
    return subprocess.run([*grep, *SCRIPTS], check=False).returncode == 0


def places_of_git():
    """All files and folders of the repository, those that are not committed yet as well."""
    listing = ["git", "-C", ROOT, "ls-files", "--cached", "--others", "--exclude-standard"]
    told = subprocess.run(listing, check=True, capture_output=True, text=True).stdout
    files = [Path(line) for line in told.splitlines() if (ROOT / line).exists()]
    return {str(place) for file in files for place in (file, *file.parents)}


def check(programs):
    """What is wrong in the documents, a line each, and how many they are. `programs` is where ours are."""
    files = [file for pattern in DOCUMENTS for file in sorted(ROOT.glob(pattern))]
    places, make = places_of_git(), targets_of_make()
    known = {program: flags_of(programs / program) for program in PROGRAMS}
    wrong = []
    for file in files:
        text = file.read_text()
        for found in (links(file, text, places), paths(text, places), targets(text, make), flags(text, known)):
            wrong += [f"{file.relative_to(ROOT)}:{number}: {what}" for number, what in found]
    return wrong, len(files)
