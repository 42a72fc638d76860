/*
 * The part of the NVML ABI that zeusd calls.
 *
 * Written for zeusd from the facts in NVIDIA's NVML API reference; it is not NVIDIA's nvml.h and
 * holds no text of it. check-abi.sh proves each declaration equal to the real header. What may
 * stand here, and in which form, is what abi_checks.py can read: it refuses everything else.
 *
 * Holds for every call below, unless its own line says otherwise:
 *   - any user may call it; "root" marks the calls that need effective uid 0;
 *   - it may be called from any thread, after nvmlInit_v2;
 *   - what the pointers lead to is to be read only after NVML_SUCCESS;
 *   - a device without the feature answers NVML_ERROR_NOT_SUPPORTED, one that fell off the bus
 *     NVML_ERROR_GPU_IS_LOST.
 */
#ifndef ZEUSD_NVML_H
#define ZEUSD_NVML_H

/* ---- Results ---- */

/* What nearly every call returns. Newer drivers may return numbers that are not listed here. */
typedef enum {
    NVML_SUCCESS = 0,
    NVML_ERROR_UNINITIALIZED = 1,             /* nvmlInit_v2 was not called, or was undone */
    NVML_ERROR_INVALID_ARGUMENT = 2,          /* bad handle, null pointer or value out of range */
    NVML_ERROR_NOT_SUPPORTED = 3,             /* this device lacks the feature */
    NVML_ERROR_NO_PERMISSION = 4,             /* the caller is not privileged enough */
    NVML_ERROR_ALREADY_INITIALIZED = 5,       /* historic: repeated initialisation is allowed now */
    NVML_ERROR_NOT_FOUND = 6,                 /* what was looked for does not exist */
    NVML_ERROR_INSUFFICIENT_SIZE = 7,         /* the caller's buffer is too small */
    NVML_ERROR_INSUFFICIENT_POWER = 8,        /* a board's power cable is missing or loose */
    NVML_ERROR_DRIVER_NOT_LOADED = 9,         /* no kernel driver is running */
    NVML_ERROR_TIMEOUT = 10,                  /* the time allowed by the caller is over */
    NVML_ERROR_IRQ_ISSUE = 11,                /* the kernel driver has trouble with interrupts */
    NVML_ERROR_LIBRARY_NOT_FOUND = 12,        /* a library that NVML itself needs is missing */
    NVML_ERROR_FUNCTION_NOT_FOUND = 13,       /* the driver's NVML is too old for this call */
    NVML_ERROR_CORRUPTED_INFOROM = 14,        /* the board's own data store is damaged */
    NVML_ERROR_GPU_IS_LOST = 15,              /* the device no longer answers on the bus */
    NVML_ERROR_RESET_REQUIRED = 16,           /* the device works again only after a reset */
    NVML_ERROR_OPERATING_SYSTEM = 17,         /* the operating system refused or blocked the call */
    NVML_ERROR_LIB_RM_VERSION_MISMATCH = 18,  /* library and kernel driver differ in version */
    NVML_ERROR_IN_USE = 19,                   /* the device is busy, so this cannot be done now */
    NVML_ERROR_MEMORY = 20,                   /* out of memory */
    NVML_ERROR_NO_DATA = 21,                  /* there is nothing to report */
    NVML_ERROR_VGPU_ECC_NOT_SUPPORTED = 22,   /* a vGPU cannot do this while ECC is on */
    NVML_ERROR_INSUFFICIENT_RESOURCES = 23,   /* some resource other than memory ran out */
    NVML_ERROR_FREQ_NOT_SUPPORTED = 24,       /* the frequency asked for is not offered */
    NVML_ERROR_ARGUMENT_VERSION_MISMATCH = 25, /* a versioned argument has an unknown version */
    NVML_ERROR_DEPRECATED = 26,               /* the call was withdrawn */
    NVML_ERROR_NOT_READY = 27,                /* too early: try again later */
    NVML_ERROR_GPU_NOT_FOUND = 28,            /* there is no such device, or none at all */
    NVML_ERROR_INVALID_STATE = 29,            /* not possible in the present state */
    NVML_ERROR_RESET_TYPE_NOT_SUPPORTED = 30, /* this kind of reset is not offered */
    NVML_ERROR_UNKNOWN = 999                  /* an internal failure of the driver */
} nvmlReturn_t;

