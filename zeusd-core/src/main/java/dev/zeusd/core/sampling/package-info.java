/** Power that is read while somebody wants it, and what subscribers have seen of it. */
package dev.zeusd.core.sampling;
