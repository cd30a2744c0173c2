"""The preprocessing job as a competent user of DuckDB would write it: `duckdb_job.py OUTPUT SPILL MEMORY INPUT…`."""

import json
import resource
import sys
import time

import duckdb
from expressions import *

output, spill, memory, *inputs = sys.argv[1:]
started = time.perf_counter()
con = duckdb.connect()


def run(phase, *statements):
    for statement in statements:
        con.execute(statement)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    took, cpu = time.perf_counter() - started, usage.ru_utime + usage.ru_stime
    print(f"{took:7.2f} s, CPU {cpu:7.2f} s after {phase}", file=sys.stderr)


run(
    "settings",
    "set threads = 2",
    f"set memory_limit = '{memory}'",
    f"set temp_directory = '{spill}'",
    "set preserve_insertion_order = false",
    "set enable_progress_bar = false",
    "create macro regexp_like(text, pattern) as regexp_matches(text, pattern)",
)

# Read once, typed; text becomes numbers at once, so that no title and no body is kept.
run(
    "read",
    f"""create temp table version as
with document as (
    select *, base.repo.full_name as repository, {TITLE_REST} as rest,
        [regexp_replace(trim(lower(l.name)), '{LABEL_PREFIX}', '') for l in labels] as bare
    from read_json({inputs!r}, format = 'newline_delimited', columns = {{
        number: 'BIGINT', title: 'VARCHAR', body: 'VARCHAR', draft: 'BOOLEAN', author_association: 'VARCHAR',
        created_at: 'STRUCT("$date" TIMESTAMP)', updated_at: 'STRUCT("$date" TIMESTAMP)', merged_at: 'STRUCT("$date" TIMESTAMP)',
        fetched_at: 'STRUCT("$date" TIMESTAMP)', reverted_at: 'STRUCT("$date" TIMESTAMP)', merge_commit_sha: 'VARCHAR',
        "user": 'STRUCT(login VARCHAR, type VARCHAR)', labels: 'STRUCT(name VARCHAR)[]', assignees: 'STRUCT(login VARCHAR)[]',
        requested_reviewers: 'STRUCT(login VARCHAR)[]', additions: 'BIGINT', deletions: 'BIGINT', changed_files: 'BIGINT',
        commits: 'BIGINT', base: 'STRUCT(ref VARCHAR, repo STRUCT(full_name VARCHAR))',
        head: 'STRUCT(repo STRUCT(full_name VARCHAR))',
        files: 'STRUCT(filename VARCHAR, status VARCHAR, additions BIGINT, deletions BIGINT)[]'}}))
select repository, number, hash(lower(repository)) as repository_key,
    hash(lower(repository), lower("user".login)) as author_key, "user".login is not null as has_author,
    epoch_ms(created_at."$date") as created, epoch_ms(updated_at."$date") as updated, epoch_ms(fetched_at."$date") as fetched,
    case when merged_at is not null then greatest(epoch_ms(merged_at."$date"), created) end as merged,
    epoch_ms(reverted_at."$date") as told_reverted, merge_commit_sha,
    additions, deletions, changed_files, commits, draft, files,
    author_association in ('OWNER', 'MEMBER', 'COLLABORATOR') as insider,
    "user".type = 'Bot' or "user".login like '%[bot]' as bot,
    case when head is null then null when head.repo is null then true
        else lower(head.repo.full_name) <> lower(repository) end as from_fork,
    base.ref not in ('main', 'master', 'trunk', 'develop') as other_base,
    len(labels) as labels, len(assignees) as assignees, len(requested_reviewers) as requested_reviewers,
    length(rest) as title_length, len(regexp_extract_all(rest, '[\p{{L}}\p{{N}}]+')) as title_words,
    coalesce(length(body), 0) as body_length,
    {", ".join(f"{test} as {name}" for name, test in {**TITLE_FLAGS, **BODY_FLAGS}.items())},
    len(list_filter(bare, lambda l: l in {one_of(CATEGORY["fix"])})) as fix_labels,
    len(list_filter(bare, lambda l: l in {one_of(" ".join(words for name, words in CATEGORY.items() if name != "fix"))})) as other_labels,
    coalesce({DECLARES_FIX} or says_fix, false) as is_fix,
    case when contains(body, 'Reverts ') then regexp_extract_all(body, 'Reverts ([^\s#]*#[0-9]+)', 1) else [] end as reverts_numbers,
    case when contains(body, 'This reverts commit ')
        then regexp_extract_all(body, 'This reverts commit ([0-9a-fA-F]{{7,16}})', 1) else [] end as reverts_commits,
    regexp_extract(title, '(?i)^\s*revert[: ]*"(.*)"', 1) as reverts_title,
    case when title like '%)' then regexp_replace(trim(title), ' ?\(#[0-9]+\)$', '') else trim(title) end as title_key
from document""",
)

