#!/usr/bin/env bash
# How does a sweep run under SLURM?
#   sbatch cluster/slurm.sh configs/sweep_weights.yaml storage=/shared/studies    # again to resume it
# Start it in the checkout, on a disk that all nodes see. What you must look at is marked CHANGE.
#SBATCH --job-name=mhray
#SBATCH --nodes=4                       # CHANGE
#SBATCH --gpus-per-node=4               # CHANGE
#SBATCH --cpus-per-task=32              # CHANGE
#SBATCH --time=08:00:00                 # CHANGE
#SBATCH --ntasks-per-node=1
#SBATCH --exclusive
set -euo pipefail

export PATH="$PWD/.venv/bin:$PATH"
export RAY_AUTH_MODE=token              # of ~/.ray/auth_token, which `ray` makes; all nodes see your home
export RAY_TMPDIR="/tmp/ray-$SLURM_JOB_ID"
export XDG_CACHE_HOME="$RAY_TMPDIR/cache"  # the data of each node, on its own disk
test -f ~/.ray/auth_token || ray get-auth-token --generate > /dev/null

head=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
port=$((20000 + SLURM_JOB_ID % 10000))
export RAY_ADDRESS="$head:$port"
srun --kill-on-bad-exit=1 ray symmetric-run --address "$RAY_ADDRESS" --min-nodes "$SLURM_NNODES" \
  --num-cpus "$SLURM_CPUS_PER_TASK" --num-gpus "${SLURM_GPUS_ON_NODE:-0}" --object-store-memory 2000000000 \
  -- python -m mhray.sweep "$@"
