/** Energy over time: of a block of code or a job, and the power that there was. */
package dev.zeusd.core.energy;
