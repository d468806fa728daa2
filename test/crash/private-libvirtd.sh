#!/usr/bin/env bash
# A libvirtd of its own for tests that kill it, beside that of the host, which it never touches.
#
#   private-libvirtd.sh FOLDER
#
# Listens at FOLDER/run/libvirt-sock (qemu:///system?socket=…) and keeps everything below FOLDER. When it is killed
# it starts again. FOLDER/libvirtd.pid names it; ends with SIGTERM.
set -euo pipefail

if [ "${2:-}" != inside ]; then
	# Unmounting must come through: else a network namespace that is removed would live on in here.
	exec unshare --mount --propagation slave "$0" "$1" inside
fi

folder=$1
mkdir -p "$folder"/{run,lib,log,cache,etc}
cp -a /etc/libvirt/. "$folder/etc/"
rm -rf "$folder"/etc/qemu/*
mount --bind "$folder/run" /run/libvirt
mount --bind "$folder/lib" /var/lib/libvirt
mount --bind "$folder/log" /var/log/libvirt
mount --bind "$folder/cache" /var/cache/libvirt
mount --bind "$folder/etc" /etc/libvirt

virtlogd -d -p "$folder/virtlogd.pid"
# tini adopts what libvirtd leaves behind when it dies, and reaps it; it ends with whoever started it.
export folder
exec tini -s -p SIGTERM -- bash -c '
	stop() { kill "$child" "$(cat "$folder/virtlogd.pid")"; wait "$child"; exit 0; }
	trap stop TERM
	while :; do
		rm -f "$folder/libvirtd.pid"
		libvirtd -p "$folder/libvirtd.pid" -t 0 >>"$folder/log/libvirtd.log" 2>&1 &
		child=$!
		wait "$child" || true
	done'