/* English text for a result, static, never freed. */
const char *nvmlErrorString(nvmlReturn_t result);

/* ---- Library ---- */

/* Initialises the library; every success must be matched by one nvmlShutdown. */
nvmlReturn_t nvmlInit_v2(void);

/* Undoes one nvmlInit_v2; the last releases everything and invalidates all handles. */
nvmlReturn_t nvmlShutdown(void);

/* Bytes, terminating zero included, that hold any driver version. */
#define NVML_SYSTEM_DRIVER_VERSION_BUFFER_SIZE 80

/* Version of the kernel driver, as zero-terminated ASCII; length is the size of the buffer. */
nvmlReturn_t nvmlSystemGetDriverVersion(char *version, unsigned int length);

/* ---- Devices ---- */

/* Opaque; owned by the library, valid until the last nvmlShutdown. */
typedef struct nvmlDevice_st *nvmlDevice_t;

/* Number of devices that the system has, including those that the caller may not open. */
nvmlReturn_t nvmlDeviceGetCount_v2(unsigned int *deviceCount);

/* Handle of the device at index 0 to count - 1. A reboot may change the order. */
nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned int index, nvmlDevice_t *device);

/* Bytes, terminating zero included, that hold any name. */
#define NVML_DEVICE_NAME_V2_BUFFER_SIZE 96

/* Product name, as zero-terminated ASCII; length is the size of the buffer. */
nvmlReturn_t nvmlDeviceGetName(nvmlDevice_t device, char *name, unsigned int length);

/* Bytes, terminating zero included, that hold any UUID. */
#define NVML_DEVICE_UUID_V2_BUFFER_SIZE 96

/* Lasting identity ("GPU-…"), as zero-terminated ASCII; length is the size of the buffer. */
nvmlReturn_t nvmlDeviceGetUUID(nvmlDevice_t device, char *uuid, unsigned int length);

/* Sizes, terminating zero included, of the two text fields below. */
#define NVML_DEVICE_PCI_BUS_ID_BUFFER_SIZE 32
#define NVML_DEVICE_PCI_BUS_ID_BUFFER_V2_SIZE 16

/* Where a device sits on the PCI bus. */
typedef struct {
    char busIdLegacy[NVML_DEVICE_PCI_BUS_ID_BUFFER_V2_SIZE]; /* address, 4-digit domain, upper case */
    unsigned int domain;
    unsigned int bus;            /* 0 to 255 */
    unsigned int device;         /* 0 to 31; the function is always 0 */
    unsigned int pciDeviceId;    /* device id in the upper, vendor id in the lower 16 bits */
    unsigned int pciSubSystemId; /* the same for the subsystem */
    char busId[NVML_DEVICE_PCI_BUS_ID_BUFFER_SIZE]; /* address, 8-digit domain, upper case */
} nvmlPciInfo_t;

nvmlReturn_t nvmlDeviceGetPciInfo_v3(nvmlDevice_t device, nvmlPciInfo_t *pci);

/* ---- Field values: many readings by one call ---- */

/* Field: the present power, in mW, as unsigned int; not averaged. The scope id is one of
   NVML_POWER_SCOPE_…. Older drivers lack the field. */
#define NVML_FI_DEV_POWER_INSTANT 186

/* Fields with the same scopes: limits of the power, in mW, as unsigned int. The last is the one that
   was set. */
#define NVML_FI_DEV_POWER_MIN_LIMIT 187
#define NVML_FI_DEV_POWER_MAX_LIMIT 188
#define NVML_FI_DEV_POWER_DEFAULT_LIMIT 189
#define NVML_FI_DEV_POWER_REQUESTED_LIMIT 192

/* Scope of a power field: the GPU alone, or the module that carries it (Grace Hopper). */
#define NVML_POWER_SCOPE_GPU 0
#define NVML_POWER_SCOPE_MODULE 1

