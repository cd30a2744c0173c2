"""The preprocessing job as a competent user of Spark would write it: `spark_job.py OUTPUT SPILL HEAP INPUT…`."""

import json
import sys
import time

from expressions import *
from pyspark.sql import SparkSession

output, spill, heap, *inputs = sys.argv[1:]
spark = (
    SparkSession.builder.master("local[2]")
    .config("spark.driver.memory", heap)
    # Merged projections would evaluate an expression once for each use of its name.
    .config("spark.sql.optimizer.excludedRules", "org.apache.spark.sql.catalyst.optimizer.CollapseProject")
    # Java does not compile methods beyond this; Spark's own default is 65,535.
    .config("spark.sql.codegen.hugeMethodLimit", "8000")
    # The partitions are few and known: planning anew after each stage costs more than it saves.
    .config("spark.sql.adaptive.enabled", "false")
    .config("spark.driver.host", "127.0.0.1")
    .config("spark.ui.enabled", "false")
    .config("spark.ui.showConsoleProgress", "false")
    .config("spark.local.dir", spill)
    .config("spark.sql.session.timeZone", "UTC")
    .config("spark.sql.shuffle.partitions", "8")
    .config("spark.sql.parquet.compression.codec", "zstd")
    .config("spark.sql.parser.escapedStringLiterals", "true")
    .getOrCreate()
)
spark.sparkContext.setLogLevel("ERROR")
started = time.perf_counter()


def table(name, query, keep=False):
    """A view; with `keep` computed now and held in memory, for what is read more than once."""
    frame = spark.sql(query)
    if keep:
        frame = frame.persist()
        frame.count()
        print(f"{time.perf_counter() - started:7.2f} s after {name}", file=sys.stderr)
    frame.createOrReplaceTempView(name)


spark.read.schema(
    """number BIGINT, title STRING, body STRING, draft BOOLEAN, author_association STRING, created_at STRUCT<`$date`: TIMESTAMP>,
    updated_at STRUCT<`$date`: TIMESTAMP>, merged_at STRUCT<`$date`: TIMESTAMP>, fetched_at STRUCT<`$date`: TIMESTAMP>,
    reverted_at STRUCT<`$date`: TIMESTAMP>, merge_commit_sha STRING, user STRUCT<login: STRING, type: STRING>,
    labels ARRAY<STRUCT<name: STRING>>, assignees ARRAY<STRUCT<login: STRING>>, requested_reviewers ARRAY<STRUCT<login: STRING>>,
    additions BIGINT, deletions BIGINT, changed_files BIGINT, commits BIGINT,
    base STRUCT<ref: STRING, repo: STRUCT<full_name: STRING>>, head STRUCT<repo: STRUCT<full_name: STRING>>,
    files ARRAY<STRUCT<filename: STRING, status: STRING, additions: BIGINT, deletions: BIGINT>>"""
).json(inputs).createOrReplaceTempView("export")

# Text becomes numbers at once, so that no title and no body is kept.
table(
    "version",
    f"""with document as (
    select *, base.repo.full_name as repository, {TITLE_REST} as rest,
        transform(labels, l -> regexp_replace(trim(lower(l.name)), '{LABEL_PREFIX}', '')) as bare
    from export),
read as (
    select repository, number, xxhash64(lower(repository)) as repository_key,
        xxhash64(lower(repository), lower(user.login)) as author_key, user.login is not null as has_author,
        unix_millis(created_at.`$date`) as created, unix_millis(updated_at.`$date`) as updated,
        unix_millis(fetched_at.`$date`) as fetched,
        case when merged_at is not null then greatest(unix_millis(merged_at.`$date`), unix_millis(created_at.`$date`)) end as merged,
        unix_millis(reverted_at.`$date`) as told_reverted, merge_commit_sha, additions, deletions, changed_files, commits, draft,
        files, size(array_distinct(transform(
            files, f -> case when contains(f.filename, '/') then split_part(f.filename, '/', 1) else '' end))) as subsystems,
        author_association in ('OWNER', 'MEMBER', 'COLLABORATOR') as insider,
        user.type = 'Bot' or user.login like '%[bot]' as bot,
        case when head is null then null when head.repo is null then true
            else lower(head.repo.full_name) <> lower(repository) end as from_fork,
        base.ref not in ('main', 'master', 'trunk', 'develop') as other_base,
        case when labels is not null then size(labels) end as labels,
        case when assignees is not null then size(assignees) end as assignees,
        case when requested_reviewers is not null then size(requested_reviewers) end as requested_reviewers,
        length(rest) as title_length, size(regexp_extract_all(rest, '[\\p{{L}}\\p{{N}}]+', 0)) as title_words,
        coalesce(length(body), 0) as body_length,
        {", ".join(f"{test} as {name}" for name, test in {**TITLE_FLAGS, **BODY_FLAGS}.items())},
        title, size(filter(bare, l -> l in {one_of(CATEGORY["fix"])})) as fix_labels,
        size(filter(bare, l -> l in {one_of(" ".join(words for name, words in CATEGORY.items() if name != "fix"))})) as other_labels,
        case when contains(body, 'Reverts ') then regexp_extract_all(body, 'Reverts ([^\\s#]*#[0-9]+)', 1) else array() end as reverts_numbers,
        case when contains(body, 'This reverts commit ')
            then regexp_extract_all(body, 'This reverts commit ([0-9a-fA-F]{{7,16}})', 1) else array() end as reverts_commits,
        regexp_extract(title, '(?i)^\\s*revert[: ]*"(.*)"', 1) as reverts_title,
        case when title like '%)' then regexp_replace(trim(title), ' ?\\(#[0-9]+\\)$', '') else trim(title) end as title_key
    from document)
select monotonically_increasing_id() as id, * except (title), coalesce({DECLARES_FIX} or says_fix, false) as is_fix from read""",
    keep=True,
)

