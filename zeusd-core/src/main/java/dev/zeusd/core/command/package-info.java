/** Programs that change settings of GPUs in the driver's place. */
package dev.zeusd.core.command;
