/** The command line: options into configurations, and the commands that ask a daemon. */
package dev.zeusd.cli;
