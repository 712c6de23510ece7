# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Completion for bash. It asks the program itself, so it knows what that one knows.

# The commands, a line each: "ctl status".
_picklewall_commands() {
    "$1" help 2>/dev/null | sed -nE 's/^  ([a-z][a-z-]*( [a-z-]+)?)  .*/\1/p'
}

_picklewall() {
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
    local program=${COMP_WORDS[0]} commands words one two
    commands=$(_picklewall_commands "$program")
    one=${COMP_WORDS[1]-} two=${COMP_WORDS[2]-}
    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ]; then
        words=$(cut -d' ' -f1 <<<"$commands" | sort -u)
    elif [ "$COMP_CWORD" -eq 2 ] && grep -q "^$one " <<<"$commands"; then
        words=$(sed -n "s/^$one //p" <<<"$commands")
    elif [[ $current == -* ]]; then
        grep -qx "$one $two" <<<"$commands" || two=
        words=$("$program" help "$one" ${two:+"$two"} 2>/dev/null | grep -oE -- '--[a-z][a-z-]+')
    else
        case $previous in
        --policy) words=$(cd "${PICKLEWALL_POLICIES:-/usr/share/picklewall/policies}" 2>/dev/null &&
            printf '%s\n' *.conf | sed 's/\.conf$//') ;;
        --suite) words='ed25519 ed25519-batch hmac-sha256 blake2b' ;;
        *)
            compopt -o default 2>/dev/null # files
            return
            ;;
        esac
    fi
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}
complete -F _picklewall picklewall
