/**
 * Typed access to AMD's management library, {@code libamd_smi.so}.
 *
 * <p>Native memory never leaves this package: callers see longs, strings and records. Facts about
 * the functions come from AMD's documentation of AMD SMI; {@code headers/amdsmi.h} declares them.
 */
package dev.zeusd.ffm.amdsmi;
