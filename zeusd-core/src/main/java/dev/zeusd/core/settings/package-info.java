/**
 * Settings of GPUs that are lent, and put back: leases, what must outlive the process, baseline.
 */
package dev.zeusd.core.settings;
