#!/bin/sh
# Builds the fake NVML into the folder $1. Called by Maven in zeusd-ffm/.
# Without a C compiler it only says so: the tests that need the library fail with the same advice.
set -eu
command -v cc >/dev/null || {
  echo "no C compiler (cc): the fake NVML is not built; install one, for example: apt-get install gcc libc6-dev" >&2
  exit 0
}
mkdir -p "$1"
cc -std=c11 -O2 -Wall -Wextra -Werror -fPIC -shared -Wl,-soname,libnvidia-ml.so.1 \
  -I ../headers -o "$1/libnvidia-ml.so.1" src/test/c/fake_nvml.c -lm -lpthread
