package dev.zeusd.server;

/** The ways to the server, which differ in nothing else. */
enum Transport {
  TCP,
  UDS,
  TLS
}
