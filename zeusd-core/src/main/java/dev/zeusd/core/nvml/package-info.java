/** GPUs behind NVML; the only package that knows zeusd-ffm. */
package dev.zeusd.core.nvml;
