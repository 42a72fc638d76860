/**
 * What the kernel tells whoever asks: numbers in the files of sysfs, and the time since the boot.
 */
package dev.zeusd.core.kernel;
