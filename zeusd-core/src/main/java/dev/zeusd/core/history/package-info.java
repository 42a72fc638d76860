/** Power of the recent past, kept in memory. */
package dev.zeusd.core.history;