/* Field: temperature of the memory, in °C, as unsigned int; of GPUs whose memory has a sensor. */
#define NVML_FI_DEV_MEMORY_TEMP 82

/* Which member of nvmlValue_t holds the reading. */
typedef enum {
    NVML_VALUE_TYPE_DOUBLE = 0,
    NVML_VALUE_TYPE_UNSIGNED_INT = 1,
    NVML_VALUE_TYPE_UNSIGNED_LONG = 2,
    NVML_VALUE_TYPE_UNSIGNED_LONG_LONG = 3,
    NVML_VALUE_TYPE_SIGNED_LONG_LONG = 4,
    NVML_VALUE_TYPE_SIGNED_INT = 5,
    NVML_VALUE_TYPE_UNSIGNED_SHORT = 6
} nvmlValueType_t;

/* A reading; its type is told beside it. */
typedef union {
    double dVal;
    int siVal;
    unsigned int uiVal;
    unsigned long ulVal;
    unsigned long long ullVal;
    signed long long sllVal;
    unsigned short usVal;
} nvmlValue_t;

/* One request and its answer. */
typedef struct {
    unsigned int fieldId;      /* in: NVML_FI_… */
    unsigned int scopeId;      /* in: its meaning depends on the field */
    long long timestamp;       /* out: when it was read, µs since 1970 */
    long long latencyUsec;     /* out: how long the reading took, µs */
    nvmlValueType_t valueType; /* out */
    nvmlReturn_t nvmlReturn;   /* out: this field's own result; look here before at the value */
    nvmlValue_t value;         /* out: undefined unless nvmlReturn is NVML_SUCCESS */
} nvmlFieldValue_t;

/* Fills valuesCount requests. NVML_SUCCESS says only that they were tried: each has a result. */
nvmlReturn_t nvmlDeviceGetFieldValues(nvmlDevice_t device, int valuesCount, nvmlFieldValue_t *values);

/* ---- Power and energy ---- */

/* Power of the whole board in mW; since Ampere (GA100 excepted) the mean over one second. */
nvmlReturn_t nvmlDeviceGetPowerUsage(nvmlDevice_t device, unsigned int *power);

/* Energy in mJ since the driver was loaded (so a reload sets it back). Volta and later. */
nvmlReturn_t nvmlDeviceGetTotalEnergyConsumption(nvmlDevice_t device, unsigned long long *energy);

/* The power limit in force, mW. */
nvmlReturn_t nvmlDeviceGetPowerManagementLimit(nvmlDevice_t device, unsigned int *limit);

/* Sets the power limit, mW, until the driver is unloaded. Root. Outside the constraints:
   NVML_ERROR_INVALID_ARGUMENT. */
nvmlReturn_t nvmlDeviceSetPowerManagementLimit(nvmlDevice_t device, unsigned int limit);

/* A power limit and what it is of. */
typedef struct {
    unsigned int version;      /* in: nvmlPowerValue_v2 */
    unsigned char powerScope;  /* in: NVML_POWER_SCOPE_… */
    unsigned int powerValueMw; /* in: mW */
} nvmlPowerValue_v2_t;

/* Size of the struct in the lower 24 bits, its version above. */
#define nvmlPowerValue_v2 33554444

/* Sets the power limit of a scope, until the driver is unloaded. Root. A scope that the device does
   not have: NVML_ERROR_NOT_SUPPORTED or NVML_ERROR_INVALID_ARGUMENT. Older drivers lack the call. */
nvmlReturn_t nvmlDeviceSetPowerManagementLimit_v2(
    nvmlDevice_t device, nvmlPowerValue_v2_t *powerValue);

/* Least and greatest power limit that can be set, mW. */
nvmlReturn_t nvmlDeviceGetPowerManagementLimitConstraints(
    nvmlDevice_t device, unsigned int *minLimit, unsigned int *maxLimit);

/* The power limit that the device starts with, mW. */
nvmlReturn_t nvmlDeviceGetPowerManagementDefaultLimit(nvmlDevice_t device, unsigned int *defaultLimit);

