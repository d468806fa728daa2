# shellcheck shell=bash
# Sourced by what starts and ends libvirtd, after it defined progress: the lines of ours in qemu.conf.

configuration=/etc/libvirt/qemu.conf
# Begins with an empty line. What other versions added begins with the same words.
configuration_lines='
# Added by n0stack: no systemd here.
user = "root"
group = "root"'

configuration_names_user() { grep -qE '^[[:space:]]*(user|group)[[:space:]]*=' "$configuration" 2>/dev/null; }
configuration_has_ours() { grep -q '^# Added by n0stack' "$configuration" 2>/dev/null; }

configuration_ends_with_ours() {
	[ -f "$configuration" ] && [ "$(tail -n 4 "$configuration")" = "$configuration_lines" ]
}

# Lines of ours that this machine should not have.
tell_foreign_configuration() {
	if ! configuration_has_ours; then return 0; fi
	if ! configuration_ends_with_ours; then
		progress "$configuration has lines of another version of n0stack, after '# Added by n0stack'; remove them, and restart libvirtd"
	elif [ -d /run/systemd/system ]; then
		progress "$configuration has QEMU run as root, as n0stack added where no systemd ran; remove the lines after '# Added by n0stack', and restart libvirtd"
	fi
}

# Only if they are as they were added.
remove_our_configuration() {
	if ! configuration_ends_with_ours; then return 0; fi
	progress "$configuration: removing what was added"
	# With the line feed that ends it.
	truncate -s "-$((${#configuration_lines} + 1))" "$configuration"
}
