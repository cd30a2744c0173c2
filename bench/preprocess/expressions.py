"""What both peers say in the same words: SQL expressions that DuckDB and Spark understand alike.

Each follows the definition of docs/features.md. `regexp_like` is Spark's name; the DuckDB job defines it as a macro.
Backslashes in the literals are meant for the regular expression, so Spark is told not to read them (see spark_job.py).
"""

DAY = 86_400_000
"""Milliseconds."""


def one_of(words):
    return "(" + ",".join(f"'{word}'" for word in words.split()) + ")"


# ---- Title and body -------------------------------------------------------------------------------------------------

CATEGORY = {
    "feature": "feat feature features enhancement",
    "fix": "fix fixes bug bugfix hotfix",
    "docs": "doc docs documentation user-documentation",
    "test": "test tests testing",
    "refactor": "ref refactor refactoring cleanup clean-up tweak/refactor",
    "performance": "perf performance",
    "build": "build",
    "ci": "ci",
    "dependency": "dep deps dependency dependencies",
    "chore": "chore style maintenance",
    "revert": "revert",
}
WORDS_OF_CATEGORIES = "|".join(" ".join(CATEGORY.values()).split())
WORDS_OF_FIX = CATEGORY["fix"].replace(" ", "|")

TYPE = rf"(?i)^\s*({WORDS_OF_CATEGORIES})\s*(\([^)]*\))?!?:\s*"
"""The type of change before a title's colon, after Conventional Commits."""
REVERT_TITLE = r'^\s*[Rr]evert "'

TITLE_REST = f"""trim(case when regexp_like(title, '{REVERT_TITLE}')
    then regexp_replace(regexp_replace(title, '{REVERT_TITLE}', ''), '"\\s*$', '') else regexp_replace(title, '{TYPE}', '') end)"""
"""The title without what declares its category."""

DECLARES_FIX = f"""(regexp_like(title, '(?i)^\\s*({WORDS_OF_FIX})\\s*(\\([^)]*\\))?!?:')
    or not regexp_like(title, '{TYPE}|{REVERT_TITLE}') and fix_labels > 0 and other_labels = 0)"""

def says(words):
    return rf"regexp_like(lower(rest), '(^|[^\p{{L}}\p{{N}}])({words.replace(' ', '|')})($|[^\p{{L}}\p{{N}}])')"


TITLE_FLAGS = {
    "says_fix": says("fix fixes fixed fixing bug bugfix hotfix regression crash"),
    "says_revert": says("revert reverts reverted reverting rollback undo backout"),
    "says_security": says("security vulnerability cve exploit xss csrf injection"),
    "says_unfinished": says("wip draft experiment experimental hack temporary temp workaround"),
    "says_again": says("reland reapply again redo unrevert"),
}

BODY_FLAGS = {
    name: f"case when contains(body, '{rare}') then regexp_like(body, '{pattern}') else false end"
    for name, rare, pattern in [
        ("checklist", "[", r"(?m)^\s*(- \[[ xX]\]|\* \[[ x]\])"),
        ("headings", "# ", r"(?m)^\s*#{1,3} "),
        ("code_block", "```", r"(?m)^\s*```"),
    ]
}
"""A plain search first: it is many times as fast, and most bodies end there."""
BODY_FLAGS["issue_link"] = """case when contains(body, '/issues/') then true
        when contains(body, '#') then regexp_like(body, '(?m)(^|[^&/])#[0-9]') else false end"""

LABEL_PREFIX = r"^(type:|type/|kind:|kind/|category:|c-|t-)\s*"

# ---- Paths: asked once of each distinct path, as columns of a table `path` of (filename, lower, name, extension) -----

LANGUAGES = """rust=rs python=py,pyi,pyx javascript=js,jsx,mjs,cjs typescript=ts,tsx,mts go=go java=java kotlin=kt,kts
scala=scala c=c,h c++=cc,cpp,cxx,hpp,hh,hxx c#=cs ruby=rb php=php swift=swift objective-c=m,mm shell=sh,bash,zsh,ps1,bat
sql=sql html=html,htm,vue,svelte css=css,scss,sass,less interface=proto,thrift,graphql assembly=s,asm lua=lua r=r julia=jl
erlang=ex,exs,erl haskell=hs ocaml=ml,mli clojure=clj dart=dart perl=pl,pm sage=sage zig=zig"""
LANGUAGE = (
    "case extension "
    + " ".join(
        f"when '{extension}' then {number}"
        for number, entry in enumerate(LANGUAGES.split())
        for extension in entry.split("=")[1].split(",")
    )
    + " end"
)
"""A number below 64, so that the languages of a pull request are the bits of one number."""

