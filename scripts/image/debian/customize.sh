#!/usr/bin/env bash
# Run by mmdebstrap with the finished tree: what makes it a guest that cloud-init can take over.
set -euo pipefail
tree="$1"
here="$(dirname "${BASH_SOURCE[0]}")"

install -m 644 "$here/cloud.cfg" "$tree/etc/cloud/cloud.cfg.d/90_n0stack.cfg"
echo '/dev/vda2 / ext4 defaults,noatime,errors=remount-ro 0 1' >"$tree/etc/fstab"
# The first boot gives it a name, an identity and host keys of its own.
echo localhost >"$tree/etc/hostname"
: >"$tree/etc/machine-id"
rm -f "$tree"/etc/ssh/ssh_host_* "$tree/var/lib/dbus/machine-id" "$tree"/{usr/,}lib/udev/hwdb.bin
# Names as cloud-init gives them; eth0 until then.
ln -sf /dev/null "$tree/etc/systemd/network/99-default.link"
chroot "$tree" systemctl -q enable systemd-networkd systemd-resolved ssh
ln -sf ../run/systemd/resolve/stub-resolv.conf "$tree/etc/resolv.conf"
# Boot waits for nothing that a short life does not need.
chroot "$tree" systemctl -q mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer \
	e2scrub_all.timer e2scrub_reap.service fstrim.timer systemd-networkd-wait-online.service
# The initramfs holds what reaches the disk, and no more.
echo 'MODULES=list' >"$tree/etc/initramfs-tools/conf.d/n0stack"
echo 'COMPRESS=lz4' >>"$tree/etc/initramfs-tools/conf.d/n0stack"
printf 'virtio_pci\nvirtio_blk\nvirtio_rng\n' >>"$tree/etc/initramfs-tools/modules"
chroot "$tree" update-initramfs -u >&2
rm -rf "$tree"/var/cache/apt/* "$tree"/var/lib/apt/lists/* "$tree"/var/log/*.log "$tree"/tmp/*
