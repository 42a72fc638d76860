/** A believable node without hardware. */
package dev.zeusd.core.simulated;
