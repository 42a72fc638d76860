#!/bin/sh
# Proves that nvml.h says the same as NVIDIA's header, and amdsmi.h the same as AMD's bindings for
# Python (both from PyPI), and that jextract's output says the same as ours. Needs cc, python3 with
# pip, and the network.
#
#   check-abi.sh              0: all equal; anything else, a check that could not run included: not 0
#   check-abi.sh --self-test  proves that the check notices errors, by putting some into copies
set -eu

cd "$(dirname "$0")"
raw=../zeusd-ffm/src/main/java/dev/zeusd/ffm/nvml/raw
amd_raw=../zeusd-ffm/src/main/java/dev/zeusd/ffm/amdsmi/raw
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

fail() { echo "check-abi: $*" >&2; exit 1; }

case ${1-} in
'' | --self-test) ;;
*) fail "unknown argument: $1" ;;
esac

# --- NVIDIA's header ---
python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: \
    --dest "$tmp" nvidia-nvml-dev || fail "cannot download nvidia-nvml-dev"
python3 -m zipfile -e "$tmp"/nvidia_nvml_dev-*.whl "$tmp/wheel"
real=$(find "$tmp/wheel" -name nvml.h)
[ -f "$real" ] || fail "the package does not hold exactly one nvml.h: $real"
version=$(basename "$tmp"/nvidia_nvml_dev-*.whl | cut -d- -f2)

# --- AMD's bindings: the package's version, and the edition that the library of that ROCm has ---
for of in 6.3.3/24 6.4.3/25 7.0.2/26; do
    python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: \
        --dest "$tmp" "amdsmi==${of%/*}" || fail "cannot download amdsmi ${of%/*}"
    python3 -m zipfile -e "$tmp/amdsmi-${of%/*}-py3-none-any.whl" "$tmp/amd${of#*/}"
done

# --- The checks: $1 our header, $2 jextract's output or the edition ---
check_c() {
    rm -rf "$tmp/c" && mkdir "$tmp/c" &&
        python3 abi_checks.py c "$1" "$real" "$tmp/c" &&
        cc -std=gnu11 -Werror -Wno-deprecated-declarations -o "$tmp/c/checks" "$tmp/c/checks.c" &&
        "$tmp/c/checks" # its counts appear only if it was really compiled
}
check_java() { python3 abi_checks.py java "$1" "$2"; }
check_ctypes() { python3 abi_checks.py ctypes "$1" "$tmp/amd$2/amdsmi" "$2"; }

counts=$(check_c nvml.h) || fail "nvml.h is not proven equal to nvidia-nvml-dev $version"
[ -n "$counts" ] || fail "nothing was checked: is cc a C compiler?"
echo "$counts against nvidia-nvml-dev $version"
check_java nvml.h "$raw"
for edition in 24 25 26; do
    counts=$(check_ctypes amdsmi.h $edition) || fail "amdsmi.h is not proven equal to edition $edition"
    [ -n "$counts" ] || fail "nothing was checked of edition $edition"
    echo "$counts against AMD SMI's edition $edition"
done
check_java amdsmi.h "$amd_raw"
[ "${1-}" = --self-test ] || exit 0

