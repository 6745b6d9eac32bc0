#!/usr/bin/env bash
# How does a sweep run under SLURM?
#   sbatch cluster/slurm.sh configs/sweep_weights.yaml storage=/shared/studies    # again to resume it
# Start it in the checkout, on a disk that all nodes see. What you must look at is marked CHANGE; or say it before the
# script, as in: sbatch --nodes=2 --gpus-per-node=0 cluster/slurm.sh ...
#SBATCH --job-name=mhray
#SBATCH --nodes=4                       # CHANGE
#SBATCH --gpus-per-node=4               # CHANGE (0: none)
#SBATCH --time=08:00:00                 # CHANGE
#SBATCH --ntasks-per-node=1
#SBATCH --exclusive
#SBATCH --mem=0                         # all that a node has
#SBATCH --signal=B:TERM@120             # the sweep has two minutes to end before SLURM ends all
set -euo pipefail

refuse() {
  echo "error: cluster/slurm.sh: $1" >&2
  exit 2
}

# Whether a process of this script's runs. To kill -0 a number is enough, and another process may have it by now.
runs() {
  local stat
  read -r stat 2> /dev/null < "/proc/$1/stat" && [[ $stat == *") "[!ZX]" $$ "* ]]
}

[[ -n ${SLURM_JOB_ID:-} ]] || refuse "runs in no job of SLURM's; write: sbatch cluster/slurm.sh STUDY.yaml storage=DIRECTORY"
(($# > 0)) \
  || refuse "no study is named; write: sbatch cluster/slurm.sh configs/sweep_weights.yaml storage=DIRECTORY"
export PATH="$PWD/.venv/bin:$PATH"
# Names will not do: to a Debian its own one means its loopback.
head=$(python -c 'import mhray, ray; print(ray.util.get_node_ip_address())') \
  || refuse "$PWD has no .venv with mhray and Ray in it; start it in a checkout, after make install"
export HEAD="$head" PORT=$((20000 + SLURM_JOB_ID % 10000))
export RAY_ADDRESS="$HEAD:$PORT"
export RAY_AUTH_MODE=token              # of ~/.ray/auth_token, which `ray` makes; all nodes see your home
export RAY_TMPDIR="/tmp/mhray-$SLURM_JOB_ID"
export XDG_CACHE_HOME="$RAY_TMPDIR/cache"  # the data of each node, on its own disk
export RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S=0  # nothing trains any more when Ray is ended
test -f ~/.ray/auth_token || (umask 077 && ray get-auth-token --generate &> /dev/null) \
  || refuse "$HOME/.ray/auth_token, which keeps Ray's token, cannot be made; write 64 hexadecimal digits into it"

# Ray, on each node. What it says is in a file of its own.
on_each_node='
  trap : TERM
  where=(--address "$RAY_ADDRESS")
  ((SLURM_NODEID > 0)) || where=(--head --node-ip-address "$HEAD" --port "$PORT")
  ray start "${where[@]}" --block --num-cpus "$SLURM_CPUS_ON_NODE" --num-gpus "${SLURM_GPUS_ON_NODE:-0}" \
    --object-store-memory 2000000000 --disable-usage-stats
  code=$?
  rm -rf "$RAY_TMPDIR"
  exit "$code"
'
log="slurm-$SLURM_JOB_ID-ray.txt"
: > "$log"
srun --label --kill-on-bad-exit=1 --cpu-bind=none bash -c "$on_each_node" > "$log" 2>&1 &
ray=$!
until (($(grep -c "Ray runtime started" "$log") == SLURM_NNODES)); do
  if ((SECONDS > 600)) || ! runs "$ray"; then
    tail -n 20 "$log" >&2
    refuse "Ray did not start on all $SLURM_NNODES nodes ($SLURM_JOB_NODELIST); $PWD/$log has all it said"
  fi
  sleep 1
done

# The sweep, on the first. It is told when the time is nearly over, while Ray still runs. Where both are ended at once it may hang
# in Ray's code and say no word until SLURM kills everything; all that it has finished is in its journal by then.
sweep= last=
trap 'last=${last:-$((SECONDS + 29))}; ! runs "$sweep" || kill -TERM "$sweep" 2> /dev/null || true' TERM
python -m mhray.sweep "$@" &
sweep=$!
while runs "$sweep"; do
  [[ -z $last ]] || ((SECONDS < last)) || kill -KILL "$sweep" 2> /dev/null || true
  sleep 0.5 || true                     # scancel's signal is for all processes
done
code=0
wait "$sweep" || code=$?
[[ -z $last || $code == [024] ]] || code=3
((code != 3)) || echo "or, in a job again: sbatch cluster/slurm.sh ${*@Q}" >&2
exit "$code"
