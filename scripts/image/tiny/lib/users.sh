# Sourced. Makes the users that user-data names. They may log in with a key, never with a password.

DEFAULT_USER=n0

# add_user NAME: with a home that outlives a reboot. Does nothing for one that exists.
add_user() {
	local name="$1" id
	case "$name" in '' | -* | *[!a-zA-Z0-9._-]*) log "user name '$name' refused" && return 1 ;; esac
	if grep -q "^$name:" /etc/passwd; then return; fi
	# The owner of a home that is there already decides the number, so that files keep their owner.
	id="$(stat -c %u "/home/$name" 2>/dev/null)"
	id="${id:-$((1000 + $(ls /home | wc -l)))}"
	echo "$name:x:$id:$id::/home/$name:/bin/sh" >>/etc/passwd
	echo "$name:x:$id:" >>/etc/group
	echo "$name:*:19000:0:99999:7:::" >>/etc/shadow
	mkdir -p "/home/$name"
	chown "$id:$id" "/home/$name"
	chmod 750 "/home/$name"
}

# authorize NAME: adds the keys on stdin. Only at an instance's first boot: what its users change
# later is theirs.
authorize() {
	local name="$1" home="/home/$1" key
	if [ "$name" = root ]; then home=/root; elif [ -z "$NEW_INSTANCE" ] && [ -s "$home/.ssh/authorized_keys" ]; then return; fi
	mkdir -p "$home/.ssh"
	touch "$home/.ssh/authorized_keys"
	while read -r key; do
		if ! grep -qxF "$key" "$home/.ssh/authorized_keys"; then echo "$key" >>"$home/.ssh/authorized_keys"; fi
	done
	chmod 700 "$home/.ssh"
	chmod 600 "$home/.ssh/authorized_keys"
	chown -R "$name:$name" "$home/.ssh"
}

create_users() {
	local data="$SEED/user-data" index name main="" created=""
	local configured
	configured="$(get "$data" user/name)"
	configured="${configured:-$(get "$data" user)}"
	for index in $(keys "$data" users); do
		name="$(get "$data" "users/$index")"
		if [ "$name" = default ]; then
			name="${configured:-$DEFAULT_USER}"
			main="$name"
		fi
		name="${name:-$(get "$data" "users/$index/name")}"
		add_user "$name" || continue
		main="${main:-$name}"
		{
			list "$data" "users/$index/ssh_authorized_keys"
			list "$data" "users/$index/ssh-authorized-keys"
		} | authorize "$name"
		created="$created $name"
	done
	if [ -z "$main" ]; then
		main="${configured:-$DEFAULT_USER}"
		add_user "$main" || main="$DEFAULT_USER"
		add_user "$main"
		created="$created $main"
	fi
	# Keys that name no user go to the first one.
	{
		list "$data" ssh_authorized_keys
		list "$data" ssh-authorized-keys
		list "$SEED/meta-data" public-keys
	} | authorize "$main"
	end_instance
	log "users:$created"
}
