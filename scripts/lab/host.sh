#!/usr/bin/env bash
# Runs as the first process of a host, in namespaces of its own for mounts, processes, its name and its network:
# mounts the folders of the host, and then only reaps.
#
#   host.sh NAME FOLDER
#
# FOLDER is what stays when the power is cut.
set -euo pipefail
name=$1 folder=$2

hostname "$name"
# Mounts here keep network namespaces of others alive.
if mountpoint -q /run/netns; then umount --lazy --recursive /run/netns; fi
# The devices of this network namespace. No cgroups: libvirt's names there are the same on each host.
umount --lazy --recursive /sys
mount -t sysfs none /sys
# In memory, as on any host: what is here ends with the host.
mount -t tmpfs -o mode=755 none /run
mkdir -p /run/libvirt /run/lock /run/netns /run/n0stack-lab/{changed,work}
# For the mount points that this computer does not have.
mount -t overlay none -o lowerdir=/var/lib,upperdir=/run/n0stack-lab/changed,workdir=/run/n0stack-lab/work /var/lib

mkdir -p "$folder/n0core" /var/lib/n0core
chmod 711 "$folder/n0core"
mount --bind "$folder/n0core" /var/lib/n0core

if [ "$name" != api ]; then
	mkdir -p "$folder"/libvirt/{lib,log}
	if ! [ -d "$folder/libvirt/cache" ]; then
		rm -rf "$folder/libvirt/cache.new"
		# What this computer's libvirt has found out about QEMU, which takes seconds to find out. libvirt checks it.
		cp -a /var/cache/libvirt "$folder/libvirt/cache.new"
		mv "$folder/libvirt/cache.new" "$folder/libvirt/cache"
	fi
	if ! [ -d "$folder/libvirt/etc" ]; then
		rm -rf "$folder/libvirt/etc.new"
		cp -a /etc/libvirt "$folder/libvirt/etc.new"
		rm -rf "$folder"/libvirt/etc.new/{qemu,storage}/*
		# namespaces: QEMU's own folder of devices. remember_owner: the owners of files that a host which lost its
		# power has changed and not changed back.
		cat >>"$folder/libvirt/etc.new/qemu.conf" <<-END

			namespaces = []
			cgroup_controllers = []
			security_driver = "none"
			remember_owner = 0
		END
		# Two libvirtds with one UUID take each other for themselves.
		echo "host_uuid = \"$(cat /proc/sys/kernel/random/uuid)\"" >>"$folder/libvirt/etc.new/libvirtd.conf"
		mv "$folder/libvirt/etc.new" "$folder/libvirt/etc"
	fi
	mkdir -p /var/lib/libvirt
	for part in lib:/var/lib log:/var/log cache:/var/cache etc:/etc; do
		mount --bind "$folder/libvirt/${part%%:*}" "${part#*:}/libvirt"
	done
	# QEMU's user needs it, and libvirt looks at it for half a minute otherwise. This computer's stays as it is.
	if [ -c /dev/kvm ] && mknod -m 660 /run/n0stack-lab/kvm c 10 232 && chown root:kvm /run/n0stack-lab/kvm; then
		mount --bind /run/n0stack-lab/kvm /dev/kvm
	fi
fi
cd /
exec tini -- sleep infinity
