/** Devices, what they are and what they can do, whatever is behind them. */
package dev.zeusd.core.device;
