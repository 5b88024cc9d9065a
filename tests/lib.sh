# Shared by quickstart and tests/run; sourced, with $top set to the checkout.
# shellcheck shell=sh

say() {
	printf '%s\n' "$*"
}

die() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

# The packages of these groups in tests/packages.
packages_of() {
	for group; do
		sed -n "s/^$group[[:space:]]*//p" "$top/tests/packages"
	done
}

is_installed() {
	dpkg-query -W -f '${Status}' "$1" 2>/dev/null |
		grep -q '^install ok installed$'
}

as_root() {
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	elif command -v sudo >/dev/null; then
		sudo "$@"
	else
		die "installing packages takes root; run this as root, or" \
			"install: $missing"
	fi
}

# Servers among the packages are for the tests to start, not for the machine.
forbid_services() {
	[ -e /usr/sbin/policy-rc.d ] && return 0
	printf '#!/bin/sh\nexit 101\n' |
		as_root tee /usr/sbin/policy-rc.d >/dev/null
	as_root chmod 755 /usr/sbin/policy-rc.d
	allow_services='as_root rm /usr/sbin/policy-rc.d'
}

# Installs what is missing of these groups, and nothing if nothing is.
install_packages() {
	command -v dpkg-query >/dev/null ||
		die "not a Debian; install what tests/packages names by hand"
	missing=
	for package in $(packages_of "$@"); do
		is_installed "$package" || missing="$missing $package"
	done
	[ -n "$missing" ] || return 0
	say "installing:$missing"
	as_root apt-get -qq update >/dev/null ||
		die "apt-get update failed; is there a network?"
	allow_services=:
	forbid_services
	installed=yes
	# shellcheck disable=SC2086 # one word a package
	as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y \
		--no-install-recommends install $missing >/dev/null ||
		installed=no
	$allow_services
	[ $installed = yes ] || die "apt-get could not install:$missing"
}

# Puts the programs of the group unpack into build/tools.
unpack_tools() {
	tools=$top/build/tools
	mkdir -p "$tools"
	packages_of unpack | while read -r package file; do
		[ ! -x "$tools/${file##*/}" ] || continue
		say "unpacking: $package"
		download "$package" </dev/null
		dpkg-deb --fsys-tarfile "$tools/$package"_*.deb |
			tar -x -O "./$file" >"$tools/new"
		rm "$tools/$package"_*.deb
		chmod 755 "$tools/new"
		mv "$tools/new" "$tools/${file##*/}"
	done
}

# Into build/tools; takes no root, unless apt has yet to learn what there is.
download() {
	for try in first second; do
		(cd "$tools" && apt-get -qq -o APT::Sandbox::User=root \
			download "$1" >/dev/null) && return 0
		[ $try = second ] || as_root apt-get -qq update >/dev/null
	done
	die "apt-get could not download $1; is there a network?"
}

# Configures a preset and builds it. The compiler is the system's, whatever
# else stands in PATH.
build_preset() {
	preset=$1
	shift
	cmake --preset "$preset" -G Ninja "$@" >"$top/build/$preset.log" 2>&1 &&
		cmake --build --preset "$preset" \
			>>"$top/build/$preset.log" 2>&1 || {
		cat "$top/build/$preset.log" >&2
		die "preset $preset does not build"
	}
}
