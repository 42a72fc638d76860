/**
 * Sensors that the kernel shows in {@code /sys/class/hwmon}: of Arm servers, of AMD's CPUs where
 * there is no RAPL, and of Intel's GPUs.
 */
package dev.zeusd.core.hwmon;
