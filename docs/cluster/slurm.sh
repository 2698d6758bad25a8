#!/bin/bash
#SBATCH --job-name=wordgen
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=8
#SBATCH --time=12:00:00
#SBATCH --signal=TERM@120
#SBATCH --requeue

# With GPUs, add: #SBATCH --gpus-per-task=1
# TERM comes two minutes before the time limit: all workers save the same step and exit with 130.
srun --kill-on-bad-exit=1 python train.py --corpus my-book.txt --name book --resume --distribute multiworker
code=$?
# 0: done. 1 and 2: a restart would not help. Otherwise (a worker was lost or killed, or the time is up): resume.
case "$code" in 0|1|2) ;; *) scontrol requeue "$SLURM_JOB_ID" ;; esac
exit "$code"
