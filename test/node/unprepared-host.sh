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
etc="$(mktemp -d)"
mount -t tmpfs none "$etc"
if [ -d /etc/libvirt ]; then
	cp -a /etc/libvirt/. "$etc"
	rm -rf "$etc"/qemu/*
	sed -i '/^# Added by n0stack/,$d' "$etc/qemu.conf"
	mount --bind "$etc" /etc/libvirt
fi
umount -l "$etc"
rmdir "$etc"
for folder in /run /var/lib/libvirt /var/log/libvirt /var/cache/libvirt; do
	if [ -d "$folder" ]; then mount -t tmpfs none "$folder"; fi
done
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
