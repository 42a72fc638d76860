/** Starting and stopping the HTTP server; what it serves is in {@code dev.zeusd.server.http}. */
package dev.zeusd.server;
