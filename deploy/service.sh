#!/usr/bin/env bash
# The service of the installation beside this file, kept running on the head of a Ray cluster:
#
#   deploy/service.sh start --config deploy/service.yaml     # or other options of `raysweep serve`
#   deploy/service.sh status
#   deploy/service.sh stop
#
# It is started again when it dies, but not when it refuses its options (exit code 2). Its log and
# the number of its process are in ~/.raysweep, or in $RAYSWEEP_SERVICE_DIR. Sweeps are jobs of
# Ray: they train on while the service is stopped.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
bin=$(dirname "$here")/.venv/bin
folder=${RAYSWEEP_SERVICE_DIR:-$HOME/.raysweep}
pid_file=$folder/service.pid
log=$folder/service.log
patience_s=${RAYSWEEP_SERVICE_PATIENCE_S:-60}
pause_s=${RAYSWEEP_SERVICE_PAUSE_S:-5}

fail() {
    echo "$*" >&2
    exit 1
}

# The process that keeps the service running; the file may be of an earlier boot.
keeper() {
    local pid
    pid=$(cat "$pid_file" 2>/dev/null) || return 1
    [[ -r /proc/$pid/cmdline ]] || return 1
    tr '\0' ' ' <"/proc/$pid/cmdline" | grep -q 'service\.sh keep' || return 1
    echo "$pid"
}

# The value of an option, as --port 8081 or --port=8081; else the default.
option() {
    local name=$1 value=$2
    shift 2
    while (($#)); do
        case $1 in
            "$name") value=${2:-$value} ;;
            "$name"=*) value=${1#*=} ;;
        esac
        shift
    done
    echo "$value"
}

# A setting of the service: from an option, the file of --config, or the default.
setting() {
    local name=$1 value=$2 file found
    shift 2
    file=$(option --config "" "$@")
    if [[ -n $file ]]; then
        found=$(sed -n "s/^$name:[[:space:]]*['\"]\{0,1\}\([^[:space:]'\"#]*\).*/\1/p" "$file")
        value=${found:-$value}
    fi
    option "--$name" "$value" "$@"
}

# Where the service can be reached from this machine.
url() {
    local scheme=http host port
    host=$(setting host 127.0.0.1 "$@")
    port=$(setting port 8080 "$@")
    if [[ -n $(setting certificate "" "$@") ]]; then
        scheme=https
    fi
    case $host in
        0.0.0.0) host=127.0.0.1 ;;
        ::) host="[::1]" ;;
        *:*) host="[$host]" ;;
    esac
    echo "$scheme://$host:$port"
}

answers() {
    "$bin/python" - "$1" <<'END' 2>/dev/null
import ssl
import sys
import urllib.request

context = ssl.create_default_context()
context.check_hostname = False  # whether it is alive is asked, not who it is
context.verify_mode = ssl.CERT_NONE
opener = urllib.request.build_opener(
    urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
)
opener.open(f"{sys.argv[1]}/api/v1/health", timeout=2)
END
}

end_child() {
    ended=1
    if [[ -n $child ]]; then
        kill -TERM "$child" 2>/dev/null || true
    fi
}

keep() {
    local code
    child="" ended=0
    trap end_child TERM INT HUP
    while ((!ended)); do
        "$bin/raysweep" serve "$@" &
        child=$!
        ((!ended)) || end_child
        code=0
        wait "$child" || code=$?
        while kill -0 "$child" 2>/dev/null; do # a signal ended the wait, not the service
            code=0
            wait "$child" || code=$?
        done
        child=""
        if ((ended || code == 0 || code == 2)); then
            return "$code"
        fi
        echo "the service ended with exit code $code; starting it again in $pause_s s"
        sleep "$pause_s" &
        wait $! || true
    done
}

start() {
    local pid url deadline
    if pid=$(keeper); then
        fail "the service runs already (process $pid); stop it first: $0 stop"
    fi
    [[ -x $bin/raysweep ]] || fail "$bin/raysweep: not found; install it first: make install EXTRAS=service"
    url=$(url "$@")
    if answers "$url"; then
        fail "a service that this script did not start answers at $url; stop that one, or take another port"
    fi
    mkdir -p "$folder"
    chmod 700 "$folder"
    setsid "$here/service.sh" keep "$@" >>"$log" 2>&1 </dev/null &
    pid=$!
    echo "$pid" >"$pid_file"
    deadline=$((SECONDS + patience_s))
    until answers "$url"; do
        if ! kill -0 "$pid" 2>/dev/null; then
            tail -n 5 "$log" >&2
            rm -f "$pid_file"
            fail "the service did not start; its log: $log"
        fi
        if ((SECONDS >= deadline)); then
            tail -n 5 "$log" >&2
            fail "no answer from $url after $patience_s s; the service is still tried; its log: $log"
        fi
        sleep 0.2
    done
    echo "the service answers at $url (process $pid); its log: $log"
}

stop() {
    local pid
    pid=$(keeper) || {
        rm -f "$pid_file"
        echo "no service runs"
        return
    }
    kill -TERM "$pid"
    for _ in $(seq $((patience_s * 10))); do
        keeper >/dev/null || break
        sleep 0.1
    done
    if keeper >/dev/null; then
        fail "process $pid still runs $patience_s s after SIGTERM; its log: $log"
    fi
    rm -f "$pid_file"
    echo "the service is stopped"
}

status() {
    local pid
    pid=$(keeper) || fail "no service runs"
    echo "the service runs (process $pid); its log: $log"
}

case ${1:-} in
    start | stop | status | keep)
        command=$1
        shift
        "$command" "$@"
        ;;
    *)
        fail "usage: $0 start [OPTION …] | stop | status"
        ;;
esac
