/*
 * The part of the AMD SMI ABI that zeusd calls.
 *
 * Written for zeusd from the facts in AMD's documentation of AMD SMI; it is not AMD's amdsmi.h and
 * holds no text of it. check-abi.sh proves each declaration equal to what AMD has published. What
 * may stand here, and in which form, is what abi_checks.py can read: it refuses everything else.
 *
 * There are three incompatible editions of the library, told apart by its file name: 24
 * (libamd_smi.so.24, ROCm 6.3), 25 (ROCm 6.4) and 26 (ROCm 7). What has the name of one edition in
 * its own name, as in amdsmi_power_info_24_t, is called without it by AMD, and holds for that
 * edition only; all else holds for all three. A function that is given such a struct has a void *
 * here.
 *
 * Holds for every call below, unless its own line says otherwise:
 *   - any user may call it; "root" marks the calls that write to files of root's in sysfs;
 *   - it is to be called after amdsmi_init, and before edition 26.2 by one thread at a time, even
 *     for different GPUs;
 *   - what the pointers lead to is to be read only after AMDSMI_STATUS_SUCCESS;
 *   - a GPU without the feature answers AMDSMI_STATUS_NOT_SUPPORTED.
 */
#ifndef ZEUSD_AMDSMI_H
#define ZEUSD_AMDSMI_H

/* ---- Results ---- */

/* What every call returns. Newer libraries may return numbers that are not listed here. */
typedef enum {
    AMDSMI_STATUS_SUCCESS = 0,
    AMDSMI_STATUS_INVAL = 1,                /* bad handle, null pointer or value out of range */
    AMDSMI_STATUS_NOT_SUPPORTED = 2,        /* this GPU lacks the feature */
    AMDSMI_STATUS_NOT_YET_IMPLEMENTED = 3,  /* the library lacks it */
    AMDSMI_STATUS_FAIL_LOAD_MODULE = 4,     /* a library that AMD SMI itself needs is missing */
    AMDSMI_STATUS_FAIL_LOAD_SYMBOL = 5,     /* such a library lacks a function */
    AMDSMI_STATUS_DRM_ERROR = 6,            /* the kernel's graphics interface failed */
    AMDSMI_STATUS_API_FAILED = 7,           /* the call failed for an unnamed reason */
    AMDSMI_STATUS_TIMEOUT = 8,              /* it took too long */
    AMDSMI_STATUS_RETRY = 9,                /* to be tried again */
    AMDSMI_STATUS_NO_PERM = 10,             /* the caller is not privileged enough */
    AMDSMI_STATUS_INTERRUPT = 11,           /* a signal came in between */
    AMDSMI_STATUS_IO = 12,                  /* reading or writing failed */
    AMDSMI_STATUS_ADDRESS_FAULT = 13,       /* a bad pointer */
    AMDSMI_STATUS_FILE_ERROR = 14,          /* a file of the driver's cannot be used */
    AMDSMI_STATUS_OUT_OF_RESOURCES = 15,    /* out of memory or the like */
    AMDSMI_STATUS_INTERNAL_EXCEPTION = 16,  /* the library failed inside */
    AMDSMI_STATUS_INPUT_OUT_OF_BOUNDS = 17, /* the value is outside of what is allowed */
    AMDSMI_STATUS_INIT_ERROR = 18,          /* the library could not be initialised */
    AMDSMI_STATUS_REFCOUNT_OVERFLOW = 19,   /* initialised too often */
    AMDSMI_STATUS_BUSY = 30,                /* somebody else uses the GPU's interface */
    AMDSMI_STATUS_NOT_FOUND = 31,           /* there is no such GPU */
    AMDSMI_STATUS_NOT_INIT = 32,            /* amdsmi_init was not called, or was undone */
    AMDSMI_STATUS_NO_SLOT = 33,             /* no room for another one */
    AMDSMI_STATUS_DRIVER_NOT_LOADED = 34,   /* no kernel driver is running */
    AMDSMI_STATUS_NO_DATA = 40,             /* there is nothing to report */
    AMDSMI_STATUS_INSUFFICIENT_SIZE = 41,   /* the caller's buffer is too small */
    AMDSMI_STATUS_UNEXPECTED_SIZE = 42,     /* the driver told more or less than expected */
    AMDSMI_STATUS_UNEXPECTED_DATA = 43      /* the driver told something else than expected */
} amdsmi_status_t;

