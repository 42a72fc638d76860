/** CPU packages behind RAPL, as Linux shows it in its powercap tree. */
package dev.zeusd.core.rapl;
