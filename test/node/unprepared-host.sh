#!/usr/bin/env bash
# Runs a command in a checkout as on a machine that nobody has prepared: no libvirtd, no network, and no
# Debian package, unless packages are asked for. In namespaces of its own: this machine, its libvirtd and its
# packages are not touched, and nothing that the command starts outlives it.
#
#   unprepared-host.sh CHECKOUT NODE_MODULES UID packages|no-packages COMMAND…
set -euo pipefail

if [ -z "${N0_INSIDE:-}" ]; then
	N0_INSIDE=yes exec unshare --mount --net --pid --fork --kill-child --mount-proc "$0" "$@"
fi
checkout=$1 modules=$2 user=$3 packages=$4
shift 4
unset N0_INSIDE

ip link set lo up
scratch="$(mktemp -d)"
mount -t tmpfs none "$scratch"
# The devices of this network namespace; the cgroups stay the machine's.
mkdir "$scratch/cgroup"
mount --rbind /sys/fs/cgroup "$scratch/cgroup"
mount -t sysfs none /sys
mount --rbind "$scratch/cgroup" /sys/fs/cgroup
# What is written there goes with the scratch.
for folder in /etc /var/lib /var/log /var/cache; do
	mkdir -p "$scratch$folder/upper" "$scratch$folder/work"
	mount -t overlay none -o "lowerdir=$folder,upperdir=$scratch$folder/upper,workdir=$scratch$folder/work" "$folder"
done
rm -rf /etc/libvirt/qemu/* /var/lib/libvirt/qemu/* /var/lib/n0core
if [ -f /etc/libvirt/qemu.conf ]; then sed -i '/^# Added by n0stack/,$d' /etc/libvirt/qemu.conf; fi
mount -t tmpfs none /run
umount -l "$scratch"
rmdir "$scratch"
if [ "$packages" = no-packages ]; then
	for folder in /var/lib/dpkg /usr/lib/syslinux; do
		if [ -d "$folder" ]; then mount -t tmpfs none "$folder"; fi
	done
	# The real one could find packages in its cache, and would install them on this machine.
	printf '#!/bin/sh\necho "asked: apt-get $*" >&2\nexit 100\n' >/run/apt-get
	chmod 755 /run/apt-get
	mount --bind /run/apt-get "$(command -v apt-get)"
fi
mount --bind "$modules" "$checkout/node_modules"
cd "$checkout"
HOME="$(mktemp -d -p /run)"
chown "$user:$user" "$HOME"
export HOME
# Not in place of this shell: process 1 ends all others when it goes, and goes with who started it, but for
# one that has become another user.
setpriv --reuid "$user" --regid "$user" --clear-groups "$@"
