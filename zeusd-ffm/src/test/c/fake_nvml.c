/*
 * A fake libnvidia-ml.so.1: the calls of headers/nvml.h on GPUs that a test makes up.
 *
 *   cc -std=c11 -O2 -Wall -Wextra -Werror -fPIC -shared -Wl,-soname,libnvidia-ml.so.1 \
 *      -I headers -o libnvidia-ml.so.1 fake_nvml.c -lm
 *   -DWITHOUT_<function> leaves one out, as an old driver does (see the #ifndefs).
 *   -DNUMBER=<n> makes it the library of another version of the driver (1).
 *
 * The control file is libnvidia-ml.so.1.state beside the library, if there is one when that is loaded.
 * Else the environment says, at the same moment:
 *   FAKE_NVML_STATE  the control file, mapped shared; made if missing, filled in if it has no magic.
 *                    Unset: private memory with the default settings.
 *   FAKE_NVML_GPUS   number of GPUs in default settings, 0 to 16 (4).
 *   FAKE_NVML_POWER  their power in default settings: constant, sine or counting (constant).
 *
 * THE CONTROL FILE, version 2: the contract between this file, FakeNvml.java and other tests.
 * Little-endian, fixed offsets, no protocol: whatever is written counts from the next call on.
 * "ns" is CLOCK_MONOTONIC (on Linux also System.nanoTime() and time.monotonic_ns()).
 * T = a test writes it, L = the library writes it, TL = both.
 *
 *   HEADER at 0
 *     0 u64      T  magic 0x4C4D564E454B4146 (bytes "FAKENVML"); write it last
 *     8 u32      T  version, 2
 *    12 u32      T  device count, 0 to 16; a handle beyond it answers GPU_IS_LOST
 *    16 u32      T  driver epoch: even = loaded, odd = unloaded; add 1 to unload, add 1 to load.
 *                   After any change all calls answer UNINITIALIZED until nvmlInit_v2 succeeds
 *                   (odd: DRIVER_NOT_LOADED), and all handles from before are INVALID_ARGUMENT.
 *                   Limits, clocks and energy are not set back: a test does that if it matters.
 *    20 u32      T  number of the library that the kernel's driver works with, 0 = any. Another one
 *                   answers LIB_RM_VERSION_MISMATCH to nvmlInit_v2.
 *    24 u64      L  calls begun, of all functions
 *    32 u64      L  calls ended = sequence number of the next history entry
 *    64 char[80] T  driver version
 *
 *   SLOT i at 4096 + i * 4096: device i for i = 0 to 15; i = 16 is the library itself and uses
 *   only the in-flight fields (there: of all calls on whatever device) and the call table
 *     0 char[96] T  name
 *    96 char[96] T  UUID
 *   192 u32      T  PCI domain; 196 bus; 200 device; 204 device id; 208 subsystem id
 *   212 u32      L  calls in flight
 *   216 u32      TL greatest number of calls in flight at a time
 *   256 u32      T  power sequence: odd while the fields up to 304 are being changed
 *   260 u32      T  power source: 0 constant, 1 sine, 2 counting
 *   264 u64      T  mW: the constant, the sine's mean, or the counting base
 *   272 u64      T  amplitude of the sine, mW (not above the mean, or the energy is not exact)
 *   280 u64      T  period of the sine, ms; its phase is 0 when ns is a multiple of the period
 *   288 f64      T  energy at the anchor, mJ
 *   296 u64      T  ns of the anchor; 0 = when the library was loaded
 *   304 u64      TL power readings so far; a counting source answers base + this, then adds 1
 *   312 u32      T  nvmlReturn of the field POWER_INSTANT (0; 3 = not supported)
 *   316 u32      T  value type of that field, NVML_VALUE_TYPE_* (1 = unsigned int)
 *   320 u32      T  energy source: 0 = integral of the power since the anchor, 1 = fixed value
 *   328 u64      T  the fixed value, mJ
 *   336 u32      TL power limit, mW; T 340 its default; 344 its minimum; 348 its maximum
 *   352 u32      TL persistence mode, 0 or 1
 *   356 u32      TL locked GPU clock, MHz: minimum; 360 maximum (0 0 = not locked)
 *   364 u32      TL locked memory clock, MHz: minimum; 368 maximum (0 0 = not locked)
 *   372 u32      T  GPU clocks that exist, MHz: from; 376 to
 *   380 u32      T  memory clocks that exist, MHz: from; 384 to
 *   388 u32      T  whether fields of power have the module's scope, 0 or 1
 *   392 u64      T  the bits that a call of oddity 4 answers with
 *   400 i32      T  temperature, C; 404 of the memory
 *   408 u32      T  SM clock, MHz; 412 memory clock. While a clock is locked, no less and no more
 *                   than the lock allows is answered
 *   416 u32      T  utilisation, %; 420 of the memory
 *   424 u64      T  memory used, bytes; 432 there is; 440 reserved
 *   448 u64      T  clocks event reasons, bits
 *   456 u32      T  performance state
 *   460 u32      T  a power limit from outside, mW, 0 = none: the enforced limit is the lower one
 *   464 u32      T  nvmlReturn of the field MEMORY_TEMP (0; 3 = not supported)
 *   468 u32      T  MIG mode: 0 = the GPU has none, 1 = off, 2 = on
 *   472 u32      T  what the module draws beside the GPU, mW
 *   476 u32      TL power limit of the module, mW; T 480 its default; 484 its minimum; 488 its maximum
 *   1024         MIG instances: number m, of 0 to 7, at 1024 + m * 128
 *       0 u32    T  whether it is there, 0 or 1; its handles are good only while it is
 *       4 u32    T  GPU instance id; 8 compute instance id
 *      12 u32    T  nvmlReturn of whatever is asked of it (0 = work normally)
 *      16 u64    T  memory used, bytes; 24 there is
 *      32 char[48] T  UUID; 80 name
 *   2048         call table: entry c at 2048 + c * 32, c from enum call below
 *       0 u32    T  nvmlReturn to answer with (0 = work normally)
 *       4 u32    T  delay before the answer, us; may be shortened while a call waits
 *       8 u64    TL calls begun
 *      16 u64    TL ns when the last of them began
 *      24 u64    T  oddity of a call that succeeds and has something to answer. 1: it writes nothing.
 *                   2: all bits set. 3: a text fills its buffer, without a zero. 4: the bits at 392,
 *                   as many as fit
 *
 *   HISTORY at 131072: a ring of 16384 entries of 64 bytes; entry of sequence number s at s % 16384
 *     0 u64      L  s + 1, written last: anything else = overwritten or being written
 *     8 u64      L  ns when the call began; 16 when it ended
 *    24 i32      L  device, -1 = the library, or a handle that never was one
 *    28 u32      L  call
 *    32 u64      L  a, b: a setter's arguments; of a limit of a scope, b = the scope. GetFieldValues:
 *    40 u64         a = number of fields, b = the power read. Power and energy: b = what was read.
 *                   GetHandleByIndex: a = index.
 *    48 u32      L  nvmlReturn answered; 52 thread id
 *
 * Energy is a closed form of the power's parameters since the anchor (a counting source counts as
 * its base). So whoever changes the power makes the sequence odd, sets the anchor to now and its
 * energy to what the old parameters give by now, writes the new ones and makes the sequence even.
 * A test that does not look at the energy may simply write the power.
 *
 * A call first counts, then waits its delay, then answers, in this order: UNINITIALIZED, bad handle,
 * GPU_IS_LOST, the forced error, the real work. No lock anywhere: one device's delay holds up no
 * other call. A stale handle's calls count for the device that it once meant, and an instance's for its
 * parent. Of an instance there are name, UUID, ids and memory; anything else is NOT_SUPPORTED.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <sched.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "nvml.h"

#define MAGIC 0x4C4D564E454B4146ULL
#define VERSION 2U
#define MAX_GPUS 16
#define LIBRARY MAX_GPUS
#define MAX_INSTANCES 8
#define MAX_CALLS 64
#define HISTORY 16384U
#define NS_PER_S 1000000000ULL
#ifndef NUMBER
#define NUMBER 1U
#endif
#define TWO_PI 6.283185307179586

/* The numbers are part of the contract. nvmlErrorString is no driver call and does not count. */
enum call {
    INIT = 0, /* also nvmlInitWithFlags */
    SHUTDOWN = 1,
    GET_DRIVER_VERSION = 2,
    GET_COUNT = 3,
    GET_HANDLE_BY_INDEX = 4, /* counts for the device if there is one with that index */
    GET_NAME = 5,
    GET_UUID = 6,
    GET_PCI_INFO = 7,
    GET_FIELD_VALUES = 8,
    GET_POWER_USAGE = 9,
    GET_TOTAL_ENERGY = 10,
    GET_POWER_LIMIT = 11,
    SET_POWER_LIMIT = 12,
    GET_POWER_LIMIT_CONSTRAINTS = 13,
    GET_DEFAULT_POWER_LIMIT = 14,
    GET_PERSISTENCE_MODE = 15,
    SET_PERSISTENCE_MODE = 16,
    SET_GPU_LOCKED_CLOCKS = 17,
    RESET_GPU_LOCKED_CLOCKS = 18,
    SET_MEM_LOCKED_CLOCKS = 19,
    RESET_MEM_LOCKED_CLOCKS = 20,
    GET_SUPPORTED_MEM_CLOCKS = 21,
    GET_SUPPORTED_GPU_CLOCKS = 22,
    GET_ENFORCED_POWER_LIMIT = 23,
    GET_TEMPERATURE = 24,
    GET_TEMPERATURE_V = 25,
    GET_CLOCK = 26,
    GET_UTILIZATION = 27,
    GET_MEMORY = 28,
    GET_EVENT_REASONS = 29,
    GET_THROTTLE_REASONS = 30, /* the old name of the former */
    GET_PERFORMANCE_STATE = 31,
    GET_MIG_MODE = 32,
    GET_MAX_MIG_DEVICE_COUNT = 33,
    GET_MIG_DEVICE_HANDLE = 34,
    GET_GPU_INSTANCE_ID = 35,
    GET_COMPUTE_INSTANCE_ID = 36,
    SET_POWER_LIMIT_OF_SCOPE = 37,
};

