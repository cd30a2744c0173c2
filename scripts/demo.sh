#!/bin/sh
# Prowl from an empty folder to reasons: generate pull requests, learn from the older four fifths, score the rest as
# they would have come in, and tell which of the planted oddities stood out. Ends by itself.
#
# Environment: BIN (folder of the programs), COUNT, SEED. Needs nothing but them and a POSIX system with gzip.
set -eu

# Stands out: within this many per cent of those scored, the most unusual first.
top=2

cd "$(dirname "$0")/.."
bin=${BIN:-target/release}
count=${COUNT:-6000}
seed=${SEED:-7}
oddities=$((count / 300 > 5 ? count / 300 : 5))
dir=target/demo
store=file://$PWD/$dir/store
began=$(date +%s)
server=

fail() {
    printf 'demo: %s\n' "$*" >&2
    exit 1
}
stop_server() {
    [ -n "$server" ] || return 0
    pid=$server
    server=
    kill -TERM "$pid" 2>/dev/null || true
    wait "$pid"
}
trap 'stop_server || true' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

if [ -t 1 ]; then bold=$(printf '\033[1m') plain=$(printf '\033[0m'); else bold='' plain=''; fi
title() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
seconds_since() { echo "$(($(date +%s) - $1)) s"; }

# Runs a program to its end and shows what it reports, without its hint at the next step.
run() {
    printf '  $ %s\n' "$*"
    from=$(date +%s)
    program=$1
    shift
    if ! PROWL_LOG=warn "$bin/$program" "$@" >"$dir/$program.log" 2>&1; then
        sed 's/^/  /' "$dir/$program.log" >&2
        fail "$program failed"
    fi
    sed '/^next: /d; s/^/  /' "$dir/$program.log"
    printf '  (%s)\n' "$(seconds_since "$from")"
}

for program in prowl-fetch prowl-preprocess prowl-trainer prowl-inference prowl; do
    [ -x "$bin/$program" ] || fail "$bin/$program is missing; 'make demo' builds it"
done
rm -rf "$dir"
mkdir -p "$dir"

title "1. Generate $count pull requests, $oddities of them planted oddities"
run prowl-fetch synth --count "$count" --seed "$seed" --oddities "$oddities" --store "$store"
gzip -dc "$dir"/store/exports/*/part-*.json.gz >"$dir/all.ndjson"
cp "$dir"/store/exports/*/planted.json "$dir/planted.json"

# Documents lie in the order of their last change, so the first four fifths are what was known at some moment.
documents=$(wc -l <"$dir/all.ndjson" | tr -d ' ')
known=$((documents * 4 / 5))
head -n "$known" "$dir/all.ndjson" >"$dir/known.ndjson"
tail -n "+$((known + 1))" "$dir/all.ndjson" >"$dir/new.ndjson"

title "2. Preprocess the first $known of $documents documents: the past, as far as it was known then"
run prowl-preprocess --store "$store" --export "$dir/known.ndjson"

title "3. Train a model on them"
run prowl-trainer train --store "$store" --features latest

title '4. Serve it'
printf '  $ prowl-inference --store %s --model latest --insecure\n' "$store"
from=$(date +%s)
PROWL_LOG=info PROWL_LOG_FORMAT=json "$bin/prowl-inference" --store "$store" --model latest --insecure \
    --grpc-addr 127.0.0.1:0 --http-addr 127.0.0.1:0 2>"$dir/prowl-inference.log" &
server=$!
address=
until [ -n "$address" ] && "$bin/prowl" model --server "http://$address" >"$dir/model.txt" 2>/dev/null; do
    if ! kill -0 "$server" 2>/dev/null || [ $(($(date +%s) - from)) -gt 60 ]; then
        cat "$dir/prowl-inference.log" >&2
        fail 'prowl-inference does not serve'
    fi
    sleep 0.1
    address=$(sed -n 's/.*"message":"listening".*"grpc":"\([^"]*\)".*/\1/p' "$dir/prowl-inference.log")
done
sed 's/^/  /' "$dir/model.txt"
printf '  serving on %s (%s)\n' "$address" "$(seconds_since "$from")"

