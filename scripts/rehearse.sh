#!/bin/sh
# Rehearses the switch to the newest model of a store from the one before it: both behind a switch on this machine, with load on
# it. Where the store has one model, or is not on this disk, both sides serve the newest.
#
# Environment: BIN (folder of the programs), STORE (its URL), BREAK (a fault to plant in the new one), SWITCHES.
set -eu

cd "$(dirname "$0")/.."
bin=${BIN:-target/release}
store=${STORE:-file://$PWD/target/store}
blue=latest
case $store in
file://*)
    # Names are times, which sort; what is not whole yet has no manifest.
    before=$(printf '%s\n' "${store#file://}"/models/*/manifest.json | sort | tail -n 2 | head -n 1)
    if [ -f "$before" ]; then blue=$(basename "$(dirname "$before")"); fi
    ;;
esac
exec "$bin/prowl-loadtest" rehearse --store "$store" --blue "$blue" --green latest --output target/rehearsal \
    ${BREAK:+--break "$BREAK"} ${SWITCHES:+--switches "$SWITCHES"}
