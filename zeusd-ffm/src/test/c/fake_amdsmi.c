/*
 * A fake libamd_smi.so.24, .25 or .26: the calls of headers/amdsmi.h on GPUs that a test makes up.
 *
 *   cc -std=c11 -O2 -Wall -Wextra -Werror -fPIC -shared -DEDITION=26 \
 *      -Wl,-soname,libamd_smi.so.26 -I headers -o libamd_smi.so.26 fake_amdsmi.c -lpthread
 *   -DEDITION=24|25|26  whose structs it writes.
 *   -DMINOR=<n>         its version: 24.7.n, 25.25.n, or 26.n.0 (2)
 *
 * Environment, read when the library is loaded:
 *   FAKE_AMDSMI_STATE  the control file, mapped shared; made if missing, filled in if it has no
 *                      magic. Unset: private memory with the default settings.
 *   FAKE_AMDSMI_GPUS   number of GPUs in default settings, 0 to 16 (2).
 *
 * THE CONTROL FILE: the contract between this file and FakeAmdSmi.java. Little-endian, fixed
 * offsets, no protocol: whatever is written counts from the next call on. "ns" is CLOCK_MONOTONIC.
 * T = a test writes it, L = the library writes it, TL = both.
 *
 *   HEADER at 0
 *     0 u64      T  magic 0x49534D444D415A46; write it last
 *     8 u32      T  device count, 0 to 16; a handle beyond it answers NOT_FOUND
 *    12 u32      T  driver epoch: even = loaded, odd = unloaded; add 1 to unload, add 1 to load.
 *                   After any change all calls answer NOT_INIT until amdsmi_init succeeds (odd:
 *                   DRIVER_NOT_LOADED), and all handles from before are INVAL
 *    16 u64      L  calls begun, of all functions
 *    24 u32      TL greatest number of calls in flight at a time
 *    28 u32      L  calls in flight
 *    32 u32      T  GPUs in a socket, 1 to 16 (1)
 *
 *   SLOT i at 4096 + i * 2048: GPU i for i = 0 to 15; i = 16 is the library itself, which uses the
 *   call table only
 *     0 char[96] T  name
 *    96 char[40] T  UUID
 *   136 u64      T  PCI address, as the library packs it
 *   144 u32      T  power now, W; 148 averaged; 0xFFFF = it does not tell
 *   152 u64      T  energy, in units; 160 units a second that it grows; 168 ns since when
 *   176 f32      T  the unit, uJ
 *   184 u64      TL power cap, uW; T 192 its default; 200 its minimum; 208 its maximum
 *   216 u32      TL GPU clock, MHz: lower bound; 220 upper bound; 224 memory clock; 228
 *   232 u32      T  GPU clocks that exist, MHz: from; 236 to; 240 memory clocks; 244
 *   248 u32      T  clock as it runs, MHz, of the GPU; 252 of the memory
 *   256 i64      T  temperature of the hottest spot, C; 264 of the memory
 *   272 u32      T  activity, %; 276 of the memory's controllers
 *   280 u32      T  memory, MiB; 284 used
 *   1024         call table: entry c at 1024 + c * 32, c from enum call below
 *       0 u32    T  status to answer with (0 = work normally)
 *       4 u32    T  delay before the answer, us; may be shortened while a call waits
 *       8 u64    TL calls begun
 *      16 u32    T  oddity of a call that succeeds: 1: it writes nothing, 2: all bits set
 *
 * A call first counts, then waits its delay, then answers, in this order: NOT_INIT, bad handle,
 * NOT_FOUND, the forced status, the real work. Setting a clock bound above the other one is refused,
 * as by the real driver, and performance level 0 undoes both.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "amdsmi.h"

#define MAGIC 0x49534D444D415A46ULL
#define MAX_GPUS 16
#define LIBRARY MAX_GPUS
#define MAX_CALLS 32
#define NS_PER_S 1000000000ULL
#ifndef MINOR
#define MINOR 2
#endif

#if EDITION == 26
typedef amdsmi_power_info_26_t power_info;
typedef amdsmi_version_26_t version_info;
#define ASIC_INFO_SIZE 896
#elif EDITION == 25
typedef amdsmi_power_info_25_t power_info;
typedef amdsmi_version_25_t version_info;
#define ASIC_INFO_SIZE 896
#elif EDITION == 24
typedef amdsmi_power_info_24_t power_info;
typedef amdsmi_version_24_t version_info;
#define ASIC_INFO_SIZE 456
#else
#error "EDITION is 24, 25 or 26"
#endif

/* The numbers are part of the contract, and the order of AmdSmiFunction. */
enum call {
    INIT = 0,
    SHUT_DOWN = 1,
    GET_LIB_VERSION = 2,
    GET_SOCKETS = 3,
    GET_PROCESSORS = 4,
    GET_ASIC_INFO = 5,
    GET_BDF = 6,
    GET_UUID = 7,
    GET_POWER = 8,
    GET_ENERGY = 9,
    GET_POWER_CAP = 10,
    SET_POWER_CAP = 11,
    GET_CLOCK = 12,
    SET_CLOCK_LIMIT = 13,
    SET_PERF_LEVEL = 14,
    GET_TEMPERATURE = 15,
    GET_ACTIVITY = 16,
    GET_VRAM = 17,
};

