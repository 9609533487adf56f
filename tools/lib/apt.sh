# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# A private configuration of apt: the Debian release of the machine, other suites, and
# source packages.  The lists are kept in the cache.  The configuration of the machine's
# apt is not changed.
#
# Needs cache.sh.

VB_APT=$VB_CACHE/apt

# Print "URI RELEASE" of each Debian suite in the configuration of the machine.
apt_own_suites() {
	local codename=$1
	# shellcheck disable=SC2016 # apt's variables
	apt-get indextargets \
		--format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
	awk -v c="$codename" '$3 == "main" && ($2 == c || $2 == c "-updates" ||
			$2 == c "-security" || $2 == c "/updates") { print $1, $2 }' |
	sort -u
}

apt_write_sources() {
	local codename uri suite mirror key=/usr/share/keyrings/debian-archive-keyring.gpg
	local opt="" own
	# shellcheck source=/dev/null
	codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
	[[ $codename == bookworm ]] ||
		note "this is made for Debian 12 (bookworm), and may fail on '$codename'"
	[[ -f $key ]] && opt="[signed-by=$key] "
	own=$(apt_own_suites "$codename")
	[[ -n $own ]] || die "the machine's apt has no Debian suite '$codename' in main"
	# The mirror of the release has the other suites too.
	mirror=$(awk -v c="$codename" '$2 == c && !found++ { print $1 }' <<<"$own")
	while read -r uri suite; do
		echo "deb $opt$uri $suite main"
		echo "deb-src $opt$uri $suite main"
	done <<<"$own"
	for suite in bookworm-backports trixie-backports; do
		echo "deb $opt$mirror $suite main"
	done
	for suite in trixie trixie-backports; do
		echo "deb-src $opt$mirror $suite main"
	done
}

# Write the configuration, and fetch the lists if there are none or VHOST_BLK_UPDATE is
# set.  Sets VB_APT_CONF to the file for apt -c.
apt_setup() {
	VB_APT_CONF=$VB_APT/apt.conf
	mkdir -p "$VB_APT"/{lists/partial,cache/archives/partial,etc/preferences.d}
	# Replace the file by a rename, because another apt-get may be reading it.
	cat >"$VB_APT_CONF.$$" <<-CONF
		Dir::State::Lists "$VB_APT/lists";
		Dir::Cache "$VB_APT/cache";
		Dir::Etc::sourcelist "$VB_APT/etc/sources.list";
		Dir::Etc::sourceparts "-";
		APT::Sandbox::User "root";
		Acquire::Languages "none";
		Acquire::Retries "3";
	CONF
	mv "$VB_APT_CONF.$$" "$VB_APT_CONF"
	apt_write_sources >"$VB_APT/etc/sources.list.new.$$"
	# The end of the subshell releases the lock.
	(
		take_lock apt-lists
		apt_update
	)
}

# apt_update: fetch the lists if there are none or the sources have changed.  The caller
# holds a lock, because apt-get fails if another one fetches lists.
apt_update() {
	local new=$VB_APT/etc/sources.list.new.$$
	if [[ -z ${VHOST_BLK_UPDATE:-} && -e $VB_APT/updated ]] &&
	   cmp -s "$new" "$VB_APT/etc/sources.list"; then
		rm "$new"
		return
	fi
	mv "$new" "$VB_APT/etc/sources.list"
	rm -f "$VB_APT/updated"
	run_logged "fetching the package lists" "$VB_CACHE/log/apt-update.log" \
		apt-get -c "$VB_APT_CONF" -o APT::Update::Error-Mode=any update
	touch "$VB_APT/updated"
}

# apt_candidate PACKAGE: print the version that would be fetched.
apt_candidate() {
	local version
	version=$(apt-cache -c "$VB_APT_CONF" policy "$1" |
		  awk '$1 == "Candidate:" { print $2 }')
	[[ -n $version && $version != "(none)" ]] || die "there is no package $1 in the suites"
	echo "$version"
}

# apt_versions PACKAGE: print all versions that can be fetched.
apt_versions() {
	apt-cache -c "$VB_APT_CONF" madison "$1" 2>/dev/null |
	awk -F ' *[|] *' -v package="$1" '
		{ sub(/^ +/, "") }
		$1 == package && $3 ~ / Packages$/ { print $2 }'
}

# apt_source_version SERIES: print the newest version of linux-source-SERIES of which the
# suites have the kernel, too, or the newest if they have none.  Debian publishes the
# signed kernel hours or days after the source, and keeps the source of old kernels.
apt_source_version() {
	local kernels sources version
	kernels=$(apt_versions linux-headers-amd64; apt_versions "linux-headers-$1-amd64")
	sources=$(apt_versions "linux-source-$1")
	[[ -n $sources ]] || die "there is no package linux-source-$1 in the suites"
	version=$(awk -v kernels="$kernels" '
		BEGIN {
			count = split(kernels, list, "\n")
			for (i = 1; i <= count; i++)
				published[list[i]] = 1
		}
		{ print ($1 in published) + 0, $1 }' <<<"$sources" | sort -V | tail -n 1)
	echo "${version#* }"
}

# apt_fetch DIR PACKAGE[=VERSION]…: fetch the .deb files into DIR.
apt_fetch() {
	local dir=$1
	shift
	mkdir -p "$dir"
	(cd "$dir" && apt-get -c "$VB_APT_CONF" -q download "$@")
}
