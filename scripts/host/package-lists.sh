# shellcheck shell=bash
# Sourced by what installs or fetches Debian packages, after it defined progress and fail.

# A package list older than this is fetched again before anything is taken by it.
lists_max_age_minutes=1440

lists_are_fresh() {
	# apt-get update passes every list through this folder; the lists themselves bear the mirror's times.
	[ -n "$(find /var/lib/apt/lists/partial -maxdepth 0 -mmin -"$lists_max_age_minutes" 2>/dev/null || true)" ] &&
		compgen -G '/var/lib/apt/lists/*_Packages*' >/dev/null
}

update_lists() {
	[ "$(id -u)" = 0 ] || fail "the package lists are missing or old; run apt-get update as root"
	progress "fetching the package lists"
	# Another apt-get may be at work: wait for it a while.
	apt-get update -q=2 -o DPkg::Lock::Timeout=300 >&2 ||
		fail "apt-get update failed; is there a network and a right /etc/apt/sources.list?"
}
