/** How a test and a fake driver library share a file. */
package dev.zeusd.testkit.control;