enum power_source { CONSTANT = 0, SINE = 1, COUNTING = 2 };

typedef _Atomic uint32_t u32;
typedef _Atomic uint64_t u64;

struct call_entry {
    u32 error, delay_us;
    u64 calls, last_ns, oddity;
};

struct instance {
    u32 is_there, gpu_instance_id, compute_instance_id, error;
    u64 memory_used, memory_total;
    char uuid[48], name[48];
};

enum oddity { NORMAL = 0, WRITES_NOTHING = 1, ALL_BITS = 2, NO_ZERO = 3, BITS = 4 };

struct slot {
    char name[96], uuid[96];
    u32 pci_domain, pci_bus, pci_device, pci_device_id, pci_subsystem_id;
    u32 in_flight, max_in_flight, unused1[9];
    u32 power_sequence, power_source;
    u64 power_mw, amplitude_mw, period_ms;
    _Atomic double anchor_mj;
    u64 anchor_ns, power_reads;
    u32 instant_return, instant_type;
    u32 energy_fixed, unused2;
    u64 energy_mj;
    u32 limit_mw, default_limit_mw, min_limit_mw, max_limit_mw;
    u32 persistence;
    u32 gpu_lock[2], mem_lock[2], gpu_range[2], mem_range[2];
    u32 module_scope;
    u64 odd_bits;
    _Atomic int32_t temperature_c, memory_temperature_c;
    u32 sm_clock_mhz, mem_clock_mhz, utilization_pct, mem_utilization_pct;
    u64 memory_used, memory_total, memory_reserved, event_reasons;
    u32 performance_state, outside_limit_mw, memory_temp_return;
    u32 mig_mode, module_extra_mw;
    u32 module_limit_mw, default_module_limit_mw, min_module_limit_mw, max_module_limit_mw;
    u32 unused3[133];
    struct instance instance[MAX_INSTANCES];
    struct call_entry call[MAX_CALLS];
};

struct history_entry {
    u64 mark, start_ns, end_ns;
    _Atomic int32_t device;
    u32 call;
    u64 a, b;
    u32 result, thread;
    u64 unused;
};

struct control {
    u64 magic;
    u32 version, device_count, driver_epoch, kernel_number;
    u64 calls_begun, calls_ended;
    char unused2[24];
    char driver_version[80];
    char unused3[3952];
    struct slot slot[MAX_GPUS + 1];
    char unused4[57344];
    struct history_entry history[HISTORY];
};

#define AT(type, field, offset) _Static_assert(offsetof(struct type, field) == (offset), #field)
AT(control, driver_version, 64);
AT(control, slot, 4096);
AT(control, history, 131072);
AT(slot, max_in_flight, 216);
AT(slot, power_sequence, 256);
AT(slot, anchor_mj, 288);
AT(slot, instant_return, 312);
AT(slot, energy_mj, 328);
AT(slot, persistence, 352);
AT(slot, mem_range, 380);
AT(slot, odd_bits, 392);
AT(slot, memory_used, 424);
AT(slot, memory_temp_return, 464);
AT(slot, mig_mode, 468);
AT(slot, instance, 1024);
AT(slot, call, 2048);
AT(history_entry, result, 48);
_Static_assert(sizeof(struct slot) == 4096, "slot");
_Static_assert(sizeof(struct instance) == 128, "instance");
_Static_assert(sizeof(struct call_entry) == 32, "call_entry");
_Static_assert(sizeof(struct history_entry) == 64, "history_entry");
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "shared memory needs atomics without locks");

static struct control *ctl;
static uint64_t loaded_ns;

/* What this process has initialised: driver epoch (32 bits), generation (16), references (16).
   Not in the control file: several processes may share that. */
static u64 init_state;

/* A handle is the address of the element [generation][device], or of an instance behind all devices.
   Nothing is ever stored here, so the array costs no memory; it only makes a handle of an older
   generation recognisable. */
static char handles[1 << 16][MAX_GPUS * (1 + MAX_INSTANCES)];

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

/* ---- Loading ---- */