# --- Self-test: the same checks must fail, for the reason named, on a spoilt copy ---
spoil() { # $1 c or java, $2 file to spoil, $3 what must be in the message, $4 sed command
    rm -rf "$tmp/copy" && mkdir "$tmp/copy" && cp nvml.h "$raw"/*.java "$tmp/copy"
    sed -i "$4" "$tmp/copy/$2"
    if [ "$2" = nvml.h ]; then original=nvml.h; else original=$raw/$2; fi
    ! cmp -s "$original" "$tmp/copy/$2" || fail "self-test: sed changed nothing: $4"
    if "check_$1" "$tmp/copy/nvml.h" "$tmp/copy" >"$tmp/log" 2>&1; then fail "self-test: not noticed: $4"; fi
    grep -q "$3" "$tmp/log" || { cat "$tmp/log" >&2; fail "self-test: failed, but not by '$3': $4"; }
    spoilt=$((${spoilt-0} + 1))
}
spoil_amd() { # $1 java or the edition, $2 file to spoil, $3 and $4 as above
    rm -rf "$tmp/copy" && mkdir "$tmp/copy" && cp amdsmi.h "$amd_raw"/*.java "$tmp/copy"
    sed -i "$4" "$tmp/copy/$2"
    if [ "$2" = amdsmi.h ]; then original=amdsmi.h; else original=$amd_raw/$2; fi
    ! cmp -s "$original" "$tmp/copy/$2" || fail "self-test: sed changed nothing: $4"
    if [ "$1" = java ]; then set -- "$tmp/copy" "$2" "$3" "$4" java; else set -- "$1" "$2" "$3" "$4" ctypes; fi
    if "check_$5" "$tmp/copy/amdsmi.h" "$1" >"$tmp/log" 2>&1; then fail "self-test: not noticed: $4"; fi
    grep -q "$3" "$tmp/log" || { cat "$tmp/log" >&2; fail "self-test: failed, but not by '$3': $4"; }
    spoilt=$((spoilt + 1))
}
spoil c nvml.h 'value of NVML_ERROR_TIMEOUT' 's/\(NVML_ERROR_TIMEOUT =\) 10/\1 11/'
spoil c nvml.h 'value of NVML_FI_DEV_POWER_INSTANT' 's/\(NVML_FI_DEV_POWER_INSTANT\) 186/\1 187/'
spoil c nvml.h 'value of nvmlMemory_v2"' 's/\(nvmlMemory_v2\) 33554472/\1 33554471/'
spoil c nvml.h 'value of nvmlClocksEventReasonSyncBoost' 's/\(SyncBoost\) 16/\1 17/'
spoil c nvml.h 'NVML_FI_DEV_NO_SUCH_FIELD' 's/NVML_FI_DEV_POWER_INSTANT/NVML_FI_DEV_NO_SUCH_FIELD/'
spoil c nvml.h 'offset of nvmlFieldValue_t.latencyUsec' '/long long timestamp;/d'
spoil c nvml.h 'offset of nvmlPciInfo_t.bus"' 's/unsigned int domain;/unsigned long domain;/'
spoil c nvml.h 'size of nvmlPciInfo_t.busId"' 's/\(BUS_ID_BUFFER_SIZE\) 32/\1 33/'
spoil c nvml.h 'type of nvmlFieldValue_t.scopeId' 's/unsigned int scopeId;/int scopeId;/'
spoil c nvml.h 'sizeof nvmlValue_t' 's/double dVal;/double dVal[2];/'
spoil c nvml.h 'signature of nvmlDeviceGetPowerUsage' 's/\(PowerUsage(.*\)unsigned int \*/\1unsigned long long */'
spoil c nvml.h 'signature of nvmlDeviceGetFieldValues' 's/int valuesCount/unsigned int valuesCount/'
spoil c nvml.h 'offset of nvmlMemory_v2_t.free' '/unsigned long long reserved;/d'
spoil c nvml.h 'type of nvmlPowerValue_v2_t.powerScope' 's/unsigned char  *powerScope;/unsigned int powerScope;/'
spoil c nvml.h 'value of nvmlPowerValue_v2"' 's/\(nvmlPowerValue_v2\) 33554444/\1 16777228/'
spoil c nvml.h 'offset of nvmlTemperature_t.temperature' '/nvmlTemperatureSensors_t sensorType;/d'
spoil c nvml.h 'signature of nvmlDeviceGetTemperature"' 's/\(Sensors_t sensorType, \)unsigned int/\1int/'
spoil c nvml.h 'signature of nvmlErrorString' 's/^const char \*nvml/char *nvml/'
spoil c nvml.h 'signature of nvmlShutdown' 's/nvmlShutdown(void)/nvmlShutdown(int now)/'
spoil c nvml.h 'nvmlDeviceNoSuchCall' 's/nvmlDeviceGetName(/nvmlDeviceNoSuchCall(/'
spoil c nvml.h 'cannot read' 's/^nvmlReturn_t nvmlInit_v2(void);/extern int nvmlCounter;/'
spoil c nvml.h 'no constants' '1,$d'
spoil java Nvml.java constants 's/\(int NVML_ERROR_TIMEOUT = (int)\)10L/\111L/'
spoil java Nvml.java constants 's/\(nvmlMemory_v2 = (int)\)33554472L/\133554473L/'
spoil java Nvml.java functions '/ DESC = FunctionDescriptor.of(/,/)/s/Nvml.C_INT,/Nvml.C_LONG,/'
spoil java nvmlPciInfo_t.java 'struct nvmlPciInfo_t' 's/\(sequenceLayout(\)32\(, Nvml.C_CHAR)\.withName\)/\131\2/'
spoil java nvmlMemory_v2_t.java 'struct nvmlMemory_v2_t' '/paddingLayout(4)/d'
spoil java nvml.h functions 's/^nvmlReturn_t nvmlInit_v2(void);/&\nnvmlReturn_t nvmlNew(void);/'
spoil_amd 26 amdsmi.h 'value of AMDSMI_STATUS_NO_PERM' 's/\(AMDSMI_STATUS_NO_PERM =\) 10/\1 11/'
spoil_amd 26 amdsmi.h 'value of AMDSMI_INIT_AMD_GPUS' 's/\(AMDSMI_INIT_AMD_GPUS\) 2/\1 1/'
spoil_amd 25 amdsmi.h 'value of AMDSMI_GPU_UUID_SIZE' 's/\(AMDSMI_GPU_UUID_SIZE\) 38/\1 37/'
spoil_amd 24 amdsmi.h 'value of AMDSMI_NO_SUCH' 's/AMDSMI_CLK_TYPE_MEM/AMDSMI_NO_SUCH/'
spoil_amd 24 amdsmi.h 'room of ZEUSD_AMDSMI_ASIC_INFO_ROOM' 's/\(ASIC_INFO_ROOM\) 1024/\1 448/'
spoil_amd 24 amdsmi.h 'sizeof amdsmi_power_info_24_t' 's/reserved\[11\]/reserved[12]/'
spoil_amd 25 amdsmi.h 'offset of amdsmi_power_info_25_t.average' 's/unsigned long socket_power/unsigned int socket_power/'
spoil_amd 26 amdsmi.h 'size of amdsmi_power_info_26_t.gfx_voltage' 's/unsigned long gfx_voltage/unsigned int gfx_voltage/'
spoil_amd 26 amdsmi.h 'fields of amdsmi_power_cap_info_t' '/unsigned long dpm_cap/d'
spoil_amd 26 amdsmi.h 'offset of amdsmi_asic_info_head_t.vendor_id' 's/market_name\[256\]/market_name[128]/'
spoil_amd 26 amdsmi.h 'signature of amdsmi_set_power_cap' 's/, unsigned long cap);/, unsigned int cap);/'
spoil_amd 24 amdsmi.h 'signature of amdsmi_get_energy_count' 's/float \*resolution/double *resolution/'
spoil_amd 24 amdsmi.h 'signature of amdsmi_shut_down' 's/amdsmi_shut_down(void)/amdsmi_shut_down(int now)/'
spoil_amd 26 amdsmi.h 'signature of amdsmi_no_such' 's/amdsmi_get_gpu_activity(/amdsmi_no_such(/'
spoil_amd 24 amdsmi.h 'cannot read' 's/^amdsmi_status_t amdsmi_shut_down(void);/extern int amdsmi_counter;/'
spoil_amd java AmdSmi.java constants 's/\(int AMDSMI_STATUS_TIMEOUT = (int)\)8L/\19L/'
spoil_amd java amdsmi_clk_info_t.java 'struct amdsmi_clk_info_t' '/paddingLayout(2)/d'
spoil_amd java amdsmi.h functions 's/^amdsmi_status_t amdsmi_shut_down(void);/&\namdsmi_status_t amdsmi_new(void);/'
echo "self-test: $spoilt errors put in, all noticed"
