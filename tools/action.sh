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
    local archdsl specs=() options=() status=0 line
    archdsl="$(programs)/archdsl"
    while IFS= read -r line; do
        line="${line#"${line%%[![:space:]]*}"}"
        line="${line%"${line##*[![:space:]]}"}"
        if [ -n "$line" ]; then specs+=("$line"); fi
    done <<< "${ARCHDSL_SPECS:-}"
    if [ "${#specs[@]}" -eq 0 ]; then
        echo "::error title=archdsl::the input specs is empty: name specs or folders, one on each line"
        return 2
    fi
    case "${ARCHDSL_STRICT:-false}" in
        true | True | TRUE) options+=(--strict) ;;
        false | False | FALSE) ;;
        *)
            echo "::error title=archdsl::the input strict is neither true nor false"
            return 2
            ;;
    esac
    "$archdsl" check --format github ${options[@]+"${options[@]}"} -- "${specs[@]}" || status=$?
    if [ -n "${ARCHDSL_SARIF:-}" ]; then
        # Its status is that of the check above; only a file that is not written is another failure.
        local write=("$archdsl" check --format sarif --output "$ARCHDSL_SARIF" -- "${specs[@]}")
        if ! { rm -f -- "$ARCHDSL_SARIF" && { "${write[@]}" || true; } && [ -f "$ARCHDSL_SARIF" ]; }; then
            echo "::error title=archdsl::the SARIF file of the input sarif was not written"
            return 2
        fi
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
