/** What the benchmarks of the pieces have in common. Daemons are compared in src/main/python. */
package dev.zeusd.bench;