title "5. Score the $((documents - known)) documents that came after"
printf '  $ prowl score %s --json\n' "$dir/new.ndjson"
from=$(date +%s)
"$bin/prowl" score "$dir/new.ndjson" --server "http://$address" --json >"$dir/scores.ndjson" ||
    fail "not every document could be scored; see $dir/scores.ndjson"
printf '  (%s)\n' "$(seconds_since "$from")"

# One line a pull request: score, line in new.ndjson, identity, percentile; the newest version of each, the most unusual
# first. An answer's own numbers stand before its reasons, which have other names.
sed -n 's/^{"repository":"\([^"]*\)","number":\([0-9]*\),.*"anomaly":\([^,]*\),"percentile":\([^,]*\),.*/\1#\2 \3 \4/p' \
    "$dir/scores.ndjson" |
    awk '{ line[$1] = NR; score[$1] = $2; percentile[$1] = $3 }
         END { for (id in line) printf "%.9f %d %s %s\n", score[id], line[id], id, percentile[id] }' |
    sort -k1,1rn -k2,2n >"$dir/ranking.txt"
scored=$(wc -l <"$dir/ranking.txt" | tr -d ' ')
[ "$scored" -gt 0 ] || fail "no scores in $dir/scores.ndjson"

title "6. The planted oddities among $scored pull requests"
limit=$((scored * top / 100))
awk -v scored="$scored" -v limit="$limit" '
    FILENAME == ARGV[1] { rank[$3] = FNR; if (FNR <= limit) high[$2] = $3; next }
    # new.ndjson: the title of what stands out as well, to the first quotation mark without a backslash.
    FILENAME == ARGV[3] {
        if ((FNR in high) && !(high[FNR] in planted)) {
            title = substr($0, index($0, "\"title\":\"") + 9)
            match(title, /^([^"\\]|\\.)*/)
            title = substr(title, 1, RLENGTH)
            gsub(/\\"/, "\"", title)
            printf "%d\t%s\t%s\tnot planted\n", rank[high[FNR]], high[FNR], title
        }
        next
    }
    # planted.json: one field a line.
    function text(line) {
        sub(/^[^:]*: "?/, "", line)
        sub(/"?,?$/, "", line)
        gsub(/\\"/, "\"", line)
        return line
    }
    /^ *"repository":/ { repository = text($0) }
    /^ *"number":/ { number = text($0) }
    /^ *"why":/ { why = text($0) }
    /^ *}/ {
        id = repository "#" number
        planted[id] = 1
        printf "%d\t%s\t%s\n", (id in rank) ? rank[id] : scored + 1, id, why
    }' "$dir/ranking.txt" "$dir/planted.json" "$dir/new.ndjson" |
    sort -n |
    awk -F '\t' -v limit="$limit" -v top="$top" -v scored="$scored" '
    $4 != "" { others = others sprintf("         %4d.      %-26s %s\n", $1, $2, $3); next }
    { planted++ }
    $1 > scored { printf "  not scored       %-26s %s\n", $2, $3; next }
    { if ($1 <= limit) found++ }
    { printf "  %-6s %4d.      %-26s %s\n", ($1 <= limit) ? "found" : "missed", $1, $2, $3 }
    END {
        printf "  found %d of %d within the %d most unusual (%d%% of those scored)\n", found, planted, limit, top
        if (others != "") printf "  the others of these, which nobody planted:\n%s", others
    }'

title '7. The five most unusual, and why'
head -n 5 "$dir/ranking.txt" | while read -r _ line _; do
    sed -n "${line}p" "$dir/new.ndjson"
done >"$dir/unusual.ndjson"
if [ -t 1 ]; then export CLICOLOR_FORCE=1; fi
"$bin/prowl" score "$dir/unusual.ndjson" --server "http://$address" | sed 's/^./  &/'

title '8. Stop the service'
code=0
stop_server || code=$?
[ "$code" = 0 ] || fail "prowl-inference ended with exit code $code; see $dir/prowl-inference.log"
printf '  SIGTERM, drained, exit code 0\n\nAll of it took %s. What it made is in %s.\n' "$(seconds_since "$began")" "$dir"
printf 'Serve the model again: make serve STORE=%s\n' "$store"