/* FakeNvml.reset() writes the same values. */
static void write_defaults(void) {
    const char *gpus = getenv("FAKE_NVML_GPUS");
    const char *power = getenv("FAKE_NVML_POWER");
    long count = gpus ? strtol(gpus, NULL, 10) : 4;
    ctl->version = VERSION;
    ctl->device_count = count < 0 ? 0 : count > MAX_GPUS ? MAX_GPUS : (uint32_t)count;
    strcpy(ctl->driver_version, "575.57.08");
    for (unsigned i = 0; i < MAX_GPUS; i++) {
        struct slot *s = &ctl->slot[i];
        strcpy(s->name, "NVIDIA Fake GPU");
        snprintf(s->uuid, sizeof s->uuid, "GPU-fa4e0000-0000-4000-8000-%012x", i);
        s->pci_bus = 0x19 + 14 * i;
        s->pci_device_id = 0x233010de;
        s->pci_subsystem_id = 0x16c110de;
        s->power_mw = 75000 + 10000 * i;
        s->amplitude_mw = 20000;
        s->period_ms = 10000;
        s->power_source = !power ? CONSTANT : !strcmp(power, "sine") ? SINE
                        : !strcmp(power, "counting") ? COUNTING : CONSTANT;
        s->instant_type = NVML_VALUE_TYPE_UNSIGNED_INT;
        s->limit_mw = s->default_limit_mw = 300000;
        s->min_limit_mw = 100000;
        s->max_limit_mw = 400000;
        s->gpu_range[0] = 210;
        s->gpu_range[1] = 1980;
        s->mem_range[0] = 405;
        s->mem_range[1] = 2619;
        s->temperature_c = 40 + (int)i;
        s->memory_temperature_c = 48 + (int)i;
        s->sm_clock_mhz = 1980;
        s->mem_clock_mhz = 2619;
        s->utilization_pct = 75;
        s->mem_utilization_pct = 30;
        s->memory_used = 20ULL << 30;
        s->memory_total = 80ULL << 30;
        s->memory_reserved = 1ULL << 30;
        s->module_limit_mw = s->default_module_limit_mw = 900000;
        s->min_module_limit_mw = 200000;
        s->max_module_limit_mw = 1000000;
    }
    ctl->magic = MAGIC;
}

