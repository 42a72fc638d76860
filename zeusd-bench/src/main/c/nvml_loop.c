/*
 * The floor of a call into the driver's library: the same call in a loop in C. A shared library that
 * the benchmark of zeusd-ffm's call loads.
 */
#include "nvml.h"

/* Reads the instant power of GPU 0 so many times, as NvmlDevice does; the sum in mW, 0 on an error. */
unsigned long long zeusd_bench_read_power(int times) {
    static nvmlDevice_t device;
    unsigned long long sum = 0;
    if (!device && (nvmlInit_v2() || nvmlDeviceGetHandleByIndex_v2(0, &device)))
        return 0;
    for (int i = 0; i < times; i++) {
        nvmlFieldValue_t field = {.fieldId = NVML_FI_DEV_POWER_INSTANT, .scopeId = NVML_POWER_SCOPE_GPU};
        if (nvmlDeviceGetFieldValues(device, 1, &field) || field.nvmlReturn)
            return 0;
        sum += field.value.uiVal;
    }
    return sum;
}
