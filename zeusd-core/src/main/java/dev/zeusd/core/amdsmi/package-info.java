/** GPUs behind AMD SMI; the only package that knows how AMD SMI is called. */
package dev.zeusd.core.amdsmi;
