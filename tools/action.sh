#!/usr/bin/env bash
# The steps of action.yml: `action.sh install`, then `action.sh check`. Runs in bash 3.2, which macOS has.
set -euo pipefail

# A virtual environment, so that the job's own Python stays as it is.
environment="${RUNNER_TEMP:-/tmp}/archdsl-action"

programs() {
    if [ -d "$environment/Scripts" ]; then echo "$environment/Scripts"; else echo "$environment/bin"; fi
}

install() {
    "$(command -v python3 || command -v python)" -m venv "$environment"
    "$(programs)/python" -m pip install --quiet --disable-pip-version-check \
        "${ARCHDSL_VERSION:+archdsl==}${ARCHDSL_VERSION:-$GITHUB_ACTION_PATH}"
}

check() {
    local archdsl="${ARCHDSL:-$(programs)/archdsl}" specs=() options=() status=0 line
    while IFS= read -r line; do
        line="${line%$'\r'}"
        if [ -n "$line" ]; then specs+=("$line"); fi
    done <<< "${ARCHDSL_SPECS:-}"
    if [ "${#specs[@]}" -eq 0 ]; then
        echo "::error title=archdsl::the input specs is empty: name specs or folders, one on each line"
        return 2
    fi
    if [ "${ARCHDSL_STRICT:-false}" = true ]; then options+=(--strict); fi
    "$archdsl" check --format github ${options[@]+"${options[@]}"} -- "${specs[@]}" || status=$?
    if [ -n "${ARCHDSL_SARIF:-}" ]; then
        # Its status is that of the check above; only a file that cannot be written is another failure.
        "$archdsl" check --format sarif --output "$ARCHDSL_SARIF" --force -- "${specs[@]}" || [ -f "$ARCHDSL_SARIF" ]
    fi
    return "$status"
}

case "${1:-}" in
    install | check) "$1" ;;
    *)
        echo "usage: action.sh install|check" >&2
        exit 2
        ;;
esac