typedef _Atomic uint32_t u32;
typedef _Atomic uint64_t u64;

struct call_entry {
    u32 error, delay_us;
    u64 calls;
    u32 oddity, unused[3];
};

struct slot {
    char name[96], uuid[40];
    u64 bdf;
    u32 current_w, average_w;
    u64 energy, energy_per_s, energy_since_ns;
    _Atomic float unit_uj;
    u32 unused1;
    u64 cap_uw, default_cap_uw, min_cap_uw, max_cap_uw;
    u32 bounds[2][2]; /* GPU, memory: lower, upper */
    u32 range[2][2];
    u32 clock_mhz[2];
    _Atomic int64_t temperature_c, memory_temperature_c;
    u32 activity_pct, memory_activity_pct, memory_mib, memory_used_mib;
    char unused2[736];
    struct call_entry call[MAX_CALLS];
};

struct control {
    u64 magic;
    u32 device_count, driver_epoch;
    u64 calls_begun;
    u32 max_in_flight, in_flight, gpus_in_socket;
    char unused[4060];
    struct slot slot[MAX_GPUS + 1];
};

#define AT(type, field, offset) _Static_assert(offsetof(struct type, field) == (offset), #field)
AT(control, slot, 4096);
AT(slot, bdf, 136);
AT(slot, energy, 152);
AT(slot, unit_uj, 176);
AT(slot, cap_uw, 184);
AT(slot, bounds, 216);
AT(slot, clock_mhz, 248);
AT(slot, memory_used_mib, 284);
AT(slot, call, 1024);
_Static_assert(sizeof(struct slot) == 2048, "slot");

static struct control *ctl;

/* What this process has initialised: driver epoch (32 bits), generation (16), references (16). */
static u64 init_state;

/* A handle is the address of the element [generation][GPU], a socket's that of its first GPU. Nothing
   is ever stored here; it only makes a handle of an older generation recognisable. */
static char handles[1 << 16][MAX_GPUS];

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

/* FakeAmdSmi.reset() writes the same values. */
static void write_defaults(void) {
    const char *gpus = getenv("FAKE_AMDSMI_GPUS");
    long count = gpus ? strtol(gpus, NULL, 10) : 2;
    ctl->device_count = count < 0 ? 0 : count > MAX_GPUS ? MAX_GPUS : (uint32_t)count;
    ctl->gpus_in_socket = 1;
    for (unsigned i = 0; i < MAX_GPUS; i++) {
        struct slot *s = &ctl->slot[i];
        strcpy(s->name, "AMD Fake Instinct");
        snprintf(s->uuid, sizeof s->uuid, "fa4e%04x-0000-1000-8000-000000000000", i);
        s->bdf = (uint64_t)(0xc1 + i) << 8;
        s->current_w = 150 + 10 * i;
        s->average_w = 0xFFFF;
        s->unit_uj = 15.259F;
        s->energy_per_s = (uint64_t)((150 + 10 * i) * 1e6 / 15.259);
        s->energy_since_ns = now_ns();
        s->cap_uw = s->default_cap_uw = s->max_cap_uw = 750000000;
        s->min_cap_uw = 100000000;
        s->bounds[0][0] = s->range[0][0] = 132;
        s->bounds[0][1] = s->range[0][1] = 2100;
        s->bounds[1][0] = s->range[1][0] = 900;
        s->bounds[1][1] = s->range[1][1] = 1300;
        s->clock_mhz[0] = 1900;
        s->clock_mhz[1] = 1300;
        s->temperature_c = 50 + (int)i;
        s->memory_temperature_c = 45 + (int)i;
        s->activity_pct = 80;
        s->memory_activity_pct = 40;
        s->memory_mib = 192 << 10;
        s->memory_used_mib = 64 << 10;
    }
    ctl->magic = MAGIC;
}