/* The least of all limits that hold the device down now, mW: the one that was set, and those that
   come from outside, such as from the machine's management controller. */
nvmlReturn_t nvmlDeviceGetEnforcedPowerLimit(nvmlDevice_t device, unsigned int *limit);

/* ---- How it is doing ---- */

/* What can be measured where. */
typedef enum {
    NVML_TEMPERATURE_GPU = 0 /* the die */
} nvmlTemperatureSensors_t;

/* A request for a temperature and its answer. */
typedef struct {
    unsigned int version;                /* in: nvmlTemperature_v1 */
    nvmlTemperatureSensors_t sensorType; /* in */
    int temperature;                     /* out: °C */
} nvmlTemperature_t;

/* Size of the struct in the lower 24 bits, its version above. */
#define nvmlTemperature_v1 16777228

/* Temperature of a sensor. Drivers before 570 lack the call. */
nvmlReturn_t nvmlDeviceGetTemperatureV(nvmlDevice_t device, nvmlTemperature_t *temperature);

/* The same for all drivers so far; withdrawn some time after 580. °C. */
nvmlReturn_t nvmlDeviceGetTemperature(
    nvmlDevice_t device, nvmlTemperatureSensors_t sensorType, unsigned int *temp);

/* Which clock. */
typedef enum {
    NVML_CLOCK_SM = 1, /* of the multiprocessors */
    NVML_CLOCK_MEM = 2
} nvmlClockType_t;

/* A clock as it runs now, MHz. */
nvmlReturn_t nvmlDeviceGetClockInfo(nvmlDevice_t device, nvmlClockType_t type, unsigned int *clock);

/* Part of the last sample period (1/6 s to 1 s) in which something was going on, %. */
typedef struct {
    unsigned int gpu;    /* at least one kernel ran */
    unsigned int memory; /* the memory was read or written */
} nvmlUtilization_t;

/* Not of a GPU that is partitioned (MIG). */
nvmlReturn_t nvmlDeviceGetUtilizationRates(nvmlDevice_t device, nvmlUtilization_t *utilization);

/* A request for the use of the memory, and its answer in bytes. */
typedef struct {
    unsigned int version; /* in: nvmlMemory_v2 */
    unsigned long long total;
    unsigned long long reserved; /* by driver and firmware; neither free nor used */
    unsigned long long free;
    unsigned long long used;
} nvmlMemory_v2_t;

/* Size of the struct in the lower 24 bits, its version above. */
#define nvmlMemory_v2 33554472

nvmlReturn_t nvmlDeviceGetMemoryInfo_v2(nvmlDevice_t device, nvmlMemory_v2_t *memory);

/* Why the clocks are not higher: bits, several at a time. */
#define nvmlClocksEventReasonGpuIdle 1
#define nvmlClocksEventReasonApplicationsClocksSetting 2
#define nvmlClocksEventReasonSwPowerCap 4           /* the power limit */
#define nvmlClocksThrottleReasonHwSlowdown 8        /* by half or more: heat, power brake, power */
#define nvmlClocksEventReasonSyncBoost 16           /* held at the clock of others of a group */
#define nvmlClocksEventReasonSwThermalSlowdown 32   /* above its maximum operating temperature */
#define nvmlClocksThrottleReasonHwThermalSlowdown 64
#define nvmlClocksThrottleReasonHwPowerBrakeSlowdown 128 /* by the machine's power supply */
#define nvmlClocksEventReasonDisplayClockSetting 256
#define nvmlClocksEventReasonBoardLimit 512
#define nvmlClocksEventReasonReliability 1024

/* The reasons that hold now. Drivers before 535 lack the call. */
nvmlReturn_t nvmlDeviceGetCurrentClocksEventReasons(
    nvmlDevice_t device, unsigned long long *clocksEventReasons);

/* The same for all drivers so far; withdrawn some time after 580. */
nvmlReturn_t nvmlDeviceGetCurrentClocksThrottleReasons(
    nvmlDevice_t device, unsigned long long *clocksThrottleReasons);