KIND = rf"""case
    when regexp_like(lower, '(^|/)(vendor|node_modules|third_party|dist|generated|__snapshots__)(/|$)|(\.min\.js|\.min\.css|\.pb\.go|_pb2\.py|_pb2_grpc\.py|\.g\.dart|\.snap)$|\.generated\.[^/]*$') then 'generated'
    when name in {one_of('cargo.lock cargo.toml package.json package-lock.json yarn.lock pnpm-lock.yaml go.mod go.sum pipfile pipfile.lock poetry.lock uv.lock setup.py pyproject.toml gemfile gemfile.lock composer.json composer.lock pom.xml build.gradle build.gradle.kts')}
        or name like 'requirements%.txt' then 'dependency'
    when regexp_like(lower, '^\.github/workflows/|(^|/)(\.circleci|\.buildkite|\.ci)(/|$)|(^|/)ci/')
        or name in {one_of('.travis.yml .gitlab-ci.yml .cirrus.yml appveyor.yml jenkinsfile azure-pipelines.yml cloudbuild.yaml')} then 'ci'
    when regexp_like(lower, '(^|/)(test|tests|testing|spec|specs|__tests__|testdata|fixtures)/|(^|/)conftest(\.[^/]*)?$|\.spec\.[^/]*$')
        or regexp_like(stem, '^[^A-Za-z]*(?i:tests?)([^A-Za-z]|$)|(^|[^A-Za-z])(?i:tests?)[^A-Za-z]*$|Tests?[^A-Za-z]*$|^[^A-Za-z]*(Tests?|test)[A-Z]') then 'test'
    when regexp_like(lower, '(^|/)docs?/|(^|/)(readme|changelog|changes|license|copying|contributing|authors|codeowners)(\.[^/]*)?$')
        or extension in {one_of('md rst adoc txt')} and name <> 'cmakelists.txt' then 'docs'
    when extension in {one_of('json yaml yml toml ini cfg conf properties env lock xml in am ac cmake nix hcl tf')}
        or name in {one_of('makefile cmakelists.txt')} or name like 'dockerfile%' or name like '.%' and language is null then 'config'
    when extension in {one_of('png jpg jpeg gif svg ico pdf woff woff2 ttf mp4 zip gz bin csv parquet')} then 'asset'
    when language is not null then 'source'
    else 'other' end"""  # noqa: E501

KINDS = "source test docs config ci dependency generated asset".split()


def has_word(words):
    return f"regexp_like(lower, '(^|[^a-z0-9])({'|'.join(words.split())})([^a-z0-9]|$)')"


SENSITIVE = {
    "touches_authentication": has_word(
        "auth authn authz authentication authorization oauth login password passwords permission permissions saml sso rbac acl"
    ),
    "touches_cryptography": has_word(
        "crypto cryptography cipher encrypt encryption decrypt signature signatures tls ssl cert certs certificate certificates"
        " secret secrets keys hash ecdsa schnorr schnorrsig ecdh rsa"
    ),
    "touches_migration": has_word("migration migrations migrate alembic schema schemas"),
    "touches_workflow": r"regexp_like(lower, '^\.github/(workflows|actions)/')",
}

# ---- What is written, in the order of the catalog --------------------------------------------------------------------

LEFT_OUT = (
    "churn_to_median churn_in_spreads files_to_median files_in_spreads author_revert_ratio path_revert_ratio title_revert_ratio"
).split()
"""Features that no peer computes: quartiles of a repository's changes as of each creation, from a histogram in steps, and
how often what is alike was taken back, over a year that moves or by each word of a title."""


def history(value, known="true"):
    """What is unknown before the first pull request of a repository that is known."""
    return f"case when repository_opened > 0 and {known} then {value} end"


