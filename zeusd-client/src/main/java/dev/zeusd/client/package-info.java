/**
 * A client of zeusd: power, energy and settings of GPUs and CPUs for programs without privileges.
 *
 * <p>{@link dev.zeusd.client.ZeusdClient} is the way in. Units are in the names and are those of
 * the wire: power in mW, energy of GPUs in mJ and of CPUs in µJ, clocks in MHz, times in ms since
 * 1970.
 */
package dev.zeusd.client;
