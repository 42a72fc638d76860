/** Command line options into configurations, and nothing else. */
package dev.zeusd.cli;