/* ---- Library ---- */

/* Flag: look for AMD's GPUs. */
#define AMDSMI_INIT_AMD_GPUS 2

/* Initialises the library and looks for the GPUs; counts, as amdsmi_shut_down does. */
amdsmi_status_t amdsmi_init(unsigned long flags);

/* Undoes one amdsmi_init; the last releases everything and invalidates all handles. */
amdsmi_status_t amdsmi_shut_down(void);

/* The library's version; build is a text of the library's own. */
typedef struct {
    unsigned int year; /* its last two digits */
    unsigned int major;
    unsigned int minor;
    unsigned int release;
    const char *build;
} amdsmi_version_24_t;

typedef struct {
    unsigned int year;
    unsigned int major;
    unsigned int minor;
    unsigned int release;
    const char *build;
} amdsmi_version_25_t;

typedef struct {
    unsigned int major;
    unsigned int minor;
    unsigned int release;
    const char *build;
} amdsmi_version_26_t;

amdsmi_status_t amdsmi_get_lib_version(void *version);

/* ---- GPUs: processors, in sockets ---- */

/* Opaque; owned by the library, valid until the last amdsmi_shut_down. */
typedef void *amdsmi_socket_handle;
typedef void *amdsmi_processor_handle;

/* In: count is the room in the list; out: how many there are. Without a list it only counts. */
amdsmi_status_t amdsmi_get_socket_handles(unsigned int *count, amdsmi_socket_handle *sockets);

/* The same for the processors of one socket. */
amdsmi_status_t amdsmi_get_processor_handles(
    amdsmi_socket_handle socket, unsigned int *count, amdsmi_processor_handle *processors);

/* What the GPU is: its product name, zero-terminated. Of the fields behind it none is read; they
   differ by edition. */
typedef struct {
    char market_name[256];
    unsigned int vendor_id;
} amdsmi_asic_info_head_t;

/* Bytes that hold this struct, whole, of any edition. */
#define ZEUSD_AMDSMI_ASIC_INFO_ROOM 1024

amdsmi_status_t amdsmi_get_gpu_asic_info(amdsmi_processor_handle gpu, void *info);

/* PCI address: function in the bits 0 to 2, device in 3 to 7, bus in 8 to 15, domain above. */
amdsmi_status_t amdsmi_get_gpu_device_bdf(amdsmi_processor_handle gpu, unsigned long *bdf);

/* Bytes, terminating zero included, that hold any UUID. */
#define AMDSMI_GPU_UUID_SIZE 38

/* Lasting identity, as zero-terminated ASCII. In: length is the size of the buffer. */
amdsmi_status_t amdsmi_get_gpu_device_uuid(
    amdsmi_processor_handle gpu, unsigned int *length, char *uuid);

/* ---- Power and energy ---- */

/* Power of the whole socket, W: now, or averaged; a GPU has the one or the other, and shows 0xFFFF
   or all bits set for the one that it has not. socket_power is whichever it has. */
typedef struct {
    unsigned int current_socket_power;
    unsigned int average_socket_power;
    unsigned int gfx_voltage; /* mV, as the next two */
    unsigned int soc_voltage;
    unsigned int mem_voltage;
    unsigned int power_limit;
    unsigned int reserved[11];
} amdsmi_power_info_24_t;

typedef struct {
    unsigned long socket_power;
    unsigned int current_socket_power;
    unsigned int average_socket_power;
    unsigned int gfx_voltage;
    unsigned int soc_voltage;
    unsigned int mem_voltage;
    unsigned int power_limit;
    unsigned int reserved[2];
} amdsmi_power_info_25_t;

typedef struct {
    unsigned long socket_power;
    unsigned int current_socket_power;
    unsigned int average_socket_power;
    unsigned long gfx_voltage;
    unsigned long soc_voltage;
    unsigned long mem_voltage;
    unsigned int power_limit;
    unsigned long reserved[18];
} amdsmi_power_info_26_t;

amdsmi_status_t amdsmi_get_power_info(amdsmi_processor_handle gpu, void *info);

/* Energy since the driver was loaded: energy times resolution, in uJ. The time is the reading's, in
   ns. On some GPUs it is wrong by orders of magnitude (ROCm/amdsmi#38). */
