# Sourced. Finds the NoCloud seed and flattens its files into /run/seed.

SEED=/run/seed
FILES="user-data meta-data network-config"

# Whole disks only; the label of an ISO 9660 volume is at 16 * 2048 + 40, padded with spaces.
seed_device() {
	local device label
	for device in /dev/sr[0-9] /dev/vd[a-z] /dev/sd[a-z]; do
		[ -b "$device" ] || continue
		label="$(bytes "$device" 32808 32)"
		case "${label%% *}" in cidata | CIDATA) echo "$device" && return ;; esac
	done
}

# Fails when no disk that is known by now holds a seed.
find_seed() {
	local device file
	device="$(seed_device)"
	[ -n "$device" ] || return 1
	mkdir -p /run/seed-raw /mnt
	modprobe -q isofs
	if mount -t iso9660 -o ro "$device" /mnt; then
		for file in $FILES; do
			if [ -f "/mnt/$file" ]; then cp "/mnt/$file" /run/seed-raw/; fi
		done
		umount /mnt
		log "seed read from $device"
	else
		log "seed on $device cannot be read"
	fi
}

no_seed() {
	mkdir -p /run/seed-raw
	if [ -f /data/seed/meta-data ]; then
		cp /data/seed/* /run/seed-raw/
		log "no seed, the one of an earlier boot is used"
	else
		log "no seed"
	fi
}

# A user may add user data for cloud-init. The last part is n0stack's own, in base64. The rest is not run here.
own_part() {
	local data=/run/seed-raw/user-data first
	[ -f "$data" ] || return
	read -r first <"$data"
	case "$first" in "Content-Type: multipart/"*) ;; *) return ;; esac
	awk '/^--n0stack-/ { if (body) last = text; body = 0; text = ""; next }
		body { text = text $0 "\n" }
		/^$/ { body = 1 }
		END { printf "%s", last }' "$data" | base64 -d >"$data.own" && mv "$data.own" "$data"
}

read_seed() {
	local file
	mkdir -p "$SEED" /data/seed
	own_part
	for file in $FILES; do flatten "/run/seed-raw/$file" >"$SEED/$file"; done
	begin_instance
}

# A disk that was copied to become another machine has a new instance-id: what made the old one
# unique goes, as cloud-init does it.
begin_instance() {
	local id known=""
	id="$(get "$SEED/meta-data" instance-id)"
	if [ -f /data/instance-id ]; then read -r known </data/instance-id; fi
	NEW_INSTANCE=""
	if [ -n "$id" ] && [ "$id" != "$known" ]; then
		NEW_INSTANCE=yes
		rm -rf /data/ssh /data/seed
		mkdir -p /data/seed
		cp /run/seed-raw/* /data/seed/ 2>/dev/null
	fi
}

# Called when the users exist: an instance that lost power before starts over.
end_instance() {
	if [ -n "$NEW_INSTANCE" ]; then
		get "$SEED/meta-data" instance-id >/data/instance-id.new
		sync
		mv /data/instance-id.new /data/instance-id
	fi
}

set_hostname() {
	local name
	name="$(get "$SEED/meta-data" local-hostname)"
	name="${name:-$(get "$SEED/meta-data" hostname)}"
	name="${name:-$(get "$SEED/user-data" hostname)}"
	name="${name:-tiny}"
	hostname "${name%%.*}"
	hostname >/etc/hostname
	printf '127.0.0.1 localhost\n127.0.1.1 %s %s\n::1 localhost\n' "$name" "${name%%.*}" >/etc/hosts
}
