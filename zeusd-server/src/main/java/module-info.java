/** The HTTP API of zeusd over a Unix socket, TCP or TLS. */
module dev.zeusd.server {
  requires transitive dev.zeusd.core;
  requires dev.zeusd.ffm;
  requires com.nimbusds.jose.jwt;
  requires io.helidon.common.buffers;
  requires io.helidon.common.concurrency.limits;
  requires io.helidon.common.socket;
  requires io.helidon.common.task;
  requires io.helidon.http;
  requires io.helidon.webserver;
  requires io.prometheus.metrics.config;
  requires io.prometheus.metrics.model;
  requires io.prometheus.writer.text;
  requires transitive jakarta.json;
  requires jdk.net;

  exports dev.zeusd.server;
  exports dev.zeusd.server.audit;
  exports dev.zeusd.server.auth;
  exports dev.zeusd.server.tls;
}
