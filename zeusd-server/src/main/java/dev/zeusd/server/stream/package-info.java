/**
 * Streams of server-sent events, of power and of those that keep leases: who gets one, what is said
 * in it, and how it is written.
 */
package dev.zeusd.server.stream;
