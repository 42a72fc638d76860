/** What Prometheus scrapes; its library is loaded by the first scrape. */
package dev.zeusd.server.metrics;
