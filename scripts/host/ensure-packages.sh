#!/usr/bin/env bash
# Installs the Debian packages that a purpose needs and that are not there yet, and says which.
#
#   ensure-packages.sh [--check] SET|PACKAGE…
#
# SET is one of: node, image, debian, test, or any package name. Does nothing, quickly, when all is
# there. --check installs nothing and fails when something is missing.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/package-lists.sh"

progress() { printf 'packages: %s\n' "$*" >&2; }
fail() { progress "$*" && exit 1; }

packages_of() {
	case "$1" in
	# What an agent's machine runs: libvirt, QEMU, network namespaces, NAT, DHCP and DNS.
	node) echo libvirt-daemon-system libvirt-daemon-driver-qemu libvirt-clients qemu-system-x86 qemu-utils \
		dnsmasq-base dnsmasq-utils iproute2 nftables tini socat util-linux procps ;;
	# What builds the tiny guest image; its own packages are fetched, not installed.
	image) echo qemu-utils cpio e2fsprogs dosfstools mtools fdisk kmod lz4 syslinux syslinux-common util-linux ;;
	# What builds the Debian guest image.
	debian) echo qemu-utils e2fsprogs fdisk mmdebstrap extlinux mount util-linux ;;
	# What the tests use besides.
	test) echo dnsutils isc-dhcp-client udhcpc openssh-client rsync openssl genisoimage qemu-system-x86 chromium pebble python3-grpcio python3-grpc-tools ;;
	-*) fail "unknown option $1" ;;
	*) echo "$1" ;;
	esac
}

check_only=""
if [ "${1:-}" = --check ]; then check_only=yes && shift; fi
[ $# -gt 0 ] || fail "usage: ensure-packages.sh [--check] SET|PACKAGE… (sets: node, image, debian, test)"
command -v dpkg-query >/dev/null || fail "this is no Debian: install by hand what $* needs"

wanted=()
for set in "$@"; do
	# A declaration of its own: the exit code of packages_of would be lost in the array's.
	names="$(packages_of "$set")"
	read -ra list <<<"$names"
	wanted+=("${list[@]}")
done

# One query for all. It fails when it knows nothing of a name, which then is not in its answer.
installed="$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' "${wanted[@]}" 2>/dev/null || true)"
missing=()
for name in "${wanted[@]}"; do
	case $'\n'"$installed"$'\n' in *$'\n'"$name installed"$'\n'*) continue ;; esac
	case " ${missing[*]:-} " in *" $name "*) ;; *) missing+=("$name") ;; esac
done
[ ${#missing[@]} -gt 0 ] || exit 0

[ -z "$check_only" ] || fail "missing: ${missing[*]}"
[ "$(id -u)" = 0 ] || fail "missing: ${missing[*]}; run this as root, or: apt-get install ${missing[*]}"
progress "installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive

install() {
	# Another apt-get may be at work: wait for it a while.
	apt-get install -q=2 -y --no-install-recommends -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 "${missing[@]}" >&2
}
lists_are_fresh || update_lists
if ! install; then
	# Lists may be younger than a day and yet name versions that the mirror has dropped.
	update_lists
	install || fail "cannot install ${missing[*]}; see above"
fi
progress "done"
