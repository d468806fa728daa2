# Sourced. Finds and mounts the part of the disk that survives a reboot.

# bytes DEVICE OFFSET COUNT: these bytes, as text.
bytes() {
	dd if="$1" bs=1 skip="$2" count="$3" 2>/dev/null | tr -d '\000'
}

# The data partition is the second one of the first disk that has it: another disk made from the
# same image bears the same label and is none of ours to mount.
data_partition() {
	local disk
	for disk in /dev/vda /dev/sda /dev/vdb /dev/sdb; do
		if [ -b "${disk}2" ] && [ "$(bytes "${disk}2" 1144 16)" = n0-data ]; then
			echo "$disk"
			return
		fi
	done
}

# grow_partition DISK: makes the second partition reach to the end of a disk that has grown.
grow_partition() {
	local disk="$1" name="${1#/dev/}" start size end
	read -r start <"/sys/block/$name/${name}2/start"
	read -r size <"/sys/block/$name/${name}2/size"
	read -r end <"/sys/block/$name/size"
	# An MBR holds 32 bits of sectors. A rest below 1 MiB is not worth a write.
	if [ "$end" -gt 4294967295 ]; then end=4294967295; fi
	local sectors=$((end - start))
	if [ "$sectors" -lt $((size + 2048)) ]; then return 1; fi
	# 474 = 446 (the table) + 16 (its first entry) + 12 (the length in an entry); little endian.
	# One sector is written at once, so that a power cut leaves the old table or the new one.
	dd if="$disk" of=/run/mbr bs=512 count=1 2>/dev/null
	# shellcheck disable=SC2059 # the format is the data
	printf "$(printf '\\x%02x\\x%02x\\x%02x\\x%02x' $((sectors & 255)) $((sectors >> 8 & 255)) \
		$((sectors >> 16 & 255)) $((sectors >> 24 & 255)))" |
		dd of=/run/mbr bs=1 seek=474 conv=notrunc 2>/dev/null
	dd if=/run/mbr of="$disk" bs=512 count=1 conv=notrunc,fsync 2>/dev/null
	blockdev --rereadpt "$disk"
}

mount_data() {
	local disk grown=""
	disk="$(data_partition)"
	if [ -z "$disk" ]; then
		log "no data partition: nothing survives a reboot"
	else
		if grow_partition "$disk"; then grown=", grown"; fi
		if mount -t ext4 -o noatime "${disk}2" /data; then
			ln -sf /proc/mounts /etc/mtab
			if [ -n "$grown" ]; then resize2fs "${disk}2" >/var/log/resize2fs.log 2>&1; fi
			log "data partition ${disk}2 mounted on /data$grown"
		else
			log "data partition ${disk}2 cannot be mounted: nothing survives a reboot"
		fi
	fi
	mkdir -p /data/home
	rmdir /home && ln -s /data/home /home
}