static void *map_file(const char *path) {
    struct stat st;
    void *map = MAP_FAILED;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd >= 0 && fstat(fd, &st) == 0
        && (st.st_size >= (off_t)sizeof *ctl || ftruncate(fd, sizeof *ctl) == 0))
        map = mmap(NULL, sizeof *ctl, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (fd >= 0)
        close(fd);
    return map;
}

/* For tests in the same process, whose environment is as it is. */
void fake_amdsmi_attach(const char *path);
void fake_amdsmi_attach(const char *path) {
    if (path && *path)
        ctl = map_file(path);
    else
        ctl = mmap(NULL, sizeof *ctl, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (ctl == MAP_FAILED || (ctl->magic != 0 && ctl->magic != MAGIC)) {
        fprintf(stderr, "fake AMD SMI: FAKE_AMDSMI_STATE=%s is no control file\n", path ? path : "");
        abort();
    }
    if (ctl->magic == 0)
        write_defaults();
}

__attribute__((constructor)) static void attach(void) {
    fake_amdsmi_attach(getenv("FAKE_AMDSMI_STATE"));
}

/* ---- The frame around every call ---- */

struct frame {
    enum call call;
    int gpu; /* LIBRARY if none */
    struct call_entry *entry;
    struct slot *slot;
};

/* In slices, so that a test can let a waiting call go by writing a shorter delay. */
static void wait_delay(const struct call_entry *entry) {
    uint64_t start_ns = now_ns();
    for (;;) {
        uint64_t passed = now_ns() - start_ns, delay = (uint64_t)entry->delay_us * 1000;
        if (passed >= delay)
            return;
        uint64_t slice = delay - passed < 10000000 ? delay - passed : 10000000;
        nanosleep(&(struct timespec){.tv_nsec = (long)slice}, NULL);
    }
}

static struct frame begin(int gpu, enum call call) {
    struct frame f = {call, gpu, &ctl->slot[gpu].call[call], &ctl->slot[gpu]};
    atomic_fetch_add(&ctl->calls_begun, 1);
    atomic_fetch_add(&f.entry->calls, 1);
    uint32_t n = atomic_fetch_add(&ctl->in_flight, 1) + 1, max = ctl->max_in_flight;
    while (n > max && !atomic_compare_exchange_weak(&ctl->max_in_flight, &max, n)) {
    }
    if (f.entry->delay_us)
        wait_delay(f.entry);
    return f;
}

/* Stops at 0: a test may have reset the file while this call was in flight. */
static amdsmi_status_t end(amdsmi_status_t status) {
    uint32_t n = ctl->in_flight;
    while (n > 0 && !atomic_compare_exchange_weak(&ctl->in_flight, &n, n - 1)) {
    }
    return status;
}

static uint64_t init_word(uint32_t epoch, uint16_t generation, uint16_t references) {
    return (uint64_t)epoch << 32 | (uint64_t)generation << 16 | references;
}

static int is_live(uint64_t state) {
    return (uint16_t)state > 0 && state >> 32 == ctl->driver_epoch && !(state >> 32 & 1);
}

static int gpu_of(const void *handle) {
    uintptr_t at = (uintptr_t)handle - (uintptr_t)handles;
    return at < sizeof handles ? (int)(at % MAX_GPUS) : LIBRARY;
}

static amdsmi_status_t check(const struct frame *f, const void *handle, const void *out) {
    uint64_t state = init_state;
    if (!is_live(state))
        return AMDSMI_STATUS_NOT_INIT;
    if (handle) {
        if (f->gpu == LIBRARY || (char *)handle != &handles[(uint16_t)(state >> 16)][f->gpu])
            return AMDSMI_STATUS_INVAL;
        if ((uint32_t)f->gpu >= ctl->device_count)
            return AMDSMI_STATUS_NOT_FOUND;
    }
    return out ? (amdsmi_status_t)f->entry->error : AMDSMI_STATUS_INVAL;
}

static void answer(const struct frame *f, void *to, const void *from, size_t size) {
    switch (f->entry->oddity) {
    case 1: break;
    case 2: memset(to, 0xff, size); break;
    default: memcpy(to, from, size);
    }
}

/* ---- The library ---- */

amdsmi_status_t amdsmi_init(unsigned long flags) {
    struct frame f = begin(LIBRARY, INIT);
    if (!(flags & AMDSMI_INIT_AMD_GPUS))
        return end(AMDSMI_STATUS_INVAL);
    if (f.entry->error)
        return end((amdsmi_status_t)f.entry->error);
    uint64_t old = init_state, new;
    do {
        uint32_t epoch = ctl->driver_epoch;
        if (epoch & 1)
            return end(AMDSMI_STATUS_DRIVER_NOT_LOADED);
        new = is_live(old) ? old + 1 : init_word(epoch, (uint16_t)((old >> 16) + 1), 1);
    } while (!atomic_compare_exchange_weak(&init_state, &old, new));
    return end(AMDSMI_STATUS_SUCCESS);
}

amdsmi_status_t amdsmi_shut_down(void) {
    struct frame f = begin(LIBRARY, SHUT_DOWN);
    amdsmi_status_t r = check(&f, NULL, &f);
    uint64_t old = init_state;
    while (r == AMDSMI_STATUS_SUCCESS && !atomic_compare_exchange_weak(&init_state, &old, old - 1))
        r = is_live(old) ? AMDSMI_STATUS_SUCCESS : AMDSMI_STATUS_NOT_INIT;
    return end(r);
}

amdsmi_status_t amdsmi_get_lib_version(void *version) {
    struct frame f = begin(LIBRARY, GET_LIB_VERSION);
    amdsmi_status_t r = check(&f, NULL, version);
    version_info told = {
#if EDITION == 26
        .major = 26, .minor = MINOR,
#elif EDITION == 25
        .year = 25, .major = 25, .minor = MINOR,
#else
        .year = 24, .major = 7, .minor = MINOR,
#endif
        .build = "fake"};
    if (r == AMDSMI_STATUS_SUCCESS)
        answer(&f, version, &told, sizeof told);
    return end(r);
}

static amdsmi_status_t list(unsigned int *count, void **list, unsigned first, unsigned step,
                            unsigned there) {
    uint64_t state = init_state;
    for (unsigned i = 0; list && i < there && i < *count; i++)
        list[i] = &handles[(uint16_t)(state >> 16)][first + i * step];
    *count = list && *count < there ? *count : there;
    return AMDSMI_STATUS_SUCCESS;
}

amdsmi_status_t amdsmi_get_socket_handles(unsigned int *count, amdsmi_socket_handle *sockets) {
    struct frame f = begin(LIBRARY, GET_SOCKETS);
    amdsmi_status_t r = check(&f, NULL, count);
    unsigned each = ctl->gpus_in_socket ? ctl->gpus_in_socket : 1;
    if (r == AMDSMI_STATUS_SUCCESS)
        r = list(count, sockets, 0, each, (ctl->device_count + each - 1) / each);
    return end(r);
}

amdsmi_status_t amdsmi_get_processor_handles(
    amdsmi_socket_handle socket, unsigned int *count, amdsmi_processor_handle *processors) {
    struct frame f = begin(gpu_of(socket), GET_PROCESSORS);
    amdsmi_status_t r = check(&f, socket, count);
    unsigned each = ctl->gpus_in_socket ? ctl->gpus_in_socket : 1, left = ctl->device_count;
    left = left > (unsigned)f.gpu ? left - (unsigned)f.gpu : 0;
    if (r == AMDSMI_STATUS_SUCCESS)
        r = list(count, processors, (unsigned)f.gpu, 1, left < each ? left : each);
    return end(r);
}

/* ---- GPUs ---- */

amdsmi_status_t amdsmi_get_gpu_asic_info(amdsmi_processor_handle gpu, void *info) {
    struct frame f = begin(gpu_of(gpu), GET_ASIC_INFO);
    amdsmi_status_t r = check(&f, gpu, info);
    char told[ASIC_INFO_SIZE] = {0};
    if (r == AMDSMI_STATUS_SUCCESS) {
        memcpy(told, f.slot->name, sizeof f.slot->name);
        answer(&f, info, told, sizeof told);
    }
    return end(r);
}

amdsmi_status_t amdsmi_get_gpu_device_bdf(amdsmi_processor_handle gpu, unsigned long *bdf) {
    struct frame f = begin(gpu_of(gpu), GET_BDF);
    amdsmi_status_t r = check(&f, gpu, bdf);
    unsigned long told = f.slot->bdf;
    if (r == AMDSMI_STATUS_SUCCESS)
        answer(&f, bdf, &told, sizeof told);
    return end(r);
}

amdsmi_status_t amdsmi_get_gpu_device_uuid(
    amdsmi_processor_handle gpu, unsigned int *length, char *uuid) {
    struct frame f = begin(gpu_of(gpu), GET_UUID);
    amdsmi_status_t r = check(&f, gpu, uuid);
    if (r == AMDSMI_STATUS_SUCCESS && (!length || *length < AMDSMI_GPU_UUID_SIZE))
        r = AMDSMI_STATUS_INVAL;
    if (r == AMDSMI_STATUS_SUCCESS)
        answer(&f, uuid, f.slot->uuid, AMDSMI_GPU_UUID_SIZE);
    return end(r);
}

amdsmi_status_t amdsmi_get_power_info(amdsmi_processor_handle gpu, void *info) {
    struct frame f = begin(gpu_of(gpu), GET_POWER);
    amdsmi_status_t r = check(&f, gpu, info);
    power_info told;
    memset(&told, 0xff, sizeof told);
    told.current_socket_power = f.slot->current_w;
    told.average_socket_power = f.slot->average_w;
    if (r == AMDSMI_STATUS_SUCCESS)
        answer(&f, info, &told, sizeof told);
    return end(r);
}

amdsmi_status_t amdsmi_get_energy_count(
    amdsmi_processor_handle gpu, unsigned long *energy, float *resolution, unsigned long *timestamp) {
    struct frame f = begin(gpu_of(gpu), GET_ENERGY);
    amdsmi_status_t r = check(&f, gpu, energy);
    if (r == AMDSMI_STATUS_SUCCESS) {
        uint64_t now = now_ns();
        double seconds = (double)(now - f.slot->energy_since_ns) / 1e9;
        unsigned long told = f.slot->energy + (uint64_t)(seconds * (double)f.slot->energy_per_s);
        float unit = f.slot->unit_uj;
        answer(&f, energy, &told, sizeof told);
        answer(&f, resolution, &unit, sizeof unit);
        answer(&f, timestamp, &now, sizeof now);
    }
    return end(r);
}

amdsmi_status_t amdsmi_get_power_cap_info(
    amdsmi_processor_handle gpu, unsigned int sensor, amdsmi_power_cap_info_t *info) {
    struct frame f = begin(gpu_of(gpu), GET_POWER_CAP);
    amdsmi_status_t r = check(&f, gpu, sensor == 0 ? info : NULL);
    amdsmi_power_cap_info_t told = {
        .power_cap = f.slot->cap_uw, .default_power_cap = f.slot->default_cap_uw,
        .min_power_cap = f.slot->min_cap_uw, .max_power_cap = f.slot->max_cap_uw};
    if (r == AMDSMI_STATUS_SUCCESS)
        answer(&f, info, &told, sizeof told);
    return end(r);
}

amdsmi_status_t amdsmi_set_power_cap(
    amdsmi_processor_handle gpu, unsigned int sensor, unsigned long cap) {
    struct frame f = begin(gpu_of(gpu), SET_POWER_CAP);
    amdsmi_status_t r = check(&f, gpu, sensor == 0 ? &f : NULL);
    if (r == AMDSMI_STATUS_SUCCESS && (cap < f.slot->min_cap_uw || cap > f.slot->max_cap_uw))
        r = AMDSMI_STATUS_INPUT_OUT_OF_BOUNDS;
    if (r == AMDSMI_STATUS_SUCCESS)
        f.slot->cap_uw = cap;
    return end(r);
}

static int clock_index(amdsmi_clk_type_t type) {
    return type == AMDSMI_CLK_TYPE_MEM;
}

static unsigned within(unsigned value, u32 bounds[2]) {
    return value < bounds[0] ? bounds[0] : value > bounds[1] ? bounds[1] : value;
}

amdsmi_status_t amdsmi_get_clock_info(
    amdsmi_processor_handle gpu, amdsmi_clk_type_t type, amdsmi_clk_info_t *info) {
    struct frame f = begin(gpu_of(gpu), GET_CLOCK);
    amdsmi_status_t r = check(&f, gpu, info);
    int i = clock_index(type);
    amdsmi_clk_info_t told = {
        .clk = within(f.slot->clock_mhz[i], f.slot->bounds[i]),
        .min_clk = f.slot->bounds[i][0], .max_clk = f.slot->bounds[i][1]};
    if (r == AMDSMI_STATUS_SUCCESS)
        answer(&f, info, &told, sizeof told);
    return end(r);
}

amdsmi_status_t amdsmi_set_gpu_clk_limit(
    amdsmi_processor_handle gpu, amdsmi_clk_type_t type, amdsmi_clk_limit_type_t limit,
    unsigned long clock) {
    struct frame f = begin(gpu_of(gpu), SET_CLOCK_LIMIT);
    amdsmi_status_t r = check(&f, gpu, &f);
    int i = clock_index(type);
    u32 *bounds = f.slot->bounds[i];
    if (r == AMDSMI_STATUS_SUCCESS
        && (clock < f.slot->range[i][0] || clock > f.slot->range[i][1]
            || (limit == CLK_LIMIT_MIN ? clock > bounds[1] : clock < bounds[0])))
        r = AMDSMI_STATUS_INVAL;
    if (r == AMDSMI_STATUS_SUCCESS)
        bounds[limit] = (uint32_t)clock;
    return end(r);
}

amdsmi_status_t amdsmi_set_gpu_perf_level(
    amdsmi_processor_handle gpu, amdsmi_dev_perf_level_t level) {
    struct frame f = begin(gpu_of(gpu), SET_PERF_LEVEL);
    amdsmi_status_t r = check(&f, gpu, &f);
    for (int i = 0; r == AMDSMI_STATUS_SUCCESS && level == AMDSMI_DEV_PERF_LEVEL_AUTO && i < 2; i++) {
        f.slot->bounds[i][0] = f.slot->range[i][0];
        f.slot->bounds[i][1] = f.slot->range[i][1];
    }
    return end(r);
}

/* ---- How it is doing ---- */

amdsmi_status_t amdsmi_get_temp_metric(
    amdsmi_processor_handle gpu, amdsmi_temperature_type_t sensor,
    amdsmi_temperature_metric_t metric, long *temperature) {
    struct frame f = begin(gpu_of(gpu), GET_TEMPERATURE);
    amdsmi_status_t r = check(&f, gpu, temperature);
    long told = sensor == AMDSMI_TEMPERATURE_TYPE_VRAM ? f.slot->memory_temperature_c
                                                       : f.slot->temperature_c;
    if (r == AMDSMI_STATUS_SUCCESS
        && (metric != AMDSMI_TEMP_CURRENT || sensor == AMDSMI_TEMPERATURE_TYPE_EDGE))
        r = AMDSMI_STATUS_NOT_SUPPORTED;
    if (r == AMDSMI_STATUS_SUCCESS)
        answer(&f, temperature, &told, sizeof told);
    return end(r);
}

amdsmi_status_t amdsmi_get_gpu_activity(amdsmi_processor_handle gpu, amdsmi_engine_usage_t *info) {
    struct frame f = begin(gpu_of(gpu), GET_ACTIVITY);
    amdsmi_status_t r = check(&f, gpu, info);
    amdsmi_engine_usage_t told = {
        .gfx_activity = f.slot->activity_pct, .umc_activity = f.slot->memory_activity_pct};
    if (r == AMDSMI_STATUS_SUCCESS)
        answer(&f, info, &told, sizeof told);
    return end(r);
}

amdsmi_status_t amdsmi_get_gpu_vram_usage(amdsmi_processor_handle gpu, amdsmi_vram_usage_t *info) {
    struct frame f = begin(gpu_of(gpu), GET_VRAM);
    amdsmi_status_t r = check(&f, gpu, info);
    amdsmi_vram_usage_t told = {
        .vram_total = f.slot->memory_mib, .vram_used = f.slot->memory_used_mib};
    if (r == AMDSMI_STATUS_SUCCESS)
        answer(&f, info, &told, sizeof told);
    return end(r);
}
