/**
 * The connections that are open, who is at their other ends, and how much each of those may take.
 */
package dev.zeusd.server.connection;
