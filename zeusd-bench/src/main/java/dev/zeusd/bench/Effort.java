package dev.zeusd.bench;

/**
 * How much is measured.
 *
 * @param turns how often each figure is taken, of each server
 * @param seconds how long a row of requests takes
 * @param streamSeconds how long a row takes in which something has to happen first: streams, and
 *     slow driver calls
 * @param warmUpRequests requests before the first turn, for each server and row
 */
record Effort(int turns, double seconds, double streamSeconds, int warmUpRequests) {}
