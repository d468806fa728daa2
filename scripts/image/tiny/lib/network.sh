# Sourced. Applies a cloud-init network-config, version 1 or 2; without one every nic asks for DHCP.

CONFIG="$SEED/network-config"

# The interface with this hardware address, whatever its case.
interface_of() {
	local wanted folder mac
	wanted="$(echo "$1" | tr 'A-F' 'a-f')"
	for folder in /sys/class/net/*; do
		read -r mac <"$folder/address"
		if [ "$mac" = "$wanted" ]; then
			echo "${folder##*/}"
			return
		fi
	done
}

# Bits of a netmask such as 255.255.255.0; a plain number is passed through.
prefix_of() {
	case "$1" in
	*.*) echo "$1" | awk -F. '{ for (i = 1; i <= 4; i++) for (v = $i + 0; v > 0; v = int(v / 2)) n += v % 2; print n + 0 }' ;;
	*) echo "$1" ;;
	esac
}

family_of() {
	case "$1" in *:*) echo -6 ;; *) echo -4 ;; esac
}

# add_address INTERFACE ADDRESS [NETMASK]
add_address() {
	local address="$2"
	case "$address" in
	*/*) ;;
	*:*) address="$address/${3:-64}" ;;
	*) address="$address/$(prefix_of "${3:-24}")" ;;
	esac
	ip "$(family_of "$address")" addr add "$address" dev "$1" || log "$1: address $address refused"
}

# add_route INTERFACE TO VIA: TO is `default` or a network with its prefix.
add_route() {
	local to="$2"
	case "$to" in default | 0.0.0.0/0 | ::/0) to=default ;; esac
	ip "$(family_of "$3")" route replace "$to" via "$3" dev "$1" || log "$1: route $to via $3 refused"
}

add_resolver() {
	echo "$1 $2" >>/run/resolv.lines
}

# In the background once it has asked for two seconds, so that a network without DHCP does not
# hold up the boot.
start_dhcp() {
	udhcpc -i "$1" -b -t 4 -T 1 -A 5 -O mtu -O hostname -O search -x "hostname:$(hostname)" -s /lib/tiny/udhcpc -S >/dev/null 2>&1
}

# set_up INTERFACE MTU
set_up() {
	# The address is known to be free: no second of waiting for duplicates.
	echo 0 >"/proc/sys/net/ipv6/conf/$1/accept_dad"
	if [ -n "$2" ]; then ip link set "$1" mtu "$2"; fi
	ip link set "$1" up
}

# rename FROM TO: a name that is taken moves out of the way, as its turn comes later.
rename() {
	if [ "$1" = "$2" ]; then return; fi
	if [ -e "/sys/class/net/$2" ]; then ip link set "$2" name "was-$2"; fi
	ip link set "$1" name "$2" || log "$1: cannot be named $2"
}

apply_v1() {
	local index at nic mac subnet base route
	for index in $(keys "$CONFIG" "$1"); do
		at="$1/$index"
		case "$(get "$CONFIG" "$at/type")" in
		nameserver)
			for route in $(list "$CONFIG" "$at/address"); do add_resolver nameserver "$route"; done
			for route in $(list "$CONFIG" "$at/search"); do add_resolver search "$route"; done
			continue
			;;
		physical) ;;
		*) continue ;;
		esac
		nic="$(get "$CONFIG" "$at/name")"
		mac="$(get "$CONFIG" "$at/mac_address")"
		if [ -n "$mac" ]; then
			base="$(interface_of "$mac")"
			if [ -z "$base" ]; then log "no nic with address $mac" && continue; fi
			rename "$base" "${nic:-$base}"
			nic="${nic:-$base}"
		fi
		if [ ! -e "/sys/class/net/$nic" ]; then log "no nic $nic" && continue; fi
		set_up "$nic" "$(get "$CONFIG" "$at/mtu")"
		for subnet in $(keys "$CONFIG" "$at/subnets"); do apply_v1_subnet "$nic" "$at/subnets/$subnet"; done
	done
}

# apply_v1_subnet INTERFACE PATH
apply_v1_subnet() {
	local value index to
	case "$(get "$CONFIG" "$2/type")" in
	dhcp | dhcp4) start_dhcp "$1" ;;
	static | static6) add_address "$1" "$(get "$CONFIG" "$2/address")" "$(get "$CONFIG" "$2/netmask")" ;;
	esac
	value="$(get "$CONFIG" "$2/gateway")"
	if [ -n "$value" ]; then add_route "$1" default "$value"; fi
	for value in $(list "$CONFIG" "$2/dns_nameservers"); do add_resolver nameserver "$value"; done
	for value in $(list "$CONFIG" "$2/dns_search"); do add_resolver search "$value"; done
	for index in $(keys "$CONFIG" "$2/routes"); do
		to="$(get "$CONFIG" "$2/routes/$index/network")"
		to="${to:-$(get "$CONFIG" "$2/routes/$index/destination")}"
		value="$(get "$CONFIG" "$2/routes/$index/netmask")"
		case "$to" in */*) ;; *) to="$to/$(prefix_of "${value:-$(get "$CONFIG" "$2/routes/$index/prefix")}")" ;; esac
		add_route "$1" "$to" "$(get "$CONFIG" "$2/routes/$index/gateway")"
	done
}

