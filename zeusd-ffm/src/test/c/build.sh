#!/bin/sh
# Builds the fake NVML into the folder $1, and the fake AMD SMI of each edition into folders there, where
# nothing finds it that is not told. Called by Maven in zeusd-ffm/.
# Without a C compiler it only says so: the tests that need the library fail with the same advice.
set -eu
command -v cc >/dev/null || {
  echo "no C compiler (cc): the fake libraries are not built; install one, for example: apt-get install gcc libc6-dev" >&2
  exit 0
}
mkdir -p "$1"
cc -std=c11 -O2 -Wall -Wextra -Werror -fPIC -shared -Wl,-soname,libnvidia-ml.so.1 \
  -I ../headers -o "$1/libnvidia-ml.so.1" src/test/c/fake_nvml.c -lm
# zeusd-testkit compiles others of them, and its jar holds these.
cp src/test/c/fake_nvml.c ../headers/nvml.h "$1"
for edition in 24 25 26; do
  mkdir -p "$1/amdsmi-$edition"
  cc -std=c11 -O2 -Wall -Wextra -Werror -fPIC -shared -DEDITION=$edition -Wl,-soname,libamd_smi.so.$edition \
    -I ../headers -o "$1/amdsmi-$edition/libamd_smi.so.$edition" src/test/c/fake_amdsmi.c -lpthread
done
