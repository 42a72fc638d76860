/** Devices and a clock for tests of programs that embed zeusd. */
package dev.zeusd.testkit;