def columns(real, listed, file_additions, file_deletions):
    """Every shared feature as `cast(… as <real>) as <name>`; the other arguments are the dialect's words for what a row's
    own list of files says."""
    added = f"coalesce(additions, case when files is not null then coalesce({file_additions}, 0) end)"
    deleted = f"coalesce(deletions, case when files is not null then coalesce({file_deletions}, 0) end)"
    changed = f"coalesce(changed_files, {listed})"
    churn = f"({added} + {deleted})"
    flag = "case when {0} then 1 when not ({0}) then 0 end".format
    of_files = "case when files is not null then {} end".format
    turn = f"(created + 3 * {DAY}) % {{0}} / cast({{0}} as double) * 2 * pi()".format
    zero = "coalesce({}, 0)".format
    features = {
        "additions": added,
        "deletions": deleted,
        "changed_files": changed,
        "commits": "commits",
        "churn": churn,
        "churn_per_file": f"case when {changed} > 0 then {churn} / cast({changed} as double) end",
        "share_added": f"case when {churn} > 0 then {added} / cast({churn} as double) end",
        "entropy": of_files(zero("entropy")),
        "largest_file_share": "largest_share",
        "directories": of_files(zero("directories")),
        "subsystems": of_files(zero("subsystems")),
        "languages": of_files(zero("languages")),
        "deepest_path": of_files(zero("deepest")),
        "files_per_directory": "listed / cast(directories as double)",
        **{f"share_{kind}": f"share_{kind}" for kind in KINDS},
        "source_without_tests": of_files(zero(flag("share_source > 0 and share_test = 0"))),
        **{
            f"files_{what}": f"case when listed is null and files is not null then 0 when with_status > 0 then {what} end"
            for what in ("added", "removed", "renamed")
        },
        **{name: of_files(zero(flag(name))) for name in SENSITIVE},
        "author_is_insider": flag("insider"),
        "author_is_bot": f"case when has_author then {zero(flag('bot'))} end",
        "from_fork": flag("from_fork"),
        "author_is_new": history(flag("author_opened = 0"), "has_author"),
        "author_opened": history("author_opened", "has_author"),
        "author_merged_share": history("author_merged / cast(author_opened as double)", "has_author and author_opened > 0"),
        "author_reverted_share": history("author_reverted / cast(author_merged as double)", "has_author and author_merged >= 3"),
        "author_days_since_last": history(f"(created - author_last) / cast({DAY} as double)", "has_author"),
        "author_knows_files": history("known", "has_author"),
        "author_knows_directories": history("directories_known", "has_author"),
        "author_file_experience": history("experience", "has_author"),
        **{
            f"file_{what}_{how}": history(f"{what}_{how}")
            for what in ("merges", "authors")
            for how in ("max", "mean")
        },
        "file_days_min": history(f"age_min / cast({DAY} as double)"),
        "file_days_mean": history(f"age_mean / cast({DAY} as double)"),
        **{
            f"file_{what}_{how}": history(f"{what}_{how}")
            for what in ("fixes", "reverts")
            for how in ("max", "mean")
        },
        "files_without_history": history("without_history"),
        "directory_merges_max": history("directory_merges"),
        "directory_reverts_max": history("directory_reverts"),
        "hour_sin": f"sin({turn(DAY)})",
        "hour_cos": f"cos({turn(DAY)})",
        "weekday_sin": f"sin({turn(7 * DAY)})",
        "weekday_cos": f"cos({turn(7 * DAY)})",
        "weekend": flag(f"(created + 3 * {DAY}) % {7 * DAY} >= 5 * {DAY}"),
        "title_length": "title_length",
        "title_words": "title_words",
        "body_length": "body_length",
        "body_is_missing": flag("body_length = 0"),
        **{name: flag(name) for name in BODY_FLAGS},
        **{name: flag(name) for name in TITLE_FLAGS},
        "draft": flag("draft"),
        "labels": "labels",
        "assignees": "assignees",
        "requested_reviewers": "requested_reviewers",
        "other_base": flag("other_base"),
        "repository_is_young": flag("repository_opened < 50"),
        "repository_merged_share": history("repository_merged / cast(repository_opened as double)"),
        "repository_reverted_share": history("repository_reverted / cast(repository_merged as double)", "repository_merged >= 3"),
    }
    return ",\n        ".join(f"cast({value} as {real}) as {name}" for name, value in features.items())
