#!/bin/sh
# boot.sh SCRATCH ROOT OPTION...: boots ROOT under systemd-nspawn, in mounts and a cgroup of its
# own. What it writes is in SCRATCH/upper.
set -eu
scratch=$1 root=$2
shift 2

if [ -z "${EDGED_BOOT_INSIDE:-}" ]; then
    mkdir -p "$scratch/upper" "$scratch/work" "$scratch/merged"
    export EDGED_BOOT_INSIDE=yes
    exec unshare --mount --propagation private sh "$0" "$scratch" "$root" "$@"
fi
unset EDGED_BOOT_INSIDE
mount -t tmpfs tmpfs /run # nspawn wants it to be one
# One hierarchy, whatever this machine has: newer systemd boots on no other.
umount -R /sys/fs/cgroup
mount -t cgroup2 none /sys/fs/cgroup
mine=/sys/fs/cgroup$(sed -n 's/^0:://p' /proc/self/cgroup)/edged-test
mkdir -p "$mine"
echo $$ >"$mine/cgroup.procs"
mount -t overlay overlay -o "lowerdir=$root,upperdir=$scratch/upper,workdir=$scratch/work" \
    "$scratch/merged"
exec systemd-nspawn --directory "$scratch/merged" --boot --quiet --register=no --keep-unit \
    --private-network --link-journal=no --resolv-conf=off --machine=edged-test "$@"