# The newest version of each; the window sees the keys only, not the wide rows.
table(
    "superseded",
    """select id from (
    select id, row_number() over (
        partition by repository_key, number order by updated desc nulls last, fetched desc nulls last) as nth
    from version)
where nth > 1""",
)
table("pr", "select /*+ BROADCAST(superseded) */ * from version left anti join superseded using (id)")

# What was taken back, and since when that is known: the merge of a pull request that names it by number, commit or title.
table(
    "known_revert",
    """with reference as (
    select repository, repository_key, number, merged, reverts_numbers, reverts_commits, reverts_title,
        regexp_extract(reverts_title, '\\(#([0-9]+)\\)$', 1) as quoted_number
    from pr where merged is not null and (reverts_title <> '' or size(reverts_numbers) > 0 or size(reverts_commits) > 0)),
named as (
    select repository, repository_key, number, merged, explode(reverts_numbers) as name from reference),
by_number as (
    select repository_key, number, merged, split_part(name, '#', 2)::bigint as target from named
    where lower(split_part(name, '#', 1)) in ('', lower(repository))
    union all
    select repository_key, number, merged, quoted_number::bigint from reference where quoted_number <> ''),
by_commit as (
    select repository_key, number, merged, lower(commit) as commit from reference lateral view explode(reverts_commits) c as commit),
by_title as (
    select r.repository_key, r.number, r.merged, regexp_replace(trim(reverts_title), ' ?\\(#[0-9]+\\)$', '') as title
    from reference r left anti join by_number n on r.repository_key = n.repository_key and r.number = n.number
    where reverts_title <> ''),
found as (
    select /*+ BROADCAST(r) */ p.id, r.merged as known from by_number r join pr p on p.repository_key = r.repository_key and p.number = r.target
    where r.number > p.number and r.merged >= p.merged
    union all
    select /*+ BROADCAST(r) */ p.id, r.merged from by_commit r join pr p
        on p.repository_key = r.repository_key and left(p.merge_commit_sha, 7) = left(r.commit, 7)
    where startswith(p.merge_commit_sha, r.commit) and r.number > p.number and r.merged >= p.merged
    union all
    select /*+ BROADCAST(r) */ max_by(p.id, p.number), r.merged from by_title r join pr p
        on p.repository_key = r.repository_key and p.title_key = r.title
    where r.number > p.number and r.merged >= p.merged group by r.repository_key, r.number, r.merged
    union all
    select id, told_reverted from pr where told_reverted >= merged)
select id, min(known) as reverted from found group by id""",
)
# What later histories need of each pull request, and no more.
table(
    "deed",
    """select /*+ BROADCAST(known_revert) */ id, repository_key, author_key, has_author, created, merged, reverted, is_fix, files,
    aggregate(files, 0L, (sum, f) -> sum + coalesce(f.additions, 0) + coalesce(f.deletions, 0)) as lines
from pr left join known_revert using (id)""",
    keep=True,
)

# The event stream: facts at the time when they became known, questions at creation, a question before the facts of its
# moment; then running sums in that order.
RUNNING = "order by moment, is_fact rows unbounded preceding"
table(
    "people",
    f"""with event as (
    select id, repository_key, author_key, created as moment, 0 as is_fact, 0 as opened, 0 as merge, 0 as revert from deed
    union all select id, repository_key, author_key, created, 1, 1, 0, 0 from deed
    union all select id, repository_key, author_key, merged, 1, 0, 1, 0 from deed where merged is not null
    union all select id, repository_key, author_key, reverted, 1, 0, 0, 1 from deed where reverted is not null),
running as (
    select id, is_fact, sum(opened) over r as repository_opened, sum(merge) over r as repository_merged,
        sum(revert) over r as repository_reverted, sum(opened) over a as author_opened, sum(merge) over a as author_merged,
        sum(revert) over a as author_reverted, max(case when opened = 1 then moment end) over a as author_last
    from event
    window r as (partition by repository_key {RUNNING}), a as (partition by author_key {RUNNING}))
select * except (is_fact) from running where is_fact = 0""",
)