# The newest version of each; the window sees the keys only, not the wide rows.
run(
    "newest version",
    """delete from version where rowid in (
    select rowid from version
    qualify row_number() over (partition by repository_key, number order by updated desc nulls last, fetched desc nulls last) > 1)""",
    "create temp view pr as select rowid as id, * from version",
)

# What was taken back, and since when that is known: the merge of a pull request that names it by number, commit or title.
run(
    "reverts",
    r"""create temp table known_revert as
with reference as (
    select repository, repository_key, number, merged, reverts_numbers, reverts_commits, reverts_title,
        regexp_extract(reverts_title, '\(#([0-9]+)\)$', 1) as quoted_number
    from pr where merged is not null and (reverts_title <> '' or len(reverts_numbers) > 0 or len(reverts_commits) > 0)),
named as (
    select repository, repository_key, number, merged, unnest(reverts_numbers) as name from reference),
by_number as (
    select repository_key, number, merged, split_part(name, '#', 2)::bigint as target from named
    where lower(split_part(name, '#', 1)) in ('', lower(repository))
    union all
    select repository_key, number, merged, quoted_number::bigint from reference where quoted_number <> ''),
by_commit as (
    select repository_key, number, merged, lower(unnest(reverts_commits)) as commit from reference),
by_title as (
    select repository_key, number, merged, regexp_replace(trim(reverts_title), ' ?\(#[0-9]+\)$', '') as title from reference
    where reverts_title <> '' and (repository_key, number) not in (select (repository_key, number) from by_number)),
found as (
    select p.id, r.merged as known from by_number r join pr p on p.repository_key = r.repository_key and p.number = r.target
    where r.number > p.number and r.merged >= p.merged
    union all
    select p.id, r.merged from by_commit r join pr p
        on p.repository_key = r.repository_key and left(p.merge_commit_sha, 7) = left(r.commit, 7)
    where starts_with(p.merge_commit_sha, r.commit) and r.number > p.number and r.merged >= p.merged
    union all
    select arg_max(p.id, p.number), r.merged from by_title r join pr p
        on p.repository_key = r.repository_key and p.title_key = r.title
    where r.number > p.number and r.merged >= p.merged group by r.repository_key, r.number, r.merged
    union all
    select id, told_reverted from pr where told_reverted >= merged)
select id, min(known) as reverted from found group by id""",
    # What later histories need of each pull request, and no more.
    """create temp table deed as
select id, repository_key, author_key, has_author, created, merged, reverted, is_fix, files,
    list_sum([coalesce(f.additions, 0) + coalesce(f.deletions, 0) for f in files]) as lines
from pr left join known_revert using (id)""",
)


def counted(key, moment):
    """How many facts there are of each key up to and with each moment: the right side of an as-of join."""
    return f"""(select {key}, {moment}, count(*) over (partition by {key} order by {moment} range unbounded preceding) as n
        from deed where {moment} is not null)"""


run(
    "repositories and authors",
    f"""create temp table people as
with opened as (
    select id, repository_key, author_key, created, rank() over (partition by repository_key order by created) - 1 as repository_opened,
        rank() over (partition by author_key order by created) - 1 as author_opened
    from deed)
select o.id, repository_opened, author_opened, coalesce(rm.n, 0) as repository_merged, coalesce(rr.n, 0) as repository_reverted,
    coalesce(am.n, 0) as author_merged, coalesce(ar.n, 0) as author_reverted, al.created as author_last
from opened o
asof left join {counted("repository_key", "merged")} rm on o.repository_key = rm.repository_key and o.created > rm.merged
asof left join {counted("repository_key", "reverted")} rr on o.repository_key = rr.repository_key and o.created > rr.reverted
asof left join {counted("author_key", "merged")} am on o.author_key = am.author_key and o.created > am.merged
asof left join {counted("author_key", "reverted")} ar on o.author_key = ar.author_key and o.created > ar.reverted
asof left join deed al on o.author_key = al.author_key and o.created > al.created""",
)

# Regular expressions look at each distinct path once.
run(
    "paths",
    """create temp table touched as
select hash(f.filename) as path, f.filename, f.status, coalesce(f.additions, 0) + coalesce(f.deletions, 0) as own_lines, * exclude (f)
from (select unnest(files) as f, * exclude (files), len(files) as listed from deed)""",
    f"""create temp table path as
with filename as (select path, any_value(filename) as filename from touched group by path),
named as (select *, lower(filename) as lower, regexp_extract(filename, '[^/]*$') as own_name from filename),
split as (
    select *, lower(own_name) as name, regexp_replace(own_name, '\\.[^.]*$', '') as stem,
        regexp_extract(lower, '\\.([^./]*)$', 1) as extension from named),
spoken as (select *, {LANGUAGE} as language from split)
select path, hash(regexp_replace(filename, '/?[^/]*$', '')) as directory,
    hash(case when contains(filename, '/') then split_part(filename, '/', 1) end) as subsystem,
    length(filename) - length(replace(filename, '/', '')) as depth, language, {KIND} as kind,
    {", ".join(f"{test} as {name}" for name, test in SENSITIVE.items())}
from spoken""",
    """create temp table file as
select path.*, id, status, case when lines > 0 then own_lines / lines else 1 / listed end as share,
    repository_key, author_key, created, merged, reverted, is_fix, has_author
from touched join path using (path)""",
)

