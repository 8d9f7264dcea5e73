#!/usr/bin/env bash
#SBATCH --job-name=raysweep
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --gpus-per-node=4
#SBATCH --time=24:00:00
#SBATCH --signal=B:USR1@180
#SBATCH --requeue
#SBATCH --open-mode=append
#
# One sweep on the nodes of a Slurm job (docs/slurm.md). From the folder of the sweep file:
#
#   sbatch ~/raysweep/deploy/slurm.sh SWEEP.yaml --store /shared/sweeps [OPTION …]
#
# with options of `raysweep run`; what stands above may be changed there, or in options of sbatch
# before the script's name. The project is in ~/raysweep, or in $RAYSWEEP_HOME.
#
# Three minutes before the time limit (USR1) the packs save their state and the job is put into the
# queue again, where it resumes. `scancel --batch --signal=TERM JOB` stops it in the same way, but
# for good; a plain scancel costs the work since the last checkpoints. Other jobs on the same nodes,
# the same user's too, are not touched, and need the token of this job to use its Ray.
set -euo pipefail

fail() {
    echo "${*:2}" >&2
    exit "$1"
}

[[ -n ${SLURM_JOB_ID:-} ]] || fail 2 "no Slurm job; submit this script: sbatch $0 SWEEP.yaml"
(($#)) || fail 2 "no sweep file; usage: sbatch slurm.sh SWEEP.yaml [OPTION of raysweep run …]"

PATH=${RAYSWEEP_HOME:-$HOME/raysweep}/.venv/bin:$PATH
patience_s=${RAYSWEEP_PATIENCE_S:-300}
folder=/tmp/raysweep-$SLURM_JOB_ID-${SLURM_RESTART_COUNT:-0} # on each node
token=${RAYSWEEP_SHARED:-$HOME}/.raysweep-token-$SLURM_JOB_ID # all nodes read it
hosts=$(scontrol show hostnames "$SLURM_JOB_NODELIST")
head=${hosts%%$'\n'*}
address=$head:$((20000 + SLURM_JOB_ID % 20000)) # other jobs may share the nodes
export PATH RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=$token RAY_USAGE_STATS_ENABLED=0

steps=()
driver=""
stopped=""

# On a node: Ray, in a folder that only this user can enter and that is removed afterwards.
# shellcheck disable=SC2329 # called by name, in a step
node() {
    mkdir -m 700 "$1" || return
    ray start --block --temp-dir="$1" --min-worker-port=0 --max-worker-port=0 "${@:2}" &
    ray=$!
    trap 'kill -TERM "$ray"' TERM
    wait "$ray" || wait "$ray" || true # a signal ends the first wait
    rm -rf "$1"
}

# Starts a step with one task on each of some nodes: start_ray NODES OPTION_OF_SRUN OPTION_OF_RAY…
start_ray() {
    local count=$1 where=$2
    shift 2
    srun --overlap --nodes="$count" --ntasks="$count" --ntasks-per-node=1 "$where" \
        --cpus-per-task="$SLURM_CPUS_PER_TASK" \
        bash -c "$(declare -f node); node \"\$@\"" node "$folder" "$@" \
        --num-cpus="$SLURM_CPUS_PER_TASK" --num-gpus="${SLURM_GPUS_ON_NODE:-0}" &
    steps+=($!)
}

alive_nodes() {
    python - "$address" <<'END' 2>/dev/null || echo 0
import sys

import ray

ray.init(sys.argv[1], log_to_driver=False, logging_level="ERROR")
print(sum(node["Alive"] for node in ray.nodes()))
END
}

# shellcheck disable=SC2329 # called by traps
stop() {
    stopped=$1
    if [[ -n $driver ]]; then
        kill -TERM "$driver" 2>/dev/null || true
    fi
}

end() {
    trap - EXIT
    trap : TERM USR1
    for step in "${steps[@]}"; do
        kill -TERM "$step" 2>/dev/null || true
    done
    wait || true
    rm -f "$token"
}

trap end EXIT
trap 'stop TERM' TERM
trap 'stop USR1' USR1

(umask 077 && python -c 'import secrets; print(secrets.token_hex(32))' >"$token")

start_ray 1 "--nodelist=$head" --head --port="${address#*:}" \
    --include-dashboard=false
if ((SLURM_JOB_NUM_NODES > 1)); then
    start_ray "$((SLURM_JOB_NUM_NODES - 1))" "--exclude=$head" --address="$address"
fi

until (($(alive_nodes) >= SLURM_JOB_NUM_NODES)); do
    [[ -z $stopped ]] || exit 143
    kill -0 "${steps[0]}" 2>/dev/null || fail 1 "Ray ended on $head while the nodes were awaited; see the output above"
    ((SECONDS < patience_s)) || fail 1 "fewer than $SLURM_JOB_NUM_NODES nodes joined Ray in $patience_s s"
    sleep 2
done

raysweep run "$@" --address "$address" &
driver=$!
code=0
wait "$driver" || code=$?
while kill -0 "$driver" 2>/dev/null; do # a signal ended the wait, not the driver
    code=0
    wait "$driver" || code=$?
done

end
if [[ $stopped == USR1 ]] && ((code > 128)); then
    echo "the time is up; job $SLURM_JOB_ID is queued again and resumes"
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