/* Maps the control file; NULL, with a line on stderr, if that fails. Never shrinks the file. */
static void *map_file(const char *path) {
    off_t size;
    void *map = MAP_FAILED;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    /* Not fstat, which would need a young glibc where this was built with one. */
    if (fd >= 0 && (size = lseek(fd, 0, SEEK_END)) >= 0
        && (size >= (off_t)sizeof *ctl || ftruncate(fd, sizeof *ctl) == 0))
        map = mmap(NULL, sizeof *ctl, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED)
        fprintf(stderr, "fake NVML: control file %s: %s\n", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    return map == MAP_FAILED ? NULL : map;
}

/* The control file beside this library, if there is one. Where that is, the kernel says: dladdr needs
   a libdl, or a young glibc. */
static const char *file_beside(void) {
    static char path[PATH_MAX + sizeof ".state"];
    char line[PATH_MAX + 128], file[PATH_MAX];
    unsigned long from, to, self = (unsigned long)&file_beside;
    FILE *maps = fopen("/proc/self/maps", "re");
    if (!maps)
        return NULL;
    file[0] = 0;
    while (fgets(line, sizeof line, maps))
        if (sscanf(line, "%lx-%lx %*s %*s %*s %*s %4095[^\n]", &from, &to, file) == 3
            && from <= self && self < to)
            break;
        else
            file[0] = 0;
    fclose(maps);
    if (!file[0])
        return NULL;
    snprintf(path, sizeof path, "%s.state", file);
    return access(path, F_OK) == 0 ? path : NULL;
}

__attribute__((constructor)) static void attach(void) {
    const char *beside = file_beside();
    const char *path = beside ? beside : getenv("FAKE_NVML_STATE");
    uint32_t init_error = 0;
    loaded_ns = now_ns();
    if (path && *path) {
        ctl = map_file(path);
        if (!ctl) {
            init_error = NVML_ERROR_OPERATING_SYSTEM;
        } else if (ctl->magic != 0 && (ctl->magic != MAGIC || ctl->version != VERSION)) {
            fprintf(stderr, "fake NVML: %s is no control file of version %u\n", path, VERSION);
            init_error = NVML_ERROR_LIB_RM_VERSION_MISMATCH;
            ctl = NULL;
        }
    }
    if (!ctl) {
        ctl = mmap(NULL, sizeof *ctl, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (ctl == MAP_FAILED)
            abort();
    }
    if (ctl->magic == 0)
        write_defaults();
    if (init_error)
        ctl->slot[LIBRARY].call[INIT].error = init_error;
}

/* ---- The frame around every call ---- */

struct frame {
    enum call call;
    int device; /* LIBRARY if none */
    struct slot *slot;
    uint64_t start_ns, a, b;
};

static void enter_slot(struct slot *s) {
    uint32_t n = atomic_fetch_add(&s->in_flight, 1) + 1;
    uint32_t max = s->max_in_flight;
    while (n > max && !atomic_compare_exchange_weak(&s->max_in_flight, &max, n)) {
    }
}

/* Stops at 0: a test may have reset the file while this call was in flight. */
static void leave_slot(struct slot *s) {
    uint32_t n = s->in_flight;
    while (n > 0 && !atomic_compare_exchange_weak(&s->in_flight, &n, n - 1)) {
    }
}

/* In slices, so that a test can let a waiting call go by writing a shorter delay. */
static void wait_delay(const struct call_entry *entry, uint64_t start_ns) {
    for (;;) {
        uint64_t passed = now_ns() - start_ns;
        uint64_t delay = (uint64_t)entry->delay_us * 1000;
        if (passed >= delay)
            return;
        uint64_t slice = delay - passed < 10000000 ? delay - passed : 10000000;
        nanosleep(&(struct timespec){.tv_nsec = (long)slice}, NULL);
    }
}

static struct frame begin(int device, enum call call, uint64_t a, uint64_t b) {
    struct frame f = {call, device, &ctl->slot[device], now_ns(), a, b};
    struct call_entry *entry = &f.slot->call[call];
    atomic_fetch_add(&ctl->calls_begun, 1);
    atomic_fetch_add(&entry->calls, 1);
    entry->last_ns = f.start_ns;
    enter_slot(&ctl->slot[LIBRARY]);
    if (device != LIBRARY)
        enter_slot(f.slot);
    if (entry->delay_us)
        wait_delay(entry, f.start_ns);
    return f;
}

static nvmlReturn_t end(const struct frame *f, nvmlReturn_t result) {
    leave_slot(&ctl->slot[LIBRARY]);
    if (f->device != LIBRARY)
        leave_slot(f->slot);
    uint64_t sequence = atomic_fetch_add(&ctl->calls_ended, 1);
    struct history_entry *h = &ctl->history[sequence % HISTORY];
    h->mark = 0;
    h->start_ns = f->start_ns;
    h->end_ns = now_ns();
    h->device = f->device == LIBRARY ? -1 : f->device;
    h->call = f->call;
    h->a = f->a;
    h->b = f->b;
    h->result = result;
    h->thread = (uint32_t)syscall(SYS_gettid);
    h->mark = sequence + 1;
    return result;
}

static uint64_t init_word(uint32_t epoch, uint16_t generation, uint16_t references) {
    return (uint64_t)epoch << 32 | (uint64_t)generation << 16 | references;
}

static int is_live(uint64_t state) {
    return (uint16_t)state > 0 && state >> 32 == ctl->driver_epoch && !(state >> 32 & 1);
}

static nvmlReturn_t forced(const struct frame *f) {
    return (nvmlReturn_t)f->slot->call[f->call].error;
}

/* How a library-level call that needs an initialised library starts. */
static nvmlReturn_t check_library(const struct frame *f, const void *out) {
    if (!is_live(init_state))
        return NVML_ERROR_UNINITIALIZED;
    return out ? forced(f) : NVML_ERROR_INVALID_ARGUMENT;
}

/* Where a handle is among those of its generation, or -1. */
static int place_of(nvmlDevice_t handle) {
    uintptr_t at = (uintptr_t)handle - (uintptr_t)handles;
    return at < sizeof handles ? (int)(at % sizeof handles[0]) : -1;
}

static int device_of(nvmlDevice_t handle) {
    int place = place_of(handle);
    return place < 0 ? LIBRARY : place < MAX_GPUS ? place : (place - MAX_GPUS) / MAX_INSTANCES;
}

/* NULL for the handle of a whole device. */
static const struct instance *instance_of(nvmlDevice_t handle) {
    int place = place_of(handle);
    return place < MAX_GPUS ? NULL
         : &ctl->slot[device_of(handle)].instance[(place - MAX_GPUS) % MAX_INSTANCES];
}

/* Of an instance nothing else is told. */
static nvmlReturn_t check_instance(const struct frame *f, const struct instance *i) {
    if (!i->is_there || f->slot->mig_mode != 2)
        return NVML_ERROR_INVALID_ARGUMENT;
    switch (f->call) {
    case GET_NAME: case GET_UUID: case GET_MEMORY: case GET_GPU_INSTANCE_ID: case GET_COMPUTE_INSTANCE_ID:
        return (nvmlReturn_t)i->error;
    default:
        return NVML_ERROR_NOT_SUPPORTED;
    }
}

static nvmlReturn_t check_device(const struct frame *f, nvmlDevice_t handle, const void *out) {
    uint64_t state = init_state;
    if (!is_live(state))
        return NVML_ERROR_UNINITIALIZED;
    int place = place_of(handle);
    if (place < 0 || (char *)handle != &handles[(uint16_t)(state >> 16)][place])
        return NVML_ERROR_INVALID_ARGUMENT;
    if ((uint32_t)f->device >= ctl->device_count)
        return NVML_ERROR_GPU_IS_LOST;
    if (!out)
        return NVML_ERROR_INVALID_ARGUMENT;
    nvmlReturn_t r = forced(f);
    const struct instance *i = instance_of(handle);
    return r == NVML_SUCCESS && i ? check_instance(f, i) : r;
}

/* ---- Power and energy ---- */

struct power {
    uint32_t source;
    double mw, amplitude_mw, period_ns, anchor_mj;
    uint64_t anchor_ns;
};

/* One consistent set of the parameters. Gives up waiting for a writer that died half-way. */
static struct power power_of(const struct slot *s) {
    struct power p;
    uint32_t sequence;
    for (int tries = 0; tries < 10000; tries++) {
        sequence = s->power_sequence;
        p.source = s->power_source;
        p.mw = (double)s->power_mw;
        p.amplitude_mw = (double)s->amplitude_mw;
        p.period_ns = (double)s->period_ms * 1e6;
        p.anchor_mj = s->anchor_mj;
        p.anchor_ns = s->anchor_ns ? s->anchor_ns : loaded_ns;
        if (!(sequence & 1) && s->power_sequence == sequence)
            break;
        sched_yield();
    }
    if (p.source == SINE && p.period_ns == 0)
        p.source = CONSTANT;
    return p;
}

static double phase(const struct power *p, uint64_t ns) {
    return TWO_PI * (double)(ns % (uint64_t)p->period_ns) / p->period_ns;
}

static unsigned int read_power(struct slot *s) {
    struct power p = power_of(s);
    uint64_t n = atomic_fetch_add(&s->power_reads, 1);
    double mw = p.mw;
    if (p.source == SINE)
        mw += p.amplitude_mw * sin(phase(&p, now_ns()));
    else if (p.source == COUNTING)
        mw += (double)n;
    return mw > 0 ? (unsigned int)(mw + 0.5) : 0;
}

/* ---- NVML: the library ---- */

static const char *const TEXTS[] = {
    "Success", "Uninitialized", "Invalid Argument", "Not Supported", "Insufficient Permissions",
    "Already Initialized", "Not Found", "Insufficient Size", "Insufficient External Power",
    "Driver Not Loaded", "Timeout", "Interrupt Request Issue", "NVML Shared Library Not Found",
    "Function Not Found", "Corrupted infoROM", "GPU is lost", "GPU requires reset",
    "Operating System Error", "Driver/library version mismatch", "In use by another client",
    "Insufficient Memory", "No data", "vGPU cannot do this with ECC on", "Insufficient resources",
    "Frequency not supported", "Argument version mismatch", "Deprecated", "Not ready",
    "No GPU found", "Invalid state", "Reset type not supported",
};

const char *nvmlErrorString(nvmlReturn_t result) {
    return (unsigned)result < sizeof TEXTS / sizeof *TEXTS ? TEXTS[result] : "Unknown Error";
}

/* Adds a reference; the first of a driver epoch starts a new generation of handles. */
static nvmlReturn_t add_reference(void) {
    uint64_t old = init_state, new;
    do {
        uint32_t epoch = ctl->driver_epoch;
        if (epoch & 1)
            return NVML_ERROR_DRIVER_NOT_LOADED;
        new = is_live(old) ? old + 1 : init_word(epoch, (uint16_t)((old >> 16) + 1), 1);
    } while (!atomic_compare_exchange_weak(&init_state, &old, new));
    return NVML_SUCCESS;
}

static nvmlReturn_t init(unsigned int flags) {
    struct frame f = begin(LIBRARY, INIT, flags, 0);
    nvmlReturn_t r = ctl->driver_epoch & 1 ? NVML_ERROR_DRIVER_NOT_LOADED : forced(&f);
    if (r == NVML_SUCCESS && ctl->kernel_number != 0 && ctl->kernel_number != NUMBER)
        r = NVML_ERROR_LIB_RM_VERSION_MISMATCH;
    if (r == NVML_SUCCESS)
        r = add_reference();
    return end(&f, r);
}

nvmlReturn_t nvmlInit_v2(void) {
    return init(0);
}

/* Not in our header, but other clients start this way. */
nvmlReturn_t nvmlInitWithFlags(unsigned int flags);
nvmlReturn_t nvmlInitWithFlags(unsigned int flags) {
    return init(flags);
}

nvmlReturn_t nvmlShutdown(void) {
    struct frame f = begin(LIBRARY, SHUTDOWN, 0, 0);
    nvmlReturn_t r = check_library(&f, &f);
    uint64_t old = init_state;
    while (r == NVML_SUCCESS && !atomic_compare_exchange_weak(&init_state, &old, old - 1))
        r = is_live(old) ? NVML_SUCCESS : NVML_ERROR_UNINITIALIZED;
    return end(&f, r);
}

/* Writes the answer of a call, size bytes, unless the call is odd. */
static void answer(const struct frame *f, void *to, const void *from, size_t size) {
    switch (f->slot->call[f->call].oddity) {
    case WRITES_NOTHING: break;
    case ALL_BITS: memset(to, 0xff, size); break;
    case NO_ZERO: memset(to, 'x', size); break;
    case BITS: {
        uint64_t bits = f->slot->odd_bits;
        memcpy(to, &bits, size < sizeof bits ? size : sizeof bits);
        break;
    }
    default: memcpy(to, from, size);
    }
}

static void answer_number(const struct frame *f, unsigned int *to, unsigned int value) {
    answer(f, to, &value, sizeof value);
}

static nvmlReturn_t copy_text(const struct frame *f, char *to, unsigned int length, const char *text) {
    char whole[256] = "";
    if (strlen(text) >= length || length > sizeof whole)
        return NVML_ERROR_INSUFFICIENT_SIZE;
    strcpy(whole, text);
    answer(f, to, whole, length);
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlSystemGetDriverVersion(char *version, unsigned int length) {
    struct frame f = begin(LIBRARY, GET_DRIVER_VERSION, 0, 0);
    nvmlReturn_t r = check_library(&f, version);
    return end(&f, r == NVML_SUCCESS ? copy_text(&f, version, length, ctl->driver_version) : r);
}

nvmlReturn_t nvmlDeviceGetCount_v2(unsigned int *deviceCount) {
    struct frame f = begin(LIBRARY, GET_COUNT, 0, 0);
    nvmlReturn_t r = check_library(&f, deviceCount);
    if (r == NVML_SUCCESS)
        answer_number(&f, deviceCount, ctl->device_count);
    return end(&f, r);
}

nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned int index, nvmlDevice_t *device) {
    uint32_t count = ctl->device_count < MAX_GPUS ? ctl->device_count : MAX_GPUS;
    struct frame f = begin(index < count ? (int)index : LIBRARY, GET_HANDLE_BY_INDEX, index, 0);
    nvmlReturn_t r = check_library(&f, device);
    if (r == NVML_SUCCESS && f.device == LIBRARY)
        r = NVML_ERROR_INVALID_ARGUMENT;
    if (r == NVML_SUCCESS) {
        void *handle = &handles[(uint16_t)(init_state >> 16)][index];
        answer(&f, device, &handle, sizeof handle);
    }
    return end(&f, r);
}

/* ---- NVML: devices ---- */

#ifndef WITHOUT_nvmlDeviceGetName
nvmlReturn_t nvmlDeviceGetName(nvmlDevice_t device, char *name, unsigned int length) {
    struct frame f = begin(device_of(device), GET_NAME, 0, 0);
    nvmlReturn_t r = check_device(&f, device, name);
    return end(&f, r == NVML_SUCCESS ? copy_text(&f, name, length, instance_of(device) ? instance_of(device)->name : f.slot->name) : r);
}
#endif

#ifndef WITHOUT_nvmlDeviceGetUUID
nvmlReturn_t nvmlDeviceGetUUID(nvmlDevice_t device, char *uuid, unsigned int length) {
    struct frame f = begin(device_of(device), GET_UUID, 0, 0);
    nvmlReturn_t r = check_device(&f, device, uuid);
    return end(&f, r == NVML_SUCCESS ? copy_text(&f, uuid, length, instance_of(device) ? instance_of(device)->uuid : f.slot->uuid) : r);
}
#endif

#ifndef WITHOUT_nvmlDeviceGetPciInfo_v3
nvmlReturn_t nvmlDeviceGetPciInfo_v3(nvmlDevice_t device, nvmlPciInfo_t *pci) {
    struct frame f = begin(device_of(device), GET_PCI_INFO, 0, 0);
    nvmlReturn_t r = check_device(&f, device, pci);
    if (r == NVML_SUCCESS) {
        const struct slot *s = f.slot;
        nvmlPciInfo_t told = {
            .domain = s->pci_domain, .bus = s->pci_bus & 0xff, .device = s->pci_device & 0x1f,
            .pciDeviceId = s->pci_device_id, .pciSubSystemId = s->pci_subsystem_id};
        /* The real one too has room for only four digits of the domain here. */
        snprintf(told.busIdLegacy, sizeof told.busIdLegacy, "%04X:%02X:%02X.0",
                 told.domain & 0xffff, told.bus & 0xff, told.device & 0x1f);
        snprintf(told.busId, sizeof told.busId, "%08X:%02X:%02X.0",
                 told.domain, told.bus, told.device);
        answer(&f, pci, &told, sizeof told);
    }
    return end(&f, r);
}
#endif

#ifndef WITHOUT_nvmlDeviceGetFieldValues
/* Bytes outside the type's own stay as filled: a reader of the wrong member sees nonsense. */
static void put_value(const struct frame *f, nvmlFieldValue_t *v, unsigned int type, unsigned int number) {
    nvmlValue_t value;
    memset(&value, 0xA5, sizeof value);
    v->valueType = (nvmlValueType_t)type;
    switch (type) {
    case NVML_VALUE_TYPE_DOUBLE: value.dVal = number; break;
    case NVML_VALUE_TYPE_UNSIGNED_INT: value.uiVal = number; break;
    case NVML_VALUE_TYPE_UNSIGNED_LONG: value.ulVal = number; break;
    case NVML_VALUE_TYPE_UNSIGNED_LONG_LONG: value.ullVal = number; break;
    case NVML_VALUE_TYPE_SIGNED_LONG_LONG: value.sllVal = number; break;
    case NVML_VALUE_TYPE_SIGNED_INT: value.siVal = (int)number; break;
    case NVML_VALUE_TYPE_UNSIGNED_SHORT: value.usVal = (unsigned short)number; break;
    default: break;
    }
    answer(f, &v->value, &value, sizeof value);
}

/* The number that a field of power has, read once; the module draws more than its GPU. */
static unsigned int power_field(struct frame *f, const nvmlFieldValue_t *v) {
    struct slot *s = f->slot;
    int module = v->scopeId == NVML_POWER_SCOPE_MODULE;
    switch (v->fieldId) {
    case NVML_FI_DEV_POWER_MIN_LIMIT: return module ? s->min_module_limit_mw : s->min_limit_mw;
    case NVML_FI_DEV_POWER_MAX_LIMIT: return module ? s->max_module_limit_mw : s->max_limit_mw;
    case NVML_FI_DEV_POWER_DEFAULT_LIMIT:
        return module ? s->default_module_limit_mw : s->default_limit_mw;
    case NVML_FI_DEV_POWER_REQUESTED_LIMIT: return module ? s->module_limit_mw : s->limit_mw;
    default:
        f->b = read_power(s) + (module ? s->module_extra_mw : 0);
        return (unsigned int)f->b;
    }
}

/* Only Grace Hopper has the module's scope, so a scope id left unset is noticed. */
static nvmlReturn_t field_result(const struct slot *s, const nvmlFieldValue_t *v) {
    switch (v->fieldId) {
    case NVML_FI_DEV_MEMORY_TEMP:
        return (nvmlReturn_t)s->memory_temp_return;
    case NVML_FI_DEV_POWER_INSTANT:
    case NVML_FI_DEV_POWER_MIN_LIMIT:
    case NVML_FI_DEV_POWER_MAX_LIMIT:
    case NVML_FI_DEV_POWER_DEFAULT_LIMIT:
    case NVML_FI_DEV_POWER_REQUESTED_LIMIT:
        break;
    default:
        return NVML_ERROR_NOT_SUPPORTED;
    }
    if (v->scopeId == NVML_POWER_SCOPE_GPU)
        return v->fieldId == NVML_FI_DEV_POWER_INSTANT ? (nvmlReturn_t)s->instant_return : NVML_SUCCESS;
    return v->scopeId == NVML_POWER_SCOPE_MODULE && s->module_scope ? NVML_SUCCESS
                                                                    : NVML_ERROR_NOT_SUPPORTED;
}

nvmlReturn_t nvmlDeviceGetFieldValues(nvmlDevice_t device, int valuesCount, nvmlFieldValue_t *values) {
    struct frame f = begin(device_of(device), GET_FIELD_VALUES, (uint64_t)valuesCount, 0);
    nvmlReturn_t r = check_device(&f, device, values);
    if (r == NVML_SUCCESS && valuesCount < 1)
        r = NVML_ERROR_INVALID_ARGUMENT;
    int untouched = f.slot->call[GET_FIELD_VALUES].oddity == WRITES_NOTHING;
    for (int i = 0; r == NVML_SUCCESS && !untouched && i < valuesCount; i++) {
        nvmlFieldValue_t *v = &values[i];
        struct timespec t;
        clock_gettime(CLOCK_REALTIME, &t);
        v->timestamp = t.tv_sec * 1000000LL + t.tv_nsec / 1000;
        v->latencyUsec = 0;
        v->nvmlReturn = field_result(f.slot, v);
        if (v->nvmlReturn != NVML_SUCCESS)
            continue;
        if (v->fieldId == NVML_FI_DEV_MEMORY_TEMP) {
            put_value(&f, v, NVML_VALUE_TYPE_UNSIGNED_INT, (unsigned int)f.slot->memory_temperature_c);
        } else {
            put_value(&f, v, f.slot->instant_type, power_field(&f, v));
        }
    }
    return end(&f, r);
}
#endif

nvmlReturn_t nvmlDeviceGetPowerUsage(nvmlDevice_t device, unsigned int *power) {
    struct frame f = begin(device_of(device), GET_POWER_USAGE, 0, 0);
    nvmlReturn_t r = check_device(&f, device, power);
    if (r == NVML_SUCCESS) {
        f.b = read_power(f.slot);
        answer_number(&f, power, (unsigned int)f.b);
    }
    return end(&f, r);
}

#ifndef WITHOUT_nvmlDeviceGetTotalEnergyConsumption
static unsigned long long read_energy(const struct slot *s) {
    if (s->energy_fixed)
        return s->energy_mj;
    struct power p = power_of(s);
    uint64_t now = now_ns();
    double mw_ns = p.mw * (double)(now - p.anchor_ns);
    if (p.source == SINE)
        mw_ns += p.amplitude_mw * p.period_ns / TWO_PI
               * (cos(phase(&p, p.anchor_ns)) - cos(phase(&p, now)));
    return (unsigned long long)(p.anchor_mj + mw_ns / 1e9);
}

nvmlReturn_t nvmlDeviceGetTotalEnergyConsumption(nvmlDevice_t device, unsigned long long *energy) {
    struct frame f = begin(device_of(device), GET_TOTAL_ENERGY, 0, 0);
    nvmlReturn_t r = check_device(&f, device, energy);
    if (r == NVML_SUCCESS) {
        unsigned long long mj = read_energy(f.slot);
        f.b = mj;
        answer(&f, energy, &mj, sizeof mj);
    }
    return end(&f, r);
}
#endif

static nvmlReturn_t get_number(nvmlDevice_t device, enum call call, unsigned int *out, size_t field) {
    struct frame f = begin(device_of(device), call, 0, 0);
    nvmlReturn_t r = check_device(&f, device, out);
    if (r == NVML_SUCCESS)
        answer_number(&f, out, *(u32 *)((char *)f.slot + field));
    return end(&f, r);
}

nvmlReturn_t nvmlDeviceGetPowerManagementLimit(nvmlDevice_t device, unsigned int *limit) {
    return get_number(device, GET_POWER_LIMIT, limit, offsetof(struct slot, limit_mw));
}

nvmlReturn_t nvmlDeviceGetPowerManagementDefaultLimit(nvmlDevice_t device, unsigned int *defaultLimit) {
    return get_number(device, GET_DEFAULT_POWER_LIMIT, defaultLimit,
                      offsetof(struct slot, default_limit_mw));
}

#ifndef WITHOUT_nvmlDeviceGetEnforcedPowerLimit
nvmlReturn_t nvmlDeviceGetEnforcedPowerLimit(nvmlDevice_t device, unsigned int *limit) {
    struct frame f = begin(device_of(device), GET_ENFORCED_POWER_LIMIT, 0, 0);
    nvmlReturn_t r = check_device(&f, device, limit);
    if (r == NVML_SUCCESS) {
        uint32_t outside = f.slot->outside_limit_mw, set = f.slot->limit_mw;
        answer_number(&f, limit, outside && outside < set ? outside : set);
    }
    return end(&f, r);
}
#endif

nvmlReturn_t nvmlDeviceGetPowerManagementLimitConstraints(
    nvmlDevice_t device, unsigned int *minLimit, unsigned int *maxLimit) {
    struct frame f = begin(device_of(device), GET_POWER_LIMIT_CONSTRAINTS, 0, 0);
    nvmlReturn_t r = check_device(&f, device, minLimit && maxLimit ? minLimit : NULL);
    if (r == NVML_SUCCESS) {
        answer_number(&f, minLimit, f.slot->min_limit_mw);
        answer_number(&f, maxLimit, f.slot->max_limit_mw);
    }
    return end(&f, r);
}

nvmlReturn_t nvmlDeviceSetPowerManagementLimit(nvmlDevice_t device, unsigned int limit) {
    struct frame f = begin(device_of(device), SET_POWER_LIMIT, limit, 0);
    nvmlReturn_t r = check_device(&f, device, &f);
    if (r == NVML_SUCCESS && (limit < f.slot->min_limit_mw || limit > f.slot->max_limit_mw))
        r = NVML_ERROR_INVALID_ARGUMENT;
    if (r == NVML_SUCCESS)
        f.slot->limit_mw = limit;
    return end(&f, r);
}

/* A scope that the device does not have is as invalid as a value out of range. */
#ifndef WITHOUT_nvmlDeviceSetPowerManagementLimit_v2
nvmlReturn_t nvmlDeviceSetPowerManagementLimit_v2(nvmlDevice_t device, nvmlPowerValue_v2_t *powerValue) {
    struct frame f = begin(device_of(device), SET_POWER_LIMIT_OF_SCOPE,
                           powerValue ? powerValue->powerValueMw : 0,
                           powerValue ? powerValue->powerScope : 0);
    nvmlReturn_t r = check_device(&f, device, powerValue);
    if (r == NVML_SUCCESS && powerValue->version != nvmlPowerValue_v2)
        r = NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    int module = r == NVML_SUCCESS && powerValue->powerScope == NVML_POWER_SCOPE_MODULE;
    uint32_t min = module ? f.slot->min_module_limit_mw : f.slot->min_limit_mw;
    uint32_t max = module ? f.slot->max_module_limit_mw : f.slot->max_limit_mw;
    if (r == NVML_SUCCESS
        && (module ? !f.slot->module_scope : powerValue->powerScope != NVML_POWER_SCOPE_GPU))
        r = NVML_ERROR_INVALID_ARGUMENT;
    if (r == NVML_SUCCESS && (powerValue->powerValueMw < min || powerValue->powerValueMw > max))
        r = NVML_ERROR_INVALID_ARGUMENT;
    if (r == NVML_SUCCESS)
        *(module ? &f.slot->module_limit_mw : &f.slot->limit_mw) = powerValue->powerValueMw;
    return end(&f, r);
}
#endif

nvmlReturn_t nvmlDeviceGetPersistenceMode(nvmlDevice_t device, nvmlEnableState_t *mode) {
    return get_number(device, GET_PERSISTENCE_MODE, mode, offsetof(struct slot, persistence));
}

nvmlReturn_t nvmlDeviceSetPersistenceMode(nvmlDevice_t device, nvmlEnableState_t mode) {
    struct frame f = begin(device_of(device), SET_PERSISTENCE_MODE, mode, 0);
    nvmlReturn_t r = check_device(&f, device, &f);
    if (r == NVML_SUCCESS && mode != NVML_FEATURE_DISABLED && mode != NVML_FEATURE_ENABLED)
        r = NVML_ERROR_INVALID_ARGUMENT;
    if (r == NVML_SUCCESS)
        f.slot->persistence = mode;
    return end(&f, r);
}

static nvmlReturn_t set_clocks(nvmlDevice_t device, enum call call, unsigned int min, unsigned int max) {
    struct frame f = begin(device_of(device), call, min, max);
    nvmlReturn_t r = check_device(&f, device, &f);
    int gpu = call == SET_GPU_LOCKED_CLOCKS || call == RESET_GPU_LOCKED_CLOCKS;
    int reset = call == RESET_GPU_LOCKED_CLOCKS || call == RESET_MEM_LOCKED_CLOCKS;
    u32 *lock = gpu ? f.slot->gpu_lock : f.slot->mem_lock;
    const u32 *range = gpu ? f.slot->gpu_range : f.slot->mem_range;
    if (r == NVML_SUCCESS && !reset && (min > max || min < range[0] || max > range[1]))
        r = NVML_ERROR_INVALID_ARGUMENT;
    if (r == NVML_SUCCESS) {
        lock[0] = min;
        lock[1] = max;
    }
    return end(&f, r);
}

nvmlReturn_t nvmlDeviceSetGpuLockedClocks(
    nvmlDevice_t device, unsigned int minGpuClockMHz, unsigned int maxGpuClockMHz) {
    return set_clocks(device, SET_GPU_LOCKED_CLOCKS, minGpuClockMHz, maxGpuClockMHz);
}

nvmlReturn_t nvmlDeviceResetGpuLockedClocks(nvmlDevice_t device) {
    return set_clocks(device, RESET_GPU_LOCKED_CLOCKS, 0, 0);
}

#ifndef WITHOUT_nvmlDeviceSetMemoryLockedClocks
nvmlReturn_t nvmlDeviceSetMemoryLockedClocks(
    nvmlDevice_t device, unsigned int minMemClockMHz, unsigned int maxMemClockMHz) {
    return set_clocks(device, SET_MEM_LOCKED_CLOCKS, minMemClockMHz, maxMemClockMHz);
}
#endif

#ifndef WITHOUT_nvmlDeviceResetMemoryLockedClocks
nvmlReturn_t nvmlDeviceResetMemoryLockedClocks(nvmlDevice_t device) {
    return set_clocks(device, RESET_MEM_LOCKED_CLOCKS, 0, 0);
}
#endif

/* The highest, the lowest and one between them, as if there were no others. */
static nvmlReturn_t supported_clocks(struct frame *f, nvmlReturn_t r, const u32 *range,
                                     unsigned int *count, unsigned int *clocks) {
    if (r == NVML_SUCCESS && *count < 3)
        r = NVML_ERROR_INSUFFICIENT_SIZE;
    if (r == NVML_SUCCESS || r == NVML_ERROR_INSUFFICIENT_SIZE)
        answer_number(f, count, 3);
    if (r == NVML_SUCCESS) {
        clocks[0] = range[1];
        clocks[1] = range[0] + (range[1] - range[0]) / 2;
        clocks[2] = range[0];
    }
    return end(f, r);
}

#ifndef WITHOUT_nvmlDeviceGetSupportedMemoryClocks
nvmlReturn_t nvmlDeviceGetSupportedMemoryClocks(
    nvmlDevice_t device, unsigned int *count, unsigned int *clocksMHz) {
    struct frame f = begin(device_of(device), GET_SUPPORTED_MEM_CLOCKS, 0, 0);
    nvmlReturn_t r = check_device(&f, device, clocksMHz ? count : NULL);
    return supported_clocks(&f, r, f.slot->mem_range, count, clocksMHz);
}
#endif

#ifndef WITHOUT_nvmlDeviceGetSupportedGraphicsClocks
nvmlReturn_t nvmlDeviceGetSupportedGraphicsClocks(
    nvmlDevice_t device, unsigned int memoryClockMHz, unsigned int *count, unsigned int *clocksMHz) {
    struct frame f = begin(device_of(device), GET_SUPPORTED_GPU_CLOCKS, memoryClockMHz, 0);
    nvmlReturn_t r = check_device(&f, device, clocksMHz ? count : NULL);
    if (r == NVML_SUCCESS && memoryClockMHz != f.slot->mem_range[1])
        r = NVML_ERROR_NOT_FOUND;
    return supported_clocks(&f, r, f.slot->gpu_range, count, clocksMHz);
}
#endif

/* ---- NVML: how a device is doing ---- */

#ifndef WITHOUT_nvmlDeviceGetTemperature
nvmlReturn_t nvmlDeviceGetTemperature(
    nvmlDevice_t device, nvmlTemperatureSensors_t sensorType, unsigned int *temp) {
    struct frame f = begin(device_of(device), GET_TEMPERATURE, sensorType, 0);
    nvmlReturn_t r = check_device(&f, device, temp);
    if (r == NVML_SUCCESS && sensorType != NVML_TEMPERATURE_GPU)
        r = NVML_ERROR_INVALID_ARGUMENT;
    if (r == NVML_SUCCESS)
        answer_number(&f, temp, (unsigned int)f.slot->temperature_c);
    return end(&f, r);
}
#endif

/* A struct that says its version is refused with another one. Oddities leave what was asked alone. */
#ifndef WITHOUT_nvmlDeviceGetTemperatureV
nvmlReturn_t nvmlDeviceGetTemperatureV(nvmlDevice_t device, nvmlTemperature_t *temperature) {
    struct frame f = begin(device_of(device), GET_TEMPERATURE_V, 0, 0);
    nvmlReturn_t r = check_device(&f, device, temperature);
    if (r == NVML_SUCCESS && temperature->version != nvmlTemperature_v1)
        r = NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    if (r == NVML_SUCCESS && temperature->sensorType != NVML_TEMPERATURE_GPU)
        r = NVML_ERROR_INVALID_ARGUMENT;
    if (r == NVML_SUCCESS)
        answer_number(&f, (unsigned int *)&temperature->temperature,
                      (unsigned int)f.slot->temperature_c);
    return end(&f, r);
}
#endif

static uint32_t within(uint32_t mhz, const u32 *lock) {
    if (lock[1] == 0)
        return mhz;
    return mhz < lock[0] ? lock[0] : mhz > lock[1] ? lock[1] : mhz;
}

#ifndef WITHOUT_nvmlDeviceGetClockInfo
nvmlReturn_t nvmlDeviceGetClockInfo(nvmlDevice_t device, nvmlClockType_t type, unsigned int *clock) {
    struct frame f = begin(device_of(device), GET_CLOCK, type, 0);
    nvmlReturn_t r = check_device(&f, device, clock);
    if (r == NVML_SUCCESS && type != NVML_CLOCK_SM && type != NVML_CLOCK_MEM)
        r = NVML_ERROR_INVALID_ARGUMENT;
    if (r == NVML_SUCCESS)
        answer_number(&f, clock, type == NVML_CLOCK_SM ? within(f.slot->sm_clock_mhz, f.slot->gpu_lock)
                                                       : within(f.slot->mem_clock_mhz, f.slot->mem_lock));
    return end(&f, r);
}
#endif

#ifndef WITHOUT_nvmlDeviceGetUtilizationRates
nvmlReturn_t nvmlDeviceGetUtilizationRates(nvmlDevice_t device, nvmlUtilization_t *utilization) {
    struct frame f = begin(device_of(device), GET_UTILIZATION, 0, 0);
    nvmlReturn_t r = check_device(&f, device, utilization);
    if (r == NVML_SUCCESS && f.slot->mig_mode == 2)
        r = NVML_ERROR_NOT_SUPPORTED;
    if (r == NVML_SUCCESS) {
        nvmlUtilization_t told = {f.slot->utilization_pct, f.slot->mem_utilization_pct};
        answer(&f, utilization, &told, sizeof told);
    }
    return end(&f, r);
}
#endif

#ifndef WITHOUT_nvmlDeviceGetMemoryInfo_v2
nvmlReturn_t nvmlDeviceGetMemoryInfo_v2(nvmlDevice_t device, nvmlMemory_v2_t *memory) {
    struct frame f = begin(device_of(device), GET_MEMORY, 0, 0);
    nvmlReturn_t r = check_device(&f, device, memory);
    if (r == NVML_SUCCESS && memory->version != nvmlMemory_v2)
        r = NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    if (r == NVML_SUCCESS) {
        nvmlMemory_v2_t told = {
            .version = nvmlMemory_v2, .total = f.slot->memory_total,
            .reserved = f.slot->memory_reserved, .used = f.slot->memory_used};
        const struct instance *i = instance_of(device);
        if (i) {
            told.total = i->memory_total;
            told.reserved = 0;
            told.used = i->memory_used;
        }
        told.free = told.total - told.reserved - told.used;
        size_t from = offsetof(nvmlMemory_v2_t, total);
        answer(&f, (char *)memory + from, (char *)&told + from, sizeof told - from);
    }
    return end(&f, r);
}
#endif

static nvmlReturn_t event_reasons(nvmlDevice_t device, enum call call, unsigned long long *reasons) {
    struct frame f = begin(device_of(device), call, 0, 0);
    nvmlReturn_t r = check_device(&f, device, reasons);
    if (r == NVML_SUCCESS) {
        unsigned long long told = f.slot->event_reasons;
        answer(&f, reasons, &told, sizeof told);
    }
    return end(&f, r);
}

#ifndef WITHOUT_nvmlDeviceGetCurrentClocksEventReasons
nvmlReturn_t nvmlDeviceGetCurrentClocksEventReasons(
    nvmlDevice_t device, unsigned long long *clocksEventReasons) {
    return event_reasons(device, GET_EVENT_REASONS, clocksEventReasons);
}
#endif

#ifndef WITHOUT_nvmlDeviceGetCurrentClocksThrottleReasons
nvmlReturn_t nvmlDeviceGetCurrentClocksThrottleReasons(
    nvmlDevice_t device, unsigned long long *clocksThrottleReasons) {
    return event_reasons(device, GET_THROTTLE_REASONS, clocksThrottleReasons);
}
#endif

#ifndef WITHOUT_nvmlDeviceGetPerformanceState
nvmlReturn_t nvmlDeviceGetPerformanceState(nvmlDevice_t device, nvmlPstates_t *pState) {
    return get_number(device, GET_PERFORMANCE_STATE, pState, offsetof(struct slot, performance_state));
}
#endif

/* ---- NVML: instances of a partitioned GPU (MIG) ---- */

#ifndef WITHOUT_nvmlDeviceGetMigMode
nvmlReturn_t nvmlDeviceGetMigMode(
    nvmlDevice_t device, unsigned int *currentMode, unsigned int *pendingMode) {
    struct frame f = begin(device_of(device), GET_MIG_MODE, 0, 0);
    nvmlReturn_t r = check_device(&f, device, currentMode && pendingMode ? currentMode : NULL);
    if (r == NVML_SUCCESS && f.slot->mig_mode == 0)
        r = NVML_ERROR_NOT_SUPPORTED;
    if (r == NVML_SUCCESS) {
        answer_number(&f, currentMode, f.slot->mig_mode - 1);
        answer_number(&f, pendingMode, f.slot->mig_mode - 1);
    }
    return end(&f, r);
}
#endif

#ifndef WITHOUT_nvmlDeviceGetMaxMigDeviceCount
nvmlReturn_t nvmlDeviceGetMaxMigDeviceCount(nvmlDevice_t device, unsigned int *count) {
    struct frame f = begin(device_of(device), GET_MAX_MIG_DEVICE_COUNT, 0, 0);
    nvmlReturn_t r = check_device(&f, device, count);
    if (r == NVML_SUCCESS)
        answer_number(&f, count, f.slot->mig_mode == 2 ? MAX_INSTANCES : 0);
    return end(&f, r);
}
#endif

#ifndef WITHOUT_nvmlDeviceGetMigDeviceHandleByIndex
nvmlReturn_t nvmlDeviceGetMigDeviceHandleByIndex(
    nvmlDevice_t device, unsigned int index, nvmlDevice_t *migDevice) {
    struct frame f = begin(device_of(device), GET_MIG_DEVICE_HANDLE, index, 0);
    nvmlReturn_t r = check_device(&f, device, migDevice);
    if (r == NVML_SUCCESS && index >= MAX_INSTANCES)
        r = NVML_ERROR_INVALID_ARGUMENT;
    if (r == NVML_SUCCESS && (f.slot->mig_mode != 2 || !f.slot->instance[index].is_there))
        r = NVML_ERROR_NOT_FOUND;
    if (r == NVML_SUCCESS) {
        void *handle = &handles[(uint16_t)(init_state >> 16)]
                               [MAX_GPUS + f.device * MAX_INSTANCES + (int)index];
        answer(&f, migDevice, &handle, sizeof handle);
    }
    return end(&f, r);
}
#endif

static nvmlReturn_t instance_id(nvmlDevice_t device, enum call call, unsigned int *id) {
    struct frame f = begin(device_of(device), call, 0, 0);
    nvmlReturn_t r = check_device(&f, device, id);
    const struct instance *i = instance_of(device);
    if (r == NVML_SUCCESS && !i)
        r = NVML_ERROR_INVALID_ARGUMENT;
    if (r == NVML_SUCCESS)
        answer_number(&f, id, call == GET_GPU_INSTANCE_ID ? i->gpu_instance_id : i->compute_instance_id);
    return end(&f, r);
}

#ifndef WITHOUT_nvmlDeviceGetGpuInstanceId
nvmlReturn_t nvmlDeviceGetGpuInstanceId(nvmlDevice_t device, unsigned int *id) {
    return instance_id(device, GET_GPU_INSTANCE_ID, id);
}
#endif

#ifndef WITHOUT_nvmlDeviceGetComputeInstanceId
nvmlReturn_t nvmlDeviceGetComputeInstanceId(nvmlDevice_t device, unsigned int *id) {
    return instance_id(device, GET_COMPUTE_INSTANCE_ID, id);
}
#endif
