#!/usr/bin/env bash
# Checks region.pml with Spin: the protocol holds within these bounds, and every injected fault is found.
set -euo pipefail
cd "$(dirname "$0")"
build=../build/model

# Each line: bounds to explore completely. `fair`: also checks that every program completes if runnable threads run.
protocols() {
  cat <<-END
	-DPROGRAMS=3 -DUNITS=1 -DFREES_LIST
	-DWORKERS=3 -DPROGRAMS=1
	-DPROGRAMS=1 -DPARKING -DDISMISSALS=1
	-DWORKERS=1 -DPROGRAMS=3 -DPARKING -DTAKES_PART -DDISMISSALS=1
	-DPROGRAMS=1 -DDEATHS=1 -DKILLS_IN_C
	-DPROGRAMS=2 -DUNITS=1 -DDEATHS=1 -DKILLS_IN_C -DNO_REVIVAL
	-DPROGRAMS=1 -DDEATHS=1 -DPARKING
	-DPROGRAMS=1 -DDEATHS=1 -DPARKING -DSYNC=1
	-DPROGRAMS=2 -DUNITS=1 -DABORTS=1
	-DPROGRAMS=2 -DUNITS=1 -DCLOSES
	-DPROGRAMS=1 -DPARKING -DCLOSES
	-DWORKERS=1 -DPROGRAMS=2 -DPARKING -DTAKES_PART -DCLOSES
	-DPROGRAMS=1 -DDEATHS=1 -DKILLS_IN_C -DCLOSES
	-DPROGRAMS=1 -DKILLS_IN_C -DPARKING -DCLOSES -DTERMINATES
	fair -DPROGRAMS=1 -DUNITS=1 -DDEATHS=1 -DKILLS_IN_C -DNO_REVIVAL
	fair -DPROGRAMS=1 -DUNITS=1 -DPARKING
	fair -DPROGRAMS=1 -DUNITS=1 -DPARKING -DCLOSES
	END
}

# Each line: a fault, and bounds within which it is found.
faults() {
  cat <<-END
	RING_FIRST -DPROGRAMS=2
	NO_BARRIER -DPROGRAMS=2
	NO_AFTER
	COUNT_FIRST -DPROGRAMS=2
	CLAIM_BY_STORE -DPROGRAMS=1
	CLAIM_WITHOUT_EPOCH -DRING=1
	NO_SECOND_LOOK -DPROGRAMS=2 -DRING=1 -DUNITS=1
	REUSE_EARLY
	FREED_WITH_SLOT -DFREES_LIST -DPROGRAMS=2 -DRING=1 -DUNITS=1
	NO_NOTE -DDEATHS=1 -DKILLS_IN_C -DPROGRAMS=1
	NOTE_STAYS -DDEATHS=1 -DKILLS_IN_C -DPROGRAMS=1
	NO_RETIREMENT -DDEATHS=1 -DKILLS_IN_C -DPROGRAMS=1
	ABORT_AFTER_RETIREMENT -DDEATHS=1 -DKILLS_IN_C -DPROGRAMS=2 -DUNITS=1
	LOOK_BEFORE_PARKING -DPARKING -DPROGRAMS=1
	NO_NOTIFY -DPARKING -DPROGRAMS=2 -DWORKERS=1
	WAKE_FIRST -DPARKING -DPROGRAMS=1
	DISMISSED_IS_AWAKE -DPARKING -DPROGRAMS=2 -DDISMISSALS=1 -DWORKERS=1
	REST_WAKES_FIRST -DPARKING -DTAKES_PART -DPROGRAMS=1 -DWORKERS=1
	LOOK_BEFORE_LISTENING -DPROGRAMS=2
	RELEASED_AT_ONCE -DCLOSES -DPROGRAMS=1
	STOP_LAST -DPARKING -DCLOSES -DPROGRAMS=1
	STOP_RELEASED -DPARKING -DLATE_STORES -DCLOSES -DPROGRAMS=1
	EPOCH_RELEASED -DPARKING -DLATE_STORES -DPROGRAMS=1
	SEATS_RELEASED -DPARKING -DLATE_STORES -DTAKES_PART -DPROGRAMS=1 -DWORKERS=1
	PARKED_RELEASED -DPARKING -DLATE_STORES -DPROGRAMS=1
	NOTICE_RELEASED -DLATE_STORES -DPROGRAMS=2
	COMPLETED_RELEASED -DLATE_STORES -DPROGRAMS=2
	END
}

# Explores the model within the bounds; prints Spin's report.
explore() {
  local folder=$build/$1 properties=$2 how=$3
  shift 3
  rm -rf "$folder" && mkdir -p "$folder"
  cp region.pml "$folder"
  (
    cd "$folder"
    spin -a "$@" region.pml >/dev/null
    # unoptimised: optimising the verifier takes longer than it saves
    # shellcheck disable=SC2086
    ${CC:-cc} -O0 -w -DCOLLAPSE -DMEMLIM=4000 $properties -o pan pan.c
    # shellcheck disable=SC2086
    ./pan -m400000 -w22 $how
  )
}

# A line of protocols: no error is found, and the search is complete.
holds() {
  local report line=$1 properties='-DSAFETY -DNOCLAIM' how=''
  [[ $line != fair* ]] || { properties='-DNFAIR=3' how='-a -f'; }
  # shellcheck disable=SC2086
  report=$(explore "protocol$RANDOM$$" "$properties" "$how" ${line#fair })
  if [[ $report != *'errors: 0'* || $report == *'not completed'* || $report == *'too small'* ]]; then
    printf '%s\n' "$report" "does not hold: $line"
    return 1
  fi
  echo "holds: $line ($(grep -o '[0-9.e+]* states, stored' <<<"$report"))"
}

# A line of faults: an error is found.
finds() {
  local fault=${1%% *} bounds=${1#* }
  [[ $bounds != "$fault" ]] || bounds=''
  # shellcheck disable=SC2086
  if [[ $(explore "fault_$fault" '-DSAFETY -DNOCLAIM' '' "-DFAULT_$fault" $bounds) != *'errors: 1'* ]]; then
    echo "not found: $fault"
    return 1
  fi
  echo "found: $fault"
}

export build
export -f explore holds finds
protocols | xargs -P "$(nproc)" -d '\n' -I{} bash -c 'holds "$1"' _ {}
faults | xargs -P "$(nproc)" -d '\n' -I{} bash -c 'finds "$1"' _ {}