/* From 0, the fastest, to 15. */
typedef enum {
    NVML_PSTATE_0 = 0,
    NVML_PSTATE_15 = 15,
    NVML_PSTATE_UNKNOWN = 32
} nvmlPstates_t;

nvmlReturn_t nvmlDeviceGetPerformanceState(nvmlDevice_t device, nvmlPstates_t *pState);

/* ---- Persistence mode: the driver stays loaded while nobody uses the GPU ---- */

/* Off or on. */
typedef enum {
    NVML_FEATURE_DISABLED = 0,
    NVML_FEATURE_ENABLED = 1
} nvmlEnableState_t;

nvmlReturn_t nvmlDeviceGetPersistenceMode(nvmlDevice_t device, nvmlEnableState_t *mode);

/* Root. Off again after a reboot. Switching it off on a GPU that is bound coherently to the CPU
   (Grace Hopper) makes this handle invalid: ask for a new one. */
nvmlReturn_t nvmlDeviceSetPersistenceMode(nvmlDevice_t device, nvmlEnableState_t mode);

/* ---- Locked clocks: the clock is kept between two bounds, both in MHz and included ---- */

/* Graphics clock, until the driver is unloaded. Root. Volta and later. */
nvmlReturn_t nvmlDeviceSetGpuLockedClocks(
    nvmlDevice_t device, unsigned int minGpuClockMHz, unsigned int maxGpuClockMHz);

/* Undoes the above. Root. */
nvmlReturn_t nvmlDeviceResetGpuLockedClocks(nvmlDevice_t device);

/* Memory clock, until the driver is unloaded. Root. Ampere and later. */
nvmlReturn_t nvmlDeviceSetMemoryLockedClocks(
    nvmlDevice_t device, unsigned int minMemClockMHz, unsigned int maxMemClockMHz);

/* Undoes the above. Root. */
nvmlReturn_t nvmlDeviceResetMemoryLockedClocks(nvmlDevice_t device);

/* The memory clocks that there are, MHz, in no order to rely on. In: count is the room in the list;
   out: how many there are. NVML_ERROR_INSUFFICIENT_SIZE if there are more. */
nvmlReturn_t nvmlDeviceGetSupportedMemoryClocks(
    nvmlDevice_t device, unsigned int *count, unsigned int *clocksMHz);

/* The same for the graphics clocks that go with one of the memory clocks. */
nvmlReturn_t nvmlDeviceGetSupportedGraphicsClocks(
    nvmlDevice_t device, unsigned int memoryClockMHz, unsigned int *count, unsigned int *clocksMHz);

/* ---- Multi-Instance GPU (MIG): one GPU partitioned into several ---- */

#define NVML_DEVICE_MIG_ENABLE 1

/* Whether the device is partitioned now, and will be after the next reset. Ampere and later. */
nvmlReturn_t nvmlDeviceGetMigMode(
    nvmlDevice_t device, unsigned int *currentMode, unsigned int *pendingMode);

/* Most instances that there can be under a device; 0 if it is not partitioned. */
nvmlReturn_t nvmlDeviceGetMaxMigDeviceCount(nvmlDevice_t device, unsigned int *count);

/* Handle of the instance at index 0 to most - 1: name, UUID ("MIG-…"), memory and the ids below can be
   asked by it. NVML_ERROR_NOT_FOUND where there is none. It dies with the instance, and may come to
   mean another one. */
nvmlReturn_t nvmlDeviceGetMigDeviceHandleByIndex(
    nvmlDevice_t device, unsigned int index, nvmlDevice_t *migDevice);

/* Of an instance's handle: its GPU instance, by a number that no other one of the device has. */
nvmlReturn_t nvmlDeviceGetGpuInstanceId(nvmlDevice_t device, unsigned int *id);

/* Of an instance's handle: its compute instance, by a number that no other one of the GPU instance
   has. */
nvmlReturn_t nvmlDeviceGetComputeInstanceId(nvmlDevice_t device, unsigned int *id);

#endif
