/** GPUs behind NVML; the only package that knows how NVML is called. */
package dev.zeusd.core.nvml;