amdsmi_status_t amdsmi_get_energy_count(
    amdsmi_processor_handle gpu, unsigned long *energy, float *resolution, unsigned long *timestamp);

/* Power caps, uW. */
typedef struct {
    unsigned long power_cap; /* in force */
    unsigned long default_power_cap;
    unsigned long dpm_cap; /* MHz */
    unsigned long min_power_cap;
    unsigned long max_power_cap;
    unsigned long reserved[3];
} amdsmi_power_cap_info_t;

/* The GPU's own sensor is 0. */
amdsmi_status_t amdsmi_get_power_cap_info(
    amdsmi_processor_handle gpu, unsigned int sensor, amdsmi_power_cap_info_t *info);

/* Sets the cap, uW, until the driver is unloaded. Root. */
amdsmi_status_t amdsmi_set_power_cap(
    amdsmi_processor_handle gpu, unsigned int sensor, unsigned long cap);

/* ---- Clocks ---- */

/* Which clock. */
typedef enum {
    AMDSMI_CLK_TYPE_GFX = 0,
    AMDSMI_CLK_TYPE_MEM = 4
} amdsmi_clk_type_t;

/* A clock as it runs now, and the bounds that it is kept between, MHz. */
typedef struct {
    unsigned int clk;
    unsigned int min_clk;
    unsigned int max_clk;
    unsigned char clk_locked;
    unsigned char clk_deep_sleep;
    unsigned int reserved[4];
} amdsmi_clk_info_t;

amdsmi_status_t amdsmi_get_clock_info(
    amdsmi_processor_handle gpu, amdsmi_clk_type_t type, amdsmi_clk_info_t *info);

/* Which bound of a clock. */
typedef enum {
    CLK_LIMIT_MIN = 0,
    CLK_LIMIT_MAX = 1
} amdsmi_clk_limit_type_t;

/* Sets one bound, MHz, until the driver is unloaded or the performance level is set. Root. The
   lower bound may at no moment be above the upper one. */
amdsmi_status_t amdsmi_set_gpu_clk_limit(
    amdsmi_processor_handle gpu, amdsmi_clk_type_t type, amdsmi_clk_limit_type_t limit,
    unsigned long clock);

/* How the driver sets the clocks. */
typedef enum {
    AMDSMI_DEV_PERF_LEVEL_AUTO = 0 /* by load; what was set for single clocks is forgotten */
} amdsmi_dev_perf_level_t;

/* Root. */
amdsmi_status_t amdsmi_set_gpu_perf_level(
    amdsmi_processor_handle gpu, amdsmi_dev_perf_level_t level);

/* ---- How it is doing ---- */

/* Where a temperature is measured. */
typedef enum {
    AMDSMI_TEMPERATURE_TYPE_EDGE = 0,    /* at the edge of the die */
    AMDSMI_TEMPERATURE_TYPE_HOTSPOT = 1, /* the hottest spot of the die */
    AMDSMI_TEMPERATURE_TYPE_VRAM = 2
} amdsmi_temperature_type_t;

/* What of a temperature is meant. */
typedef enum {
    AMDSMI_TEMP_CURRENT = 0
} amdsmi_temperature_metric_t;

/* In degrees Celsius. */
amdsmi_status_t amdsmi_get_temp_metric(
    amdsmi_processor_handle gpu, amdsmi_temperature_type_t sensor,
    amdsmi_temperature_metric_t metric, long *temperature);

/* Part of the time in which something was going on, %; 0xFFFF: not told. */
typedef struct {
    unsigned int gfx_activity;
    unsigned int umc_activity; /* of the memory's controllers */
    unsigned int mm_activity;  /* of the video engines */
    unsigned int reserved[13];
} amdsmi_engine_usage_t;

amdsmi_status_t amdsmi_get_gpu_activity(amdsmi_processor_handle gpu, amdsmi_engine_usage_t *info);

/* Memory of the GPU, MiB. */
typedef struct {
    unsigned int vram_total;
    unsigned int vram_used;
    unsigned int reserved[2];
} amdsmi_vram_usage_t;

amdsmi_status_t amdsmi_get_gpu_vram_usage(amdsmi_processor_handle gpu, amdsmi_vram_usage_t *info);

#endif
