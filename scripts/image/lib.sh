# shellcheck shell=bash
# shellcheck disable=SC2034 # the scripts that source it use what is set here
# Sourced by the image scripts.

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
images="$root/.cache/images"
packages="$root/.cache/packages"
mbr=/usr/lib/syslinux/mbr/mbr.bin
export MTOOLS_SKIP_CHECK=1

progress() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
fail() { progress "$*" && exit 1; }

# recipe_hash FILE…: changes when one of these files (or one below these folders) does.
recipe_hash() {
	(cd "$root/scripts/image" && find "$@" -type f | LC_ALL=C sort | xargs sha256sum | sha256sum | cut -c 1-12)
}

need_commands() {
	local command missing=""
	for command in "$@"; do
		command -v "$command" >/dev/null || missing="$missing $command"
	done
	[ -f "$mbr" ] || missing="$missing $mbr"
	[ -z "$missing" ] || fail "missing:$missing; run scripts/host/ensure-packages.sh image debian"
}

# publish FILE TARGET: into the cache at once, so that nobody reads half an image.
publish() {
	mv "$1" "$2.new"
	mv "$2.new" "$2"
}

# boot_partition FILE MIB KERNEL INITRD OPTIONS: a FAT file system that boots by itself, made without
# mounting it.
boot_partition() {
	local file="$1" configuration="$1.cfg"
	truncate -s "$2M" "$file"
	mkfs.vfat -F 16 -s 4 -n N0BOOT "$file" >/dev/null
	cat >"$configuration" <<-CONFIG
		DEFAULT linux
		PROMPT 0
		LABEL linux
		LINUX vmlinuz
		INITRD initrd
		APPEND $5
	CONFIG
	mcopy -i "$file" "$3" ::vmlinuz
	mcopy -i "$file" "$4" ::initrd
	mcopy -i "$file" "$configuration" ::syslinux.cfg
	syslinux --install "$file"
}

# assemble IMAGE BOOT DATA: a qcow2 disk with an MBR and these two partitions, the second one last, so
# that it can grow.
assemble() {
	local image="$1" boot="$2" data="$3" disk="$1.raw" boot_mib data_mib
	boot_mib=$(($(stat -c %s "$boot") / 1048576))
	data_mib=$(($(stat -c %s "$data") / 1048576))
	truncate -s $((1 + boot_mib + data_mib))M "$disk"
	sfdisk -q "$disk" <<-TABLE
		label: dos
		start=1MiB, size=${boot_mib}MiB, type=e, bootable
		start=$((1 + boot_mib))MiB, size=${data_mib}MiB, type=83
	TABLE
	# The boot code ends before the partition table.
	dd if="$mbr" of="$disk" bs=440 count=1 conv=notrunc status=none
	dd if="$boot" of="$disk" bs=1M seek=1 conv=notrunc,sparse status=none
	dd if="$data" of="$disk" bs=1M seek=$((1 + boot_mib)) conv=notrunc,sparse status=none
	qemu-img convert -f raw -O qcow2 "$disk" "$image"
	rm "$disk"
}

# cached IMAGE [--force]: takes the lock of this kind of image; whoever waited for it finds it made.
cached() {
	if [ -s "$1" ] && [ "${2:-}" != --force ]; then return; fi
	mkdir -p "$images" "$packages" 2>/dev/null && [ -w "$images" ] && [ -w "$packages" ] ||
		fail "cannot write to $root/.cache: run this as its owner"
	exec 9>"$images/.${0##*/}.lock"
	flock 9
	[ -s "$1" ] && [ "${2:-}" != --force ]
}
