/** A client of zeusd, over a Unix socket, TCP or TLS. */
module dev.zeusd.client {
  requires jakarta.json;

  exports dev.zeusd.client;
}