apply_v2() {
	local id at nic mac pattern folder
	for id in $(keys "$CONFIG" "$1"); do
		at="$1/$id"
		nic="$id"
		mac="$(get "$CONFIG" "$at/match/macaddress")"
		pattern="$(get "$CONFIG" "$at/match/name")"
		if [ -n "$mac" ]; then
			nic="$(interface_of "$mac")"
			if [ -z "$nic" ]; then log "no nic with address $mac" && continue; fi
		elif [ -n "$pattern" ]; then
			nic=""
			for folder in /sys/class/net/*; do
				# shellcheck disable=SC2254 # it is a pattern
				case "${folder##*/}" in lo) ;; $pattern) nic="${folder##*/}" && break ;; esac
			done
		fi
		if [ ! -e "/sys/class/net/$nic" ]; then log "no nic for $id" && continue; fi
		pattern="$(get "$CONFIG" "$at/set-name")"
		if [ -n "$pattern" ]; then rename "$nic" "$pattern" && nic="$pattern"; fi
		set_up "$nic" "$(get "$CONFIG" "$at/mtu")"
		apply_v2_nic "$nic" "$at"
	done
}

# apply_v2_nic INTERFACE PATH
apply_v2_nic() {
	local value index
	for value in $(list "$CONFIG" "$2/addresses"); do add_address "$1" "$value"; done
	for index in gateway4 gateway6; do
		value="$(get "$CONFIG" "$2/$index")"
		if [ -n "$value" ]; then add_route "$1" default "$value"; fi
	done
	for index in $(keys "$CONFIG" "$2/routes"); do
		add_route "$1" "$(get "$CONFIG" "$2/routes/$index/to")" "$(get "$CONFIG" "$2/routes/$index/via")"
	done
	for value in $(list "$CONFIG" "$2/nameservers/addresses"); do add_resolver nameserver "$value"; done
	for value in $(list "$CONFIG" "$2/nameservers/search"); do add_resolver search "$value"; done
	case "$(get "$CONFIG" "$2/dhcp4")" in true | yes | on) start_dhcp "$1" ;; esac
}

# All search domains are one line of resolv.conf; every nameserver has its own.
write_resolv_conf() {
	awk '$1 == "search" && !seen[$2]++ { search = search " " $2 }
		$1 == "nameserver" && !seen[$2]++ { servers = servers "nameserver " $2 "\n" }
		END { if (search) print "search" search; printf "%s", servers }' /run/resolv.lines >/etc/resolv.conf
}

configure_network() {
	local root="" folder
	: >/run/resolv.lines
	ip link set lo up
	# A network-config may stand below a key `network`.
	if [ -n "$(get "$CONFIG" network/version)" ]; then root=network/; fi
	case "$(get "$CONFIG" "${root}version")" in
	1) apply_v1 "${root}config" ;;
	2) apply_v2 "${root}ethernets" ;;
	*)
		for folder in /sys/class/net/*; do
			case "${folder##*/}" in lo) continue ;; esac
			set_up "${folder##*/}" ""
			start_dhcp "${folder##*/}"
		done
		;;
	esac
	if [ -s /run/resolv.lines ]; then write_resolv_conf; fi
}

# Every address that is not the loopback's or link-local, as `eth0=10.0.0.1/24`.
addresses() {
	ip -o addr show scope global | awk '{ sub(/:$/, "", $2); printf "%s%s=%s", sep, $2, $4; sep = " " }'
}
