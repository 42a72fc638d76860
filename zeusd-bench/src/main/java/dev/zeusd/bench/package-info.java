/**
 * Measures daemons: this one, the Rust one, and the commit before, in turns on the same fake GPUs.
 */
package dev.zeusd.bench;