run(
    "spread",
    f"""create temp table spread as
select id, count(*) as listed, max(share) as largest_share,
    greatest(-sum(case when share > 0 then share * log2(share) else 0 end), 0) as entropy,
    count(distinct subsystem) as subsystems, bit_count(bit_or(1::bigint << language)) as languages, max(depth) as deepest,
    count(status) as with_status, count(*) filter (status = 'added') as added,
    count(*) filter (status = 'removed') as removed, count(*) filter (status = 'renamed') as renamed,
    {", ".join(f"bool_or({name}) as {name}" for name in SENSITIVE)},
    {", ".join(f"coalesce(sum(share) filter (kind = '{kind}'), 0) as share_{kind}" for kind in KINDS)}
from file group by id""",
)

# The event stream: facts at the time when they became known, questions at creation; then running sums in that order. Moments
# are doubled so that one key sorts a question before the facts of its moment. A running sum costs as much as the sort: counts
# share the digits of one.
RUNNING = "order by moment rows unbounded preceding"
run(
    "files",
    f"""create temp table file_history as
with keyed as (
    select id, hash(repository_key, path) as file, hash(author_key, path) as author_file, created, merged, reverted, is_fix, has_author
    from file),
event as (
    select id, file, author_file, has_author, 2 * created as moment, 0::bigint as fact from keyed
    union all select id, file, author_file, has_author, 2 * merged + 1, 1 + (is_fix::bigint << 20) from keyed where merged is not null
    union all select id, file, author_file, has_author, 2 * reverted + 1, 1::bigint << 60 from keyed where reverted is not null),
own as (
    select *, fact & 1 = 1 as is_merge, count(case when fact & 1 = 1 then 1 end) over (partition by author_file {RUNNING}) as by_author
    from event),
running as (
    select id, moment, fact, by_author,
        sum(fact + case when is_merge and by_author = 1 and has_author then 1::bigint << 40 else 0 end) over w as sums,
        last_value(case when is_merge then moment end ignore nulls) over w as last_merged
    from own window w as (partition by file {RUNNING})),
answer as (
    select id, (moment - last_merged + 1) // 2 as age, by_author, (sums & 1048575)::bigint as merges,
        (sums >> 20 & 1048575)::bigint as fixes, (sums >> 40 & 1048575)::bigint as authors, (sums >> 60)::bigint as reverts
    from running where fact = 0)
select id, max(merges) as merges_max, avg(merges) as merges_mean, max(authors) as authors_max, avg(authors) as authors_mean,
    max(fixes) as fixes_max, avg(fixes) as fixes_mean, max(reverts) as reverts_max, avg(reverts) as reverts_mean,
    min(age) as age_min, avg(age) as age_mean, avg((merges = 0)::int) as without_history,
    avg((by_author > 0)::int) as known, avg(by_author) as experience
from answer group by id""",
)

run(
    "directories",
    f"""create temp table directory_history as
with keyed as (
    select distinct id, hash(repository_key, directory) as directory, hash(author_key, directory) as author_directory,
        created, merged, reverted
    from file),
event as (
    select id, directory, author_directory, 2 * created as moment, 0::bigint as fact from keyed
    union all select id, directory, author_directory, 2 * merged + 1, 1 from keyed where merged is not null
    union all select id, directory, author_directory, 2 * reverted + 1, 1::bigint << 32 from keyed where reverted is not null),
running as (
    select id, fact, count(case when fact = 1 then 1 end) over (partition by author_directory {RUNNING}) as by_author,
        (sum(fact) over (partition by directory {RUNNING}))::bigint as sums
    from event)
select id, max(sums & 4294967295) as directory_merges, max(sums >> 32) as directory_reverts,
    avg((by_author > 0)::int) as directories_known, count(*) as directories
from running where fact = 0 group by id""",
)

run(
    "output",
    f"""copy (
    select repository, number, make_timestamp_ms(created) as created_at, make_timestamp_ms(merged) as merged_at,
        {columns("float", "len(files)", "list_sum([f.additions for f in files])", "list_sum([f.deletions for f in files])")}
    from pr join people using (id) left join file_history using (id) left join directory_history using (id)
        left join spread using (id)
    order by repository, created, number
) to '{output}' (format parquet, compression zstd)""",
)
print(json.dumps({"seconds": time.perf_counter() - started}))