# Regular expressions look at each distinct path once.
table(
    "touched",
    """select xxhash64(f.filename) as path, f.filename, f.status, coalesce(f.additions, 0) + coalesce(f.deletions, 0) as own_lines,
    * except (f) from (select explode(files) as f, * except (files), size(files) as listed from deed)""",
)
table(
    "path",
    f"""with filename as (select distinct path, filename from touched),
named as (select *, lower(filename) as lower, regexp_extract(filename, '[^/]*$', 0) as own_name from filename),
split as (
    select *, lower(own_name) as name, regexp_replace(own_name, '\\.[^.]*$', '') as stem,
        regexp_extract(lower, '\\.([^./]*)$', 1) as extension from named),
spoken as (select *, {LANGUAGE} as language from split)
select path, xxhash64(regexp_replace(filename, '/?[^/]*$', '')) as directory,
    length(filename) - length(replace(filename, '/', '')) as depth, language, {KIND} as kind,
    {", ".join(f"{test} as {name}" for name, test in SENSITIVE.items())}
from spoken""",
)
table(
    "file",
    """select /*+ BROADCAST(path) */ path.*, id, status, case when lines > 0 then own_lines / lines else 1 / listed end as share,
    repository_key, author_key, created, merged, reverted, is_fix, has_author
from (select * except (filename) from touched) join path using (path)""",
    keep=True,
)
table(
    "spread",
    f"""select id, count(*) as listed, max(share) as largest_share,
    greatest(-sum(case when share > 0 then share * log2(share) else 0 end), 0) as entropy,
    bit_count(bit_or(shiftleft(1L, language))) as languages, max(depth) as deepest,
    count(status) as with_status, count_if(status = 'added') as added, count_if(status = 'removed') as removed,
    count_if(status = 'renamed') as renamed, {", ".join(f"bool_or({name}) as {name}" for name in SENSITIVE)},
    {", ".join(f"coalesce(sum(case when kind = '{kind}' then share end), 0) as share_{kind}" for kind in KINDS)}
from file group by id""",
)
table(
    "file_history",
    f"""with keyed as (
    select id, xxhash64(repository_key, path) as file, xxhash64(author_key, path) as author_file, created, merged, reverted, is_fix,
        has_author
    from file),
event as (
    select id, file, author_file, has_author, created as moment, 0 as is_fact, 0 as merge, 0 as fix, 0 as revert from keyed
    union all select id, file, author_file, has_author, merged, 1, 1, is_fix::int, 0 from keyed where merged is not null
    union all select id, file, author_file, has_author, reverted, 1, 0, 0, 1 from keyed where reverted is not null),
own as (
    select *, sum(merge) over (partition by author_file {RUNNING}) as by_author from event),
running as (
    select id, moment, is_fact, by_author, sum(merge) over w as merges, sum(fix) over w as fixes, sum(revert) over w as reverts,
        sum((merge = 1 and by_author = 1 and has_author)::int) over w as authors,
        max(case when merge = 1 then moment end) over w as last_merged
    from own window w as (partition by file {RUNNING}))
select id, max(merges) as merges_max, avg(merges) as merges_mean, max(authors) as authors_max, avg(authors) as authors_mean,
    max(fixes) as fixes_max, avg(fixes) as fixes_mean, max(reverts) as reverts_max, avg(reverts) as reverts_mean,
    min(moment - last_merged) as age_min, avg(moment - last_merged) as age_mean, avg((merges = 0)::int) as without_history,
    avg((by_author > 0)::int) as known, avg(by_author) as experience
from running where is_fact = 0 group by id""",
)
table(
    "directory_history",
    f"""with keyed as (
    select distinct id, xxhash64(repository_key, directory) as directory, xxhash64(author_key, directory) as author_directory,
        created, merged, reverted
    from file),
event as (
    select id, directory, author_directory, created as moment, 0 as is_fact, 0 as merge, 0 as revert from keyed
    union all select id, directory, author_directory, merged, 1, 1, 0 from keyed where merged is not null
    union all select id, directory, author_directory, reverted, 1, 0, 1 from keyed where reverted is not null),
running as (
    select id, is_fact, sum(merge) over (partition by author_directory {RUNNING}) as by_author,
        sum(merge) over w as merges, sum(revert) over w as reverts
    from event window w as (partition by directory {RUNNING}))
select id, max(merges) as directory_merges, max(reverts) as directory_reverts, avg((by_author > 0)::int) as directories_known,
    count(*) as directories
from running where is_fact = 0 group by id""",
)

added, deleted = (f"aggregate(files, 0L, (sum, f) -> sum + f.{what})" for what in ("additions", "deletions"))
spark.sql(
    f"""select repository, number, timestamp_millis(created) as created_at, timestamp_millis(merged) as merged_at,
    {columns("float", "size(files)", added, deleted)}
from pr join people using (id) left join file_history using (id) left join directory_history using (id) left join spread using (id)
order by repository, created, number"""
).write.mode("overwrite").parquet(output)
print(json.dumps({"seconds": time.perf_counter() - started}))
