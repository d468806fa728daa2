#!/usr/bin/env bash
# Builds the tiny guest image from Debian packages and prints its path as the last line of stdout.
#
#   tiny.sh [--force]
#
# The kernel is the cloud kernel, everything else is one initramfs: busybox, dropbear and the scripts
# in tiny/. The disk: an MBR, a FAT partition that syslinux boots from, and an ext4 partition for
# what has to survive a reboot, which grows with the disk. Needs no loop device, and no root but where
# the package lists are to be fetched first.
# A finished image is kept under .cache/images and built again when this recipe changes.
set -euo pipefail
PATH="$PATH:/usr/sbin:/sbin"
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
. "$root/scripts/host/package-lists.sh"

image="$images/tiny-$(recipe_hash tiny tiny.sh lib.sh).qcow2"
if cached "$image" "${1:-}"; then
	progress "nothing to do, the image is cached"
	echo "$image"
	exit
fi

need_commands apt-get dpkg-deb depmod cpio lz4 mcopy mkfs.vfat mke2fs sfdisk syslinux qemu-img
work="$(mktemp -d "$images/.tiny.XXXXXX")"
trap 'rm -rf "$work"' EXIT
tree="$work/tree" # what the packages hold
rootfs="$work/rootfs" # what the guest gets
# no_timer_check: the kernel counts the ticks of a timer during its boot. On a busy node QEMU delivers too few
# of them, and the guest panics: "IO-APIC + timer doesn't work".
# After the first four: what makes an emulated boot a second shorter (no self-tests of the ciphers, no
# security modules, no waiting for grace periods).
kernel_options="console=tty0 console=ttyS0,115200 quiet no_timer_check cryptomgr.notests lsm=capability audit=0"
kernel_options+=" mitigations=off rcupdate.rcu_expedited=1 8250.nr_uarts=1"

# apt-get leaves alone what is there already and whole.
download() { (cd "$packages" && apt-get download -q=2 -o APT::Sandbox::User=root "$@" >&2); }

fetch_packages() {
	local kernel wanted name
	# All packages may be installed and the lists gone, as on an image made small.
	lists_are_fresh || update_lists
	kernel="$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/^ *Depends: \(linux-image-[^ ]*\)$/\1/p' | head -n 1)"
	[ -n "$kernel" ] || fail "no linux-image-cloud-amd64 in the package lists; is this Debian on amd64?"
	wanted=("$kernel" busybox-static dropbear-bin libtomcrypt1 libtommath1 libgmp10 zlib1g libcrypt1 libc6
		e2fsprogs libext2fs2 libcom-err2)
	progress "fetching ${#wanted[@]} packages, $kernel among them"
	download "${wanted[@]}" || {
		# Lists may be younger than a day and yet name versions that the mirror has dropped.
		update_lists
		download "${wanted[@]}"
	}
	mkdir -p "$tree"
	for name in "${wanted[@]}"; do
		# The newest, if an older version is still there.
		# shellcheck disable=SC2012 # package names hold nothing strange
		dpkg-deb -x "$(ls -t "$packages/${name}"_*.deb | head -n 1)" "$tree"
	done
}

# put_program PATH: with the libraries that it and they need, which its own loader lists.
put_program() {
	local file library lib="$tree/lib/x86_64-linux-gnu"
	file="$(find "$tree" -path "$tree/$1" -o -path "$tree/usr/$1" | head -n 1)"
	[ -n "$file" ] || fail "no package holds $1"
	install -D -m 755 "$file" "$rootfs/$1"
	install -D -m 755 "$(readlink -f "$tree/lib64/ld-linux-x86-64.so.2")" "$rootfs/lib/ld-linux-x86-64.so.2"
	while read -r library; do
		case "$library" in "$tree"/*) ;; *) fail "$1 needs $library, which no package holds" ;; esac
		install -m 755 "$library" "$rootfs/lib/"
	done < <("$lib/ld-linux-x86-64.so.2" --inhibit-cache --library-path "$lib:$tree/usr/lib/x86_64-linux-gnu" \
		--list "$file" | awk '$2 == "=>" && $1 !~ /^\// { print $3 }')
}

# put_modules NAME…: with what they depend on, and the alias tables for just these.
put_modules() {
	local version name path
	version="$(basename "$tree"/lib/modules/*)"
	depmod -b "$tree" "$version"
	for name in "$@"; do
		# A line of modules.dep: its own path, a colon, and the paths that it needs.
		for path in $(grep "/$name\.ko:" "$tree/lib/modules/$version/modules.dep" | tr -d :); do
			install -D -m 644 "$tree/lib/modules/$version/$path" "$rootfs/lib/modules/$version/$path"
		done
	done
	cp "$tree/lib/modules/$version"/modules.{order,builtin,builtin.modinfo} "$rootfs/lib/modules/$version/"
	depmod -b "$rootfs" "$version"
	(cd "$rootfs/lib/modules/$version" && rm -f ./*.bin modules.{order,builtin,builtin.modinfo,softdep,symbols,devname})
}

build_rootfs() {
	local here="$root/scripts/image/tiny"
	mkdir -p "$rootfs"/{bin,sbin,dev,proc,sys,etc,lib/tiny,usr/bin,usr/sbin,mnt}
	ln -s lib "$rootfs/lib64"
	install -m 755 "$tree/bin/busybox" "$rootfs/bin/busybox"
	chmod 4755 "$rootfs/bin/busybox" # for su; busybox drops the right for every other applet
	put_program usr/sbin/dropbear
	put_program usr/bin/dropbearkey
	put_program sbin/resize2fs
	put_modules virtio_pci virtio_blk virtio_net virtio_scsi virtio-rng ata_piix sr_mod sd_mod isofs button evdev
	install -m 755 "$here/init" "$rootfs/init"
	install -m 755 "$here"/lib/* "$rootfs/lib/tiny/"
	install -m 755 "$here/sudo" "$rootfs/bin/sudo"
	install -m 644 "$here/inittab" "$rootfs/etc/inittab"
	echo 'root:x:0:0:root:/root:/bin/sh' >"$rootfs/etc/passwd"
	printf 'root:x:0:\ntty:x:5:\n' >"$rootfs/etc/group"
	# An empty password is what lets su through; nothing else asks for one (dropbear takes keys only).
	echo 'root::19000:0:99999:7:::' >"$rootfs/etc/shadow"
	chmod 600 "$rootfs/etc/shadow"
	echo /bin/sh >"$rootfs/etc/shells"
}

build_initramfs() {
	# lz4 -l is the form that the kernel reads.
	(cd "$rootfs" && find . | LC_ALL=C sort | cpio --quiet -o -H newc -R 0:0) | lz4 -l -9 -q - "$work/initrd"
}

# The data partition is as small as a journal allows.
build_disk() {
	local boot_mib
	boot_mib=$((($(stat -c %s "$work/initrd") + $(stat -c %s "$tree"/boot/vmlinuz-*)) / 1048576 + 3))
	boot_partition "$work/boot" "$boot_mib" "$tree"/boot/vmlinuz-* "$work/initrd" "$kernel_options"
	truncate -s 16M "$work/data"
	mke2fs -q -t ext4 -b 4096 -L n0-data -m 0 "$work/data"
	assemble "$work/image" "$work/boot" "$work/data"
}

fetch_packages
progress "building the initramfs"
build_rootfs
build_initramfs
progress "building the disk"
build_disk
publish "$work/image" "$image"
progress "done, $(($(stat -c %s "$image") / 1048576)) MiB"
echo "$image"
