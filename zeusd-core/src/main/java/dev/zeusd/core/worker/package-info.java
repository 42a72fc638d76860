/** A thread for each device, whose turn it is to call it, and what waits for that. */
package dev.zeusd.core.worker;
