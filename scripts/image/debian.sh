#!/usr/bin/env bash
# Builds a Debian 12 guest image with the real cloud-init, OpenSSH and systemd, and prints its path as
# the last line of stdout.
#
#   debian.sh [--force]
#
# mmdebstrap makes the tree, mke2fs -d the root file system, syslinux boots it from a FAT partition.
# Needs root (the tree has many owners) but no loop device. The disk has to be virtio: root is /dev/vda2.
# N0_DEBIAN_MIRROR names another mirror than deb.debian.org (security updates come with it).
set -euo pipefail
PATH="$PATH:/usr/sbin:/sbin"
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

suite=bookworm
mirror="${N0_DEBIAN_MIRROR:-http://deb.debian.org/debian}"
security="${mirror%/debian}/debian-security"
guest_packages=systemd-sysv,systemd-resolved,udev,dbus,linux-image-cloud-amd64,initramfs-tools,lz4,zstd
guest_packages+=,cloud-init,cloud-guest-utils,openssh-server,rsync,sudo,e2fsprogs,fdisk,iproute2,iputils-ping,netbase
# Without no_timer_check the kernel counts the ticks of a timer during its boot. On a busy node QEMU delivers
# too few of them, and the guest panics: "IO-APIC + timer doesn't work".
kernel_options="root=/dev/vda2 ro console=tty0 console=ttyS0,115200 quiet no_timer_check"
kernel_options+=" cryptomgr.notests audit=0 net.ifnames=0"

image="$images/debian-$(recipe_hash debian debian.sh lib.sh).qcow2"
if cached "$image" "${1:-}"; then
	progress "nothing to do, the image is cached"
	echo "$image"
	exit
fi

need_commands mmdebstrap mcopy mkfs.vfat mke2fs sfdisk syslinux qemu-img
[ "$(id -u)" = 0 ] || fail "run this as root"
work="$(mktemp -d "$images/.debian.XXXXXX")"
trap 'rm -rf "$work"' EXIT
tree="$work/tree"

build_tree() {
	# Pages for people, sources of locales and names of USB devices are left out, licences are kept.
	mmdebstrap --quiet --mode=root --variant=minbase --format=directory --include="$guest_packages" \
		--dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
		--dpkgopt='path-exclude=/usr/share/i18n/*' --dpkgopt='path-exclude=/usr/lib/udev/hwdb.d/*' \
		--dpkgopt='path-exclude=/lib/udev/hwdb.d/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
		--dpkgopt='path-include=/usr/share/doc/*/copyright' \
		--aptopt='Acquire::Languages "none"' --aptopt='APT::Install-Recommends "false"' \
		--customize-hook="$root/scripts/image/debian/customize.sh" \
		"$suite" "$tree" \
		"deb $mirror $suite main" "deb $mirror $suite-updates main" "deb $security $suite-security main" >&2
}

build_disk() {
	local used_mib kernel initrd
	kernel="$(readlink -f "$tree/boot"/vmlinuz-*)"
	initrd="$(readlink -f "$tree/boot"/initrd.img-*)"
	boot_partition "$work/boot" $((($(stat -c %s "$kernel") + $(stat -c %s "$initrd")) / 1048576 + 3)) \
		"$kernel" "$initrd" "$kernel_options"
	# They are on the other partition, which is the one that boots.
	rm -f "$tree"/boot/vmlinuz-* "$tree"/boot/initrd.img-*
	used_mib="$(du -sm "$tree" | cut -f 1)"
	# A quarter more for what file systems keep for themselves; cloud-init grows it to its disk.
	truncate -s $((used_mib * 5 / 4 + 64))M "$work/root"
	mke2fs -q -t ext4 -L n0-root -d "$tree" "$work/root"
	assemble "$work/image" "$work/boot" "$work/root"
}

progress "installing Debian $suite into a folder; this takes a minute or two"
build_tree
progress "building the disk"
build_disk
publish "$work/image" "$image"
progress "done, $(($(stat -c %s "$image") / 1048576)) MiB"
echo "$image"
