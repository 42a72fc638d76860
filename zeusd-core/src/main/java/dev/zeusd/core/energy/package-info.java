/** Energy over time, of a block of code or a job: by counters, or added up from power. */
package dev.zeusd.core.energy;
