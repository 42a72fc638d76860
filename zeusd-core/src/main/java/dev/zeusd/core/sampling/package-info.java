/** One thread per device, power read while somebody wants it, and what subscribers hold. */
package dev.zeusd.core.sampling;
