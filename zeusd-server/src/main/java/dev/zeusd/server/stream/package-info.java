/**
 * Streams of power as server-sent events: who gets one, what is said in it, and how it is written.
 */
package dev.zeusd.server.stream;
