#!/bin/sh
# Builds the C parts: build.sh OUT_DIR FAKE_NVML_DIR. Called by Maven in zeusd-bench/.
# Without a C compiler it only says so, as the build of the fake NVML does.
set -eu
command -v cc >/dev/null || {
  echo "no C compiler (cc): the load generator is not built; install one, for example: apt-get install gcc libc6-dev" >&2
  exit 0
}
mkdir -p "$1"
for program in load echo awake; do
  cc -std=gnu11 -O2 -Wall -Wextra -Werror -o "$1/$program" "src/main/c/$program.c"
done
cc -std=gnu11 -O2 -Wall -Wextra -Werror -fPIC -shared -I ../headers \
  -o "$1/libnvml_loop.so" src/main/c/nvml_loop.c -L "$2" -l:libnvidia-ml.so.1
