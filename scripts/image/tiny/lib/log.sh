# Sourced. The log goes to the serial console, and to the screen where there is one.

log() {
	local uptime rest
	read -r uptime rest </proc/uptime
	local line="[$uptime] tiny: $*"
	# \r because the line before may be a kernel message without its own end.
	printf '\r%s\r\n' "$line" >/dev/console
	if [ -c /dev/tty0 ]; then printf '%s\r\n' "$line" >/dev/tty0; fi
}
